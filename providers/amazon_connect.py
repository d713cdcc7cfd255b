"""Amazon Connect's phone numbers, ListPhoneNumbersV2 of 2017-08-08.

https://docs.aws.amazon.com/connect/latest/APIReference/API_ListPhoneNumbersV2.html, by PyPI
botocore 1.44.8, data/connect/2017-08-08; for the pace
https://docs.aws.amazon.com/connect/latest/APIReference/best-practices-connect-apis.html
(both read 2026-11-25)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, paging
from .base.options import wholly
from .base.signing import AWSKey, signed_for_aws

PAGE_SIZE = 1000  # the most it gives

LINES = ("DID", "TOLL_FREE", "UIFN", "SHARED", "THIRD_PARTY_DID", "THIRD_PARTY_TF")
"""The types of numbers that can be called; SHORT_CODE is for messages."""

REGION = wholly(r"[a-z]{2}(-[a-z]+)+-\d", "such as us-east-1")


class _Reply(msgspec.Struct):
    numbers: list[JSON] = msgspec.field(name="ListPhoneNumbersSummaryList")
    next_token: str | None = msgspec.field(name="NextToken", default=None)  # none on the last page


class AmazonConnect(HTTPProvider):
    name = "amazon_connect"
    credentials = (
        "the access key must be active, of the account that has the instance, and its IAM user "
        "must be allowed connect:ListPhoneNumbersV2; temporary keys end; the clock must be right"
    )
    base_url = "https://connect.{region}.amazonaws.com"
    pace = 5, 0.5  # five at once, then two a second
    Reply = _Reply
    error_code_at = ("x-amzn-ErrorType:",)
    request_id_at = "x-amzn-RequestId:"

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        region: Annotated[str, REGION, Meta(description="the instance's")]
        access_key_id: Annotated[str, Meta(description="an IAM user's, AKIA…")]
        secret_access_key: Annotated[Secret, Meta(description="that key's")]
        session_token: Annotated[Secret | None, Meta(description="of a temporary key")] = None
        instance_id: Annotated[str | None, Meta(description="only this instance's numbers")] = None
        target_arn: Annotated[str | None, Meta(description="or a distribution group's")] = None

    options: Options

    def authorise(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        options = self.options
        key = AWSKey(
            *(options.access_key_id, options.secret_access_key, options.region, "connect"),
            options.session_token,
        )
        return signed_for_aws(method, url, headers, body, key)

    def first_page(self, query: Query) -> Request:
        body = {
            "InstanceId": self.options.instance_id,
            "TargetArn": self.options.target_arn,
            "MaxResults": PAGE_SIZE,
        }
        return Request("phone-number/list", body=body)

    def read_page(self, reply: _Reply) -> Page:
        return Page(map(_read, reply.numbers), paging.token("NextToken", reply.next_token))


def _read(number: JSON) -> PhoneNumber:
    return PhoneNumber(  # no status is listed, nor whether a flow takes its calls
        number=number.get("PhoneNumber") or "",
        name=number.get("PhoneNumberDescription") or "",
        voice=number.get("PhoneNumberType") in LINES,
    )
