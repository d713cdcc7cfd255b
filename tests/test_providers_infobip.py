"""Infobip: the contract, and what only Infobip does."""

import json
from pathlib import Path

import pytest

from providers.base.options import Problems, Secret, build
from providers.base.provider import PhoneNumber, Query
from providers.infobip import Infobip
from providers.testing import ByNumber, ProviderContract
from providers.testing.paging import put

REPLY = Path(__file__).parent / "data" / "infobip" / "numbers.json"


class TestInfobip(ProviderContract):
    provider = Infobip
    options = {"api_key": "not-a-real-key", "host": "example.api.infobip.com"}
    authorization = "App not-a-real-key"
    path = "/numbers/1/numbers"
    host = "https://example.api.infobip.com"
    documented = json.loads(REPLY.read_text())["body"]
    list_at, number_at, name_at = "numbers", "number", "note"
    paging = ByNumber(
        number="page", first=0, size="limit", default=50, largest=50, total_at="numberCount"
    )
    unusable = [
        *({"capabilities": can} for can in (["SMS", "WHATSAPP_VOICE"], [], None)),
        *({"reservationStatus": status} for status in ("PENDING", "BILLING_FAILED", "ERROR")),
        {"additionalSetupRequired": True},
        *({"voiceSetup.action.type": kind} for kind in ("NO_ACTION", "BLOCK", "VOICE_CALL_DROP")),
    ]
    expected = [
        PhoneNumber("+12025550143", "Front desk"),
        PhoneNumber("+12025550144", voice=False),
    ]

    def write_number(self, e164: str) -> str:
        return e164.lstrip("+")

    @pytest.mark.parametrize("setup", [None, {}, {"action": {"type": "FORWARD_TO_AI_AGENT"}}])
    def test_a_number_with_voice_takes_calls_unless_they_are_dropped(self, setup: object) -> None:
        self.listed = [self.make(0)]
        put(self.listed[0], "voiceSetup", setup)
        assert [number.voice for number in self.account().ask(Query())] == [True]

    @pytest.mark.parametrize("host", ["api.infobip.com.example", "example", "a/b.api.infobip.com"])
    def test_a_host_that_is_not_infobip_s_is_refused(self, host: str) -> None:
        problems = Problems()
        assert build(Infobip.Options, {"api_key": "k", "host": host}, problems) is None
        assert [line for line in problems.lines if line.startswith("host")]


def test_without_a_host_it_is_the_shared_one() -> None:
    assert Infobip(Infobip.Options(api_key=Secret("k"))).base() == "https://api.infobip.com"


def test_its_pace_is_two_requests_and_then_one_a_second() -> None:
    assert Infobip.pace == (2, 1.0)
