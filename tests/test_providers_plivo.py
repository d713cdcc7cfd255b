"""Plivo: the contract, and what only Plivo does."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from providers.base.http import basic
from providers.base.options import Problems, build
from providers.base.provider import PhoneNumber, Query
from providers.plivo import Plivo
from providers.testing import Asked, ByLink, ProviderContract, Reply

DATA = Path(__file__).parent / "data" / "plivo"
MAIN, SUB = "MA" + "X" * 18, "SA" + "X" * 18


class TestPlivo(ProviderContract):
    provider = Plivo
    options = {"auth_id": MAIN, "auth_token": "not-a-real-token"}
    host = "https://api.plivo.com"
    authorization = basic(MAIN, "not-a-real-token")["Authorization"]
    path = f"/v1/Account/{MAIN}/Number/"
    documented = json.loads((DATA / "Number.json").read_text())["body"]
    list_at, number_at, name_at = "objects", "number", "alias"
    paging = ByLink(
        at="meta.next",
        offset="offset",
        size="limit",
        default=20,
        largest=20,
        total_at="meta.total_count",
    )
    side_by_side = True
    unusable = [
        *({"voice_enabled": value} for value in (False, None, "true")),
        {"active": False},
    ]
    expected = [
        PhoneNumber("+12025550143", "Front desk"),
        PhoneNumber("+14155550106", voice=False),
        PhoneNumber("+18005550108"),
    ]

    def write_number(self, e164: str) -> str:
        return e164.lstrip("+")

    def select(self, items: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
        wanted = asked.params.get("subaccount")
        return [item for item in items if wanted is None or item["sub_account"] == wanted]

    def test_a_subaccount_s_numbers_are_chosen(self) -> None:
        self.listed = [self.make(0), self.make(1) | {"sub_account": SUB}]
        found = self.account(subaccount=SUB).ask(Query())
        assert [number.name for number in found] == ["Line 1"]

    def test_a_subaccount_s_own_credentials_list_its_numbers(self) -> None:
        whole = self.page_of(self.items())
        asked_by_itself = basic(SUB, "its-own-token")["Authorization"]

        def subaccount(asked: Asked) -> Reply:
            known = asked.headers["Authorization"] == asked_by_itself
            return Reply(whole) if known and SUB in asked.path else Reply({}, 401)

        self.spoil = subaccount
        account = self.account(auth_id=SUB, auth_token="its-own-token")
        assert account.ask(Query()) == list(self.expected)

    def test_an_empty_next_link_is_the_end(self) -> None:
        body = self.page_of([self.make(0)])
        body["meta"]["next"] = ""
        self.spoil = lambda _: Reply(body)
        assert len(self.account().ask(Query())) == 1
        assert len(self.listings()) == 1

    @pytest.mark.parametrize("by", ["offset", "cursor"])
    def test_pages_may_be_led_to_by_offset_or_cursor(self, by: str) -> None:
        listed = [self.make(index) for index in range(41)]

        def leads(asked: Asked) -> Reply:
            if "cursor" in asked.params and "offset" in asked.params:
                return Reply(self.page_of(listed[:20]))  # as the vendor's SDK warns
            start = int(asked.params.get(by, 0))
            body = self.page_of(listed[start : start + 20])
            if start + 20 < len(listed):
                following = urlencode({"limit": 20, by: start + 20})
                body["meta"]["next"] = f"{self.path}?{following}"
            return Reply(body)

        self.spoil = leads
        found = self.account().ask(Query())
        assert [number.name for number in found] == [f"Line {index}" for index in range(41)]
        assert len(self.listings()) == 3
        assert self.listings()[0].params == {"limit": "20"}

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("auth_id", "MA123"),
            ("auth_id", f"{MAIN}/../x"),
            ("auth_id", f"{MAIN}\n"),
            ("subaccount", MAIN),
            ("subaccount", "sales"),
        ],
    )
    def test_an_id_that_cannot_be_one_is_named(self, option: str, value: str) -> None:
        problems = Problems()
        given = {**self.options, option: value}
        assert build(Plivo.Options, given, problems) is None
        assert problems.lines[0].startswith(f"{option}: ")
        assert "20 characters in all" in problems.lines[0]
