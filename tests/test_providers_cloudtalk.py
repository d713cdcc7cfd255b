"""CloudTalk: the contract, and what only CloudTalk does."""

import json
from pathlib import Path
from typing import Any

import pytest

from providers.base.http import basic
from providers.base.provider import PhoneNumber, Query
from providers.cloudtalk import CloudTalk
from providers.testing import Asked, ByNumber, ProviderContract, Reply
from providers.testing.paging import put

DATA = Path(__file__).parent / "data" / "cloudtalk"


def documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())["body"]


class TestCloudTalk(ProviderContract):
    provider = CloudTalk
    options = {"access_key_id": "the-key-s-id", "access_key_secret": "not-a-real-secret"}
    authorization = basic("the-key-s-id", "not-a-real-secret")["Authorization"]
    path = "/api/numbers/index.json"
    host = "https://my.cloudtalk.io"
    documented = documented("numbers")
    list_at = "responseData.data"
    number_at, name_at = "CallNumber.caller_id_e164", "CallNumber.internal_name"
    paging = ByNumber(
        number="page",
        size="limit",
        default=30,
        largest=1000,
        page_at="responseData.pageNumber",
        pages_at="responseData.pageCount",
        size_at="responseData.limit",
        total_at="responseData.itemsCount",
    )
    unusable = [{"CallNumber.connected_to": other} for other in ("3", 3, "4", None)]
    rate_limits = [({"X-CloudTalkAPI-ResetTime": lambda at: str(int(at.timestamp()))}, 60)]
    users_at, email_at = "responseData.data", "Agent.email"
    users = {"a@acme.example": ["4"], "A@Acme.example": ["4"]}
    expected = [
        PhoneNumber("+12025550143", "Sales support", owners=("4",)),
        PhoneNumber("+12025550144", "Support"),  # of group 4, not of agent 4
        PhoneNumber("+12025550145", "Fax", voice=False),
    ]

    def write_number(self, e164: str) -> int:
        return int(e164)

    def other(self, asked: Asked) -> Reply:
        if asked.path != "/api/agents/index.json":
            return super().other(asked)
        return Reply(documented("agents"))

    @pytest.mark.parametrize("connected_to", ["0", 0, "1", 1, "2", 2])
    def test_what_is_connected_to_no_fax_takes_calls(self, connected_to: object) -> None:
        self.listed = [self.make(0)]
        put(self.listed[0], "CallNumber.connected_to", connected_to)
        (number,) = self.account().ask(Query())
        assert number.voice
        assert number.owners == (("4",) if str(connected_to) == "1" else ())

    def test_agents_are_asked_for_by_the_largest_page(self) -> None:
        self.account().ask(Query(owner="a@acme.example"))
        (agents,) = [asked for asked in self.carrier.asked if asked.path != self.path]
        assert agents.params == {"limit": "1000"}
