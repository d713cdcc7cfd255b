"""Azure Communication Services: the contract, and what only they do."""

import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode

import pytest

from providers.acs import ACS
from providers.base.options import Problems, build
from providers.base.provider import PhoneNumber, Query
from providers.testing import ABSENT, Asked, ByLink, Paging, ProviderContract, Shown
from providers.testing.paging import put
from providers.testing.signing import signed_for_azure

REPLY = Path(__file__).parent / "data" / "acs" / "numbers.json"
KEY = b64encode(b"not a real key, thirty-two bytes").decode()


@dataclass(frozen=True, kw_only=True)
class LinkWithoutVersion(ByLink):
    """Links that do not name the version, without which a request is refused."""

    def link(self, shown: Shown) -> str:
        return super().link(shown).replace(f"&{urlencode({'api-version': '2025-06-01'})}", "")


class TestACS(ProviderContract):
    provider = ACS
    options = {"host": "example.communication.azure.com", "access_key": KEY}
    authorization = ""
    path = "/phoneNumbers"
    params = {"api-version": "2025-06-01"}
    host = "https://example.communication.azure.com"
    documented = json.loads(REPLY.read_text())["body"]
    list_at, number_at = "phoneNumbers", "phoneNumber"
    paging: ClassVar[Paging] = LinkWithoutVersion(
        at="nextLink", last=ABSENT, absolute=True, size="top", default=100, largest=100
    )
    unusable = [{"capabilities.calling": can} for can in ("none", "outbound", None)]
    expected = [PhoneNumber("+12025550143"), PhoneNumber("+12025550144", voice=False)]

    @pytest.mark.parametrize("can", ["inbound", "inbound+outbound"])
    def test_what_takes_calls_need_not_make_any(self, can: str) -> None:
        self.listed = [self.make(0)]
        put(self.listed[0], "capabilities.calling", can)
        assert [number.voice for number in self.account().ask(Query())] == [True]

    def authorised(self, asked: Asked) -> bool:
        return signed_for_azure(asked, KEY)


class TestACSWithVersions(TestACS):
    """Should its links name the version."""

    paging = ByLink(at="nextLink", last=ABSENT, absolute=True, size="top", largest=100)


@pytest.mark.parametrize(
    "host", ["https://example.communication.azure.com/", "example", "a.azure.com"]
)
def test_what_is_no_resource_s_host_is_refused(host: str) -> None:
    problems = Problems()
    assert build(ACS.Options, TestACS.options | {"host": host}, problems) is None
    assert [line for line in problems.lines if line.startswith("host")]
