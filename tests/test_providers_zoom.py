"""Zoom Phone: the contract, and what only Zoom does."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from providers.base.http import basic
from providers.base.provider import PhoneNumber, Query
from providers.testing import ABSENT, Asked, ByToken, OAuthContract, Reply
from providers.testing.paging import put
from providers.zoom import Zoom

DATA = Path(__file__).parent / "data" / "zoom"


def documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())["body"]


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class TestZoom(OAuthContract):
    provider = Zoom
    options = {
        "account_id": "the-account-at-zoom",
        "client_id": "the-app",
        "client_secret": "not-a-real-secret",
    }
    authorization = basic("the-app", "not-a-real-secret")["Authorization"]
    form = {"grant_type": "account_credentials", "account_id": "the-account-at-zoom"}
    path = "/v2/phone/numbers"
    documented = documented("numbers")
    list_at, name_at = "phone_numbers", "display_name"
    paging = ByToken(
        size="page_size",
        default=30,
        largest=100,
        total_at="total_records",
        token="next_page_token",
        at="next_page_token",
        last="",
    )
    unusable = [
        *({"status": status} for status in ("pending", "a-status-of-tomorrow", None)),
        *({"capability": can} for can in (["outgoing"], [])),
        {"assignee.type": "emergencyNumberPool"},
    ]
    users_at, email_at = "users", "email"
    params = {"type": "all"}
    host = "https://api.zoom.us"
    users = {
        "a@acme.example": ["Y40mS72DRamFgGh0V1Ul_Q"],
        "A@Acme.example": ["Y40mS72DRamFgGh0V1Ul_Q"],
    }
    rate_limits = [({"Retry-After": iso}, 60)]
    expected = [
        PhoneNumber("+12025550143", "Support", owners=("Y40mS72DRamFgGh0V1Ul_Q",)),
        PhoneNumber("+18555550164"),
        PhoneNumber("+12025550152", "Ordered", voice=False),
    ]

    def other(self, asked: Asked) -> Reply:
        if asked.path != "/v2/phone/users":
            return super().other(asked)
        body = documented("users")
        wanted = asked.params.get("keyword", "").casefold()
        body["users"] = [user for user in body["users"] if wanted in user["email"]]
        return Reply(body)

    def select(self, items: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
        """Zoom's `type`, of whose default nothing is said."""
        kind = asked.params.get("type", "assigned")
        return [item for item in items if kind == "all" or ("assignee" in item)]

    def answering_users(self, user: object) -> None:
        body = documented("users") | {"users": [user]}
        self.spoil = lambda asked: Reply(body) if asked.path.endswith("/users") else None

    def test_no_pending_numbers_are_asked_for(self) -> None:
        self.account().ask(Query())
        assert self.listings()[0].params["pending_numbers"] == "false"

    @pytest.mark.parametrize(
        "kind",
        [
            *("callQueue", "autoReceptionist", "commonArea", "companyLocation", "meetingService"),
            *("sharedLineGroup", "a-kind-of-tomorrow", None),
        ],
    )
    def test_only_users_own_numbers_but_others_take_calls(self, kind: str | None) -> None:
        item = self.make(0)
        item["assignee"]["type"] = kind
        self.listed = [item]
        (number,) = self.account().ask(Query())
        assert (number.voice, number.owners) == (True, ())

    @pytest.mark.parametrize("assignee", [None, ABSENT, {}, {"type": "user"}])
    def test_a_number_that_nobody_has_yet_takes_calls(self, assignee: object) -> None:
        item = self.make(0) | {"assignee": assignee}
        if assignee is ABSENT:
            del item["assignee"]
        self.listed = [item]
        (number,) = self.account().ask(Query())
        assert (number.voice, number.owners) == (True, ())

    @pytest.mark.parametrize("display_name", [None, ""])
    def test_a_number_without_display_name_is_called_as_its_assignee(
        self, display_name: str | None
    ) -> None:
        self.listed = [self.make(0) | {"display_name": display_name}]
        assert [number.name for number in self.account().ask(Query())] == ["A. Example"]

    def test_a_direct_number_needs_no_extension_dialled(self) -> None:
        self.listed = [self.make(0)]
        assert [number.extension for number in self.account().ask(Query())] == [None]

    def test_a_number_without_status_is_read_by_what_it_can_do(self) -> None:
        item = self.make(0)
        del item["status"]
        self.listed = [item]
        assert [number.voice for number in self.account().ask(Query())] == [True]

    @pytest.mark.parametrize("email", ["aa@acme.example", None, ABSENT])
    def test_another_user_in_the_search_s_answer_owns_nothing(self, email: object) -> None:
        user = documented("users")["users"][0] | {"email": email}
        if email is ABSENT:
            del user["email"]
        self.answering_users(user)
        found = self.account().ask(Query(owner="a@acme.example"))
        assert not [number for number in found if "a@acme.example" in number.owners]

    def test_a_user_is_known_by_zoom_s_id_not_by_zoom_phone_s(self) -> None:
        found = self.account().ask(Query(owner="BOSr0vUiTl61WLR-Q_7bUw"))
        assert not [number for number in found if "BOSr0vUiTl61WLR-Q_7bUw" in number.owners]

    def test_users_are_looked_up_for_a_rule_that_names_an_address_alone(self) -> None:
        for query in (Query(), Query(owner="Y40mS72DRamFgGh0V1Ul_Q"), Query(names=("Support",))):
            self.account().ask(query)
        assert len(self.carrier.asked) == 3 * 2  # a token and a listing each

    @pytest.mark.parametrize("capability", [None, ABSENT])
    def test_what_is_not_told_is_no_reason_to_hide_a_number(self, capability: Any) -> None:
        """The vendor's example of an external main number has none."""
        item = self.items()[0]
        put(item, "capability", capability)
        self.listed = [item]
        assert [number.voice for number in self.account().ask(Query())] == [True]

    def test_where_only_the_newest_token_is_good_workers_do_not_refuse_each_other(self) -> None:
        account = self.account()
        assert account.ask(Query())
        refusals = [Reply({"code": 124}, 401)] * 3  # the kept token and two successors are old
        self.spoil = lambda asked: refusals.pop() if asked.path == self.path and refusals else None
        assert account.ask(Query())
        assert self.tokens_asked() == 4
