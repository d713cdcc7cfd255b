"""Amazon Connect: the contract, and what only Amazon Connect does."""

import json
from pathlib import Path

import pytest

from providers.amazon_connect import AmazonConnect
from providers.base.errors import Refused
from providers.base.options import Problems, build
from providers.base.provider import PhoneNumber, Query
from providers.testing import Asked, ByToken, ProviderContract, Reply
from providers.testing.signing import signed_for_aws

REPLY = Path(__file__).parent / "data" / "amazon_connect" / "numbers.json"
INSTANCE = "11111111-1111-4111-8111-111111111111"
GROUP = "arn:aws:connect:us-east-1:123456789012:traffic-distribution-group/g"


class TestAmazonConnect(ProviderContract):
    provider = AmazonConnect
    options = {
        "region": "eu-west-2",
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "not-a-real-secret",
        "instance_id": INSTANCE,
    }
    authorization = ""
    method = "POST"
    path = "/phone-number/list"
    params = {"InstanceId": INSTANCE}
    host = "https://connect.eu-west-2.amazonaws.com"
    documented = json.loads(REPLY.read_text())["body"]
    list_at, number_at = "ListPhoneNumbersSummaryList", "PhoneNumber"
    name_at = "PhoneNumberDescription"
    paging = ByToken(token="NextToken", at="NextToken", size="MaxResults", largest=1000)
    unusable = [{"PhoneNumberType": kind} for kind in ("SHORT_CODE", "FAX", None)]
    expected = [PhoneNumber("+12025550143", "Front desk"), PhoneNumber("+12025550144")]

    def authorised(self, asked: Asked) -> bool:
        return signed_for_aws(asked, "AKIDEXAMPLE", "not-a-real-secret", "eu-west-2", "connect")

    def test_a_temporary_key_sends_its_token_signed(self) -> None:
        self.account(session_token="the-session-s-token").ask(Query())
        (asked,) = self.listings()
        assert asked.headers["X-Amz-Security-Token"] == "the-session-s-token"
        assert "x-amz-security-token" in asked.headers["Authorization"]

    def test_a_distribution_group_s_numbers_are_asked_for_by_its_arn(self) -> None:
        self.params = {"TargetArn": GROUP}  # type: ignore[misc]
        self.account(instance_id=None, target_arn=GROUP).ask(Query())
        (asked,) = self.listings()
        assert asked.payload == {"TargetArn": GROUP, "MaxResults": 1000}

    @pytest.mark.parametrize("more", ["", ":http://internal.amazon.com/coral/com.amazon.connect/"])
    def test_the_error_s_name_and_the_request_s_id_are_shown(self, more: str) -> None:
        id_ = "b4d2e3f0-7ac1-11ef-a3c8-0242ac110004"
        headers = {"x-amzn-ErrorType": f"AccessDeniedException{more}", "x-amzn-RequestId": id_}
        self.spoil = lambda _: Reply({"Message": "User +12025550199 is not"}, 403, headers)
        error = self.fails()
        assert type(error) is Refused
        assert str(error) == f"answered 403 with code AccessDeniedException, request {id_}"
        assert "connect:ListPhoneNumbersV2" in error.remedy


@pytest.mark.parametrize("region", ["us-east-1.example", "", "us-east-1/", "US-EAST-1", "virginia"])
def test_what_is_no_region_is_refused(region: str) -> None:
    problems = Problems()
    assert (
        build(AmazonConnect.Options, TestAmazonConnect.options | {"region": region}, problems)
        is None
    )
    assert [line for line in problems.lines if line.startswith("region")]


def test_its_pace_is_five_requests_and_then_two_a_second() -> None:
    assert AmazonConnect.pace == (5, 0.5)
