"""Dialpad: the contract, and what only Dialpad does."""

import json
from pathlib import Path
from typing import Any

import pytest

from providers.base.provider import PhoneNumber, Query
from providers.dialpad import Dialpad
from providers.testing import ABSENT, Asked, ByToken, ProviderContract, Reply

DATA = Path(__file__).parent / "data" / "dialpad"


def documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())["body"]


class TestDialpad(ProviderContract):
    provider = Dialpad
    options = {"api_key": "not-a-real-key"}
    authorization = "Bearer not-a-real-key"
    path = "/api/v2/numbers"
    documented = documented("numbers")
    list_at = "items"
    paging = ByToken(largest=100, token="cursor", at="cursor")  # the size is Dialpad's to choose
    list_may_be_missing = True
    unusable = [{"status": "pending"}, {"status": "porting"}, {"deleted": True}]
    users_at, email_at = "items", "emails"
    host = "https://dialpad.com"
    users = {
        "a@acme.example": ["2"],
        "A@Acme.example": ["2"],
        "a.example@acme.example": ["2"],
    }
    expected = [
        PhoneNumber("+12025550143", owners=("2",)),
        PhoneNumber("+12025550144"),
        PhoneNumber("+12025550145", voice=False),
    ]

    def other(self, asked: Asked) -> Reply:
        if asked.path != "/api/v2/users":
            return super().other(asked)
        wanted = asked.params.get("email", "").casefold()
        found = [user for user in documented("users")["items"] if wanted in ("", *user["emails"])]
        return Reply({"items": found}) if found else Reply(b"", 204)

    def answering_users(self, body: object) -> None:
        self.spoil = lambda asked: Reply(body) if asked.path.endswith("/users") else None

    @pytest.mark.parametrize("company", [None, "4508591728425653"])
    def test_a_company_is_named_in_every_request(self, company: str | None) -> None:
        self.listed = [self.make(index) for index in range(101)]
        self.account(company_id=company).ask(Query(owner="a@acme.example"))
        assert [asked.headers["DP-Company-ID"] for asked in self.carrier.asked] == [company] * 3

    @pytest.mark.parametrize(
        "status",
        [
            *("available", "call_center", "call_router", "department", "dynamic_caller"),
            *("office", "room", "user", "an-assignment-of-tomorrow", None),
        ],
    )
    def test_a_number_takes_calls_whatever_it_is_assigned_to(self, status: str | None) -> None:
        self.listed = [self.make(0) | {"status": status}]
        assert [number.voice for number in self.account().ask(Query())] == [True]

    @pytest.mark.parametrize("target_id", ["2", 2])
    def test_an_id_is_the_same_as_text_and_as_number(self, target_id: object) -> None:
        self.listed = [self.make(0) | {"target_id": target_id}]
        (number,) = self.account().ask(Query(owner="a@acme.example"))
        assert number.owners == ("2", "a@acme.example", "a.example@acme.example")

    @pytest.mark.parametrize("target_type", ["office", "callcenter", "department", None, ABSENT])
    def test_what_is_no_user_owns_nothing(self, target_type: object) -> None:
        item = self.make(0) | {"target_type": target_type}
        if target_type is ABSENT:
            del item["target_type"]
        self.listed = [item]
        assert [number.owners for number in self.account().ask(Query(owner="2"))] == [()]

    @pytest.mark.parametrize("body", [{}, {"items": None}, {"items": [], "cursor": None}])
    def test_a_company_without_numbers_is_no_failure(self, body: object) -> None:
        self.spoil = lambda _: Reply(body)
        assert self.account().ask(Query()) == []

    @pytest.mark.parametrize("cursor", [None, "", ABSENT])
    def test_a_page_without_cursor_is_the_last(self, cursor: object) -> None:
        body = documented("numbers") | ({} if cursor is ABSENT else {"cursor": cursor})
        self.spoil = lambda _: Reply(body)
        assert len(self.account().ask(Query())) == 3

    @pytest.mark.parametrize("emails", [None, [], ["aa@acme.example"], ABSENT])
    def test_another_user_in_the_search_s_answer_owns_nothing(self, emails: object) -> None:
        user = documented("users")["items"][0] | {"emails": emails}
        if emails is ABSENT:
            del user["emails"]
        self.answering_users({"items": [user]})
        found = self.account().ask(Query(owner="a@acme.example"))
        assert not [number for number in found if "a@acme.example" in number.owners]

    def test_a_user_s_own_phones_are_never_offered(self) -> None:
        found = self.account().ask(Query(owner="a@acme.example"))
        assert "+12025550177" not in [number.number for number in found]

    def test_the_search_sends_no_limit(self) -> None:
        self.account().ask(Query(owner="a@acme.example"))
        (search,) = (asked for asked in self.carrier.asked if asked.path.endswith("users"))
        assert search.params == {"email": "a@acme.example"}
