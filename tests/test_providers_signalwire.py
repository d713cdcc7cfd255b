"""SignalWire: the contract, and what only SignalWire does."""

import json
from pathlib import Path

import pytest

from providers.base.http import basic
from providers.base.options import Problems, Secret, build
from providers.base.provider import PhoneNumber, Query
from providers.signalwire import SignalWire
from providers.testing import ABSENT, ByLink, ProviderContract, Reply

DATA = Path(__file__).parent / "data" / "signalwire"
PROJECT = "01234567-89ab-cdef-0123-456789abcdef"


class TestSignalWire(ProviderContract):
    provider = SignalWire
    options = {"space": "example", "project_id": PROJECT, "api_token": "PT-not-a-real-token"}
    authorization = basic(PROJECT, "PT-not-a-real-token")["Authorization"]
    path = "/api/relay/rest/phone_numbers"
    documented = json.loads((DATA / "phone_numbers.json").read_text())["body"]
    list_at, number_at, name_at = "data", "number", "name"
    paging = ByLink(at="links.next", size="page_size", default=50, largest=1000, last=ABSENT)
    unusable = [
        *({"capabilities": can} for can in (["sms", "mms"], ["fax"], [], None, ABSENT)),
        {"call_receive_mode": "fax"},
    ]
    expected = [
        PhoneNumber("+12025550143", "Front desk"),
        PhoneNumber("+18005550144", voice=False),
    ]

    def test_pages_after_the_first_are_asked_for_with_the_link_s_token(self) -> None:
        self.listed = [self.make(index) for index in range(1001)]
        self.account().ask(Query())
        first, second = self.listings()
        assert first.params == {"page_size": "1000"}
        assert second.params == {"page_size": "1000", "from-token": "1000"}

    def test_a_null_link_is_the_end(self) -> None:
        body = self.page_of([self.make(0)])
        body["links"]["next"] = None
        self.spoil = lambda _: Reply(body)
        assert len(self.account().ask(Query())) == 1

    @pytest.mark.parametrize("mode", ["voice", None, ABSENT, "a mode of tomorrow"])
    def test_a_number_takes_calls_unless_it_is_set_to_receive_faxes(self, mode: object) -> None:
        item = self.make(0)
        item.pop("call_receive_mode")
        self.listed = [item if mode is ABSENT else item | {"call_receive_mode": mode}]
        assert [number.voice for number in self.account().ask(Query())] == [True]

    def test_an_emergency_address_says_nothing_about_calls(self) -> None:
        self.listed = [self.make(0) | {"e911_status": "failed"}]
        assert [number.voice for number in self.account().ask(Query())] == [True]


@pytest.mark.parametrize("space", ["example", "example.signalwire.com"])
def test_a_space_has_its_own_host(space: str) -> None:
    options = SignalWire.Options(space=space, project_id=PROJECT, api_token=Secret("t"))
    assert SignalWire(options).base() == "https://example.signalwire.com"


@pytest.mark.parametrize(
    "space", ["", "evil.example/", "a.b", "https://example.signalwire.com", "a@b", "example\n"]
)
def test_what_is_no_space_is_refused(space: str) -> None:
    problems = Problems()
    given = {"space": space, "project_id": PROJECT, "api_token": "not-a-real-token"}
    assert build(SignalWire.Options, given, problems) is None
    assert problems.lines[0].startswith("space: expected a space's name")
