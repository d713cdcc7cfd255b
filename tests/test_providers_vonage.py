"""Vonage: the contract, and what only Vonage does."""

import json
from pathlib import Path
from typing import Any

import pytest

from providers.base.errors import Unreadable
from providers.base.http import basic
from providers.base.provider import PhoneNumber, Query
from providers.testing import ABSENT, Asked, ByNumber, ProviderContract, Reply
from providers.vonage import Vonage

DATA = Path(__file__).parent / "data" / "vonage"
APPLICATION = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"


class TestVonage(ProviderContract):
    provider = Vonage
    options = {"api_key": "abcd1234", "api_secret": "not-a-real-secret"}
    host = "https://rest.nexmo.com"
    authorization = basic("abcd1234", "not-a-real-secret")["Authorization"]
    path = "/account/numbers"
    documented = json.loads((DATA / "numbers.json").read_text())["body"]
    list_at, number_at = "numbers", "msisdn"
    list_may_be_missing = True
    paging = ByNumber(number="index", size="size", default=10, largest=100, total_at="count")
    side_by_side = True
    unusable = [{"features": features} for features in (["SMS"], ["SMS", "MMS"], [], None, ABSENT)]
    expected = [PhoneNumber("+447700900143"), PhoneNumber("+12025550144", voice=False)]

    def write_number(self, e164: str) -> str:
        return e164.lstrip("+")

    def select(self, items: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
        wanted = asked.params.get("application_id")
        return [item for item in items if wanted is None or item.get("app_id") == wanted]

    @pytest.mark.parametrize(("chosen", "count"), [(None, 2), (APPLICATION, 1), ("another", 0)])
    def test_an_application_chooses_the_account_s_numbers(
        self, chosen: str | None, count: int
    ) -> None:
        assert len(self.account(application_id=chosen).ask(Query())) == count

    @pytest.mark.parametrize(
        "body", [{}, {"count": 0}, {"count": 0, "numbers": None}, {"count": 0, "numbers": []}]
    )
    def test_an_account_without_numbers_has_none(self, body: object) -> None:
        self.spoil = lambda _: Reply(body)
        assert self.account().ask(Query()) == []
        assert len(self.listings()) == 1

    @pytest.mark.parametrize("code", ["401", "420", 500, None])
    def test_an_error_that_comes_as_an_answer_is_no_empty_list(self, code: object) -> None:
        self.spoil = lambda _: Reply({"error-code": code, "error-code-label": "failed"})
        assert type(self.fails()) is Unreadable

    def test_an_answer_that_says_it_succeeded_is_read(self) -> None:
        whole = self.page_of(self.items()) | {"error-code": "200", "error-code-label": "success"}
        self.spoil = lambda _: Reply(whole)
        assert self.account().ask(Query()) == list(self.expected)

    def test_a_number_bought_while_pages_are_read_ends_no_list_early(self) -> None:
        self.listed = [self.make(index) for index in range(200)]
        newest = self.make(200)

        def buy(asked: Asked) -> None:
            if asked.params["index"] == "2":
                self.listed.insert(0, newest)

        self.spoil = buy
        found = {number.number for number in self.account().ask(Query())}
        assert len(found) == 200
        assert len(self.listings()) == 3

    @pytest.mark.parametrize(
        ("msisdn", "voice"),
        [("12025550143", True), ("29099999", True), ("8765432", False), ("54321", False)],
    )
    def test_short_codes_take_no_calls(self, msisdn: str, voice: bool) -> None:
        self.listed = [self.make(0) | {"msisdn": msisdn}]
        assert [number.voice for number in self.account().ask(Query())] == [voice]
