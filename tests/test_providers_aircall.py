"""Aircall: the contract, and what only Aircall does."""

import json
from pathlib import Path

import phonenumbers
import pytest

from providers.aircall import Aircall
from providers.base.http import basic
from providers.base.provider import PhoneNumber, Query
from providers.testing import ABSENT, ByLink, ProviderContract

DATA = Path(__file__).parent / "data" / "aircall"


class TestAircall(ProviderContract):
    provider = Aircall
    options = {"api_id": "the-id-of-a-key", "api_token": "not-a-real-token"}
    host = "https://api.aircall.io"
    authorization = basic("the-id-of-a-key", "not-a-real-token")["Authorization"]
    path = "/v1/numbers"
    documented = json.loads((DATA / "numbers.json").read_text())["body"]
    list_at, number_at, name_at = "numbers", "digits", "name"
    paging = ByLink(
        size="per_page",
        default=20,
        largest=50,
        total_at="meta.total",
        at="meta.next_page_link",
        number="page",
        absolute=True,
    )
    side_by_side = True
    unusable = []  # nothing that Aircall says makes a number unusable
    rate_limits = [({"X-AircallApi-Reset": lambda at: str(int(at.timestamp()))}, 60)]
    expected = [
        PhoneNumber(
            "+1 202-555-0143",
            "Support line",
            owners=("456", "a@acme.example", "457", "b@acme.example"),
        ),
        PhoneNumber("+1 202-555-0144", "Main menu"),
    ]

    def write_number(self, e164: str) -> str:
        form = phonenumbers.PhoneNumberFormat.INTERNATIONAL
        return phonenumbers.format_number(phonenumbers.parse(e164), form)

    @pytest.mark.parametrize(
        ("digits", "e164_digits", "number"),
        [
            ("+1 202-555-0143", "+12025550143", "+12025550143"),
            ("(202) 555-0143", "+12025550143", "+12025550143"),
            ("+1 202-555-0143", None, "+1 202-555-0143"),
            ("+1 202-555-0143", "", "+1 202-555-0143"),
        ],
    )
    def test_e164_digits_go_before_those_for_display(
        self, digits: str, e164_digits: str | None, number: str
    ) -> None:
        self.listed = [self.make(0) | {"digits": digits, "e164_digits": e164_digits}]
        assert [found.number for found in self.account().ask(Query())] == [number]

    @pytest.mark.parametrize("availability", ["open", "custom", "closed", None, ABSENT])
    @pytest.mark.parametrize("is_open", [True, False])
    def test_a_number_outside_its_opening_hours_stays(
        self, availability: object, is_open: bool
    ) -> None:
        item = self.make(0) | {"open": is_open, "availability_status": availability}
        if availability is ABSENT:
            del item["availability_status"]
        self.listed = [item]
        assert [number.voice for number in self.account().ask(Query())] == [True]

    @pytest.mark.parametrize(
        ("users", "owners"),
        [
            (None, ()),
            ([], ()),
            ([{"id": 456, "email": None}], ("456",)),
            ([{"email": "a@acme.example"}], ("a@acme.example",)),
            ([{"name": "A. Example"}], ()),
        ],
    )
    def test_users_without_id_or_address_are_survived(
        self, users: object, owners: tuple[str, ...]
    ) -> None:
        self.listed = [self.make(0) | {"users": users}]
        assert [number.owners for number in self.account().ask(Query())] == [owners]

    def test_an_address_needs_no_search_for_its_user(self) -> None:
        self.account().ask(Query(owner="a@acme.example"))
        assert len(self.carrier.asked) == 1
