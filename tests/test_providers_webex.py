"""Webex Calling: the contract, and what only Webex does."""

import json
from pathlib import Path
from typing import Any

import pytest

from providers.base.provider import PhoneNumber, Query
from providers.testing import Asked, ByLinkHeader, OAuthContract, Reply
from providers.testing.paging import put
from providers.webex import Webex

DATA = Path(__file__).parent / "data" / "webex"
ANNA = "Y2lzY29zcGFyazovL3VzL1BFT1BMRS8wMDAwMDAwMS0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDE"


def documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())["body"]


class TestWebex(OAuthContract):
    provider = Webex
    options = {
        "client_id": "the-app",
        "client_secret": "not-a-real-secret",
        "refresh_token": "not-a-real-refresh-token",
    }
    authorization = ""
    form = {"grant_type": "refresh_token", **options}
    path = "/v1/telephony/config/numbers"
    host = "https://webexapis.com"
    documented = documented("numbers")
    list_at, number_at, name_at = "phoneNumbers", "phoneNumber", "owner.displayName"
    paging = ByLinkHeader(largest=2000, total_at="count.total")
    unusable = [
        *({"state": state} for state in ("INACTIVE", "a-state-of-tomorrow", None)),
        {"phoneNumberType": "FAX"},
        {"owner": None},
        *({"owner.type": kind} for kind in ("a-kind-of-tomorrow", None)),
    ]
    users_at, email_at = "items", "emails"
    users = {"a@acme.example": [ANNA], "A@Acme.example": [ANNA]}
    expected = [
        PhoneNumber("+12025550143", "A. Example", owners=(ANNA,)),
        PhoneNumber("+12025550144", "Washington", voice=False),
        PhoneNumber("", "Sales"),
    ]

    def other(self, asked: Asked) -> Reply:
        if asked.path != "/v1/people":
            return super().other(asked)
        wanted = asked.params.get("email", "").casefold()
        items = documented("people")["items"]
        return Reply({"items": [user for user in items if wanted in ("", *user["emails"])]})

    @pytest.mark.parametrize(
        "kind", ["PLACE", "VIRTUAL_LINE", "AUTO_ATTENDANT", "CALL_QUEUE", "HUNT_GROUP"]
    )
    def test_what_belongs_to_no_person_takes_calls_and_has_no_owner(self, kind: str) -> None:
        self.listed = [self.make(0)]
        put(self.listed[0], "owner.type", kind)
        (number,) = self.account().ask(Query(owner="a@acme.example"))
        assert (number.voice, number.owners) == (True, ())

    def test_numbers_and_users_are_asked_for_without_what_a_link_may_lose(self) -> None:
        self.account().ask(Query(owner="a@acme.example"))
        asked = {asked.path: asked.params for asked in self.carrier.asked if not asked.body}
        assert asked == {self.path: {}, "/v1/people": {"email": "a@acme.example"}}

    def test_a_refresh_token_that_is_replaced_is_used_from_then_on_and_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sent, said = [], []

        def replace(asked: Asked) -> Reply | None:
            if asked.path != self.token_path:
                return None
            sent.append(asked.form["refresh_token"])
            said.append(f"token-{len(sent)}-of-the-account")
            self.valid = {said[-1]}
            refresh = f"not-a-real-refresh-token-{len(sent) // 2}"
            return Reply({"access_token": said[-1], "expires_in": 0, "refresh_token": refresh})

        self.spoil = replace
        account = self.account()
        for _ in range(4):
            account.ask(Query())
        assert sent == [
            "not-a-real-refresh-token",
            "not-a-real-refresh-token-0",
            "not-a-real-refresh-token-1",
            "not-a-real-refresh-token-1",
        ]
        told = [record.getMessage() for record in caplog.records if record.name.endswith("oauth")]
        assert len(told) == 3
        assert all(line.startswith("account the-account: webex replaced") for line in told)
        assert not [line for line in told if "not-a-real" in line]

    def test_the_same_refresh_token_again_is_no_news(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.valid = {"token-by-hand"}
        said = {"access_token": "token-by-hand", "refresh_token": self.options["refresh_token"]}
        self.spoil = lambda asked: Reply(said) if asked.path == self.token_path else None
        assert self.account().ask(Query())
        assert not [record for record in caplog.records if record.name.endswith("oauth")]
