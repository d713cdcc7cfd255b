"""RingCentral: the contract, and what only RingCentral does."""

import json
from pathlib import Path
from typing import Any

import pytest

from providers.base.http import basic
from providers.base.provider import PhoneNumber, Query
from providers.ringcentral import RingCentral
from providers.testing import ABSENT, Asked, ByNumber, OAuthContract, Reply

DATA = Path(__file__).parent / "data" / "ringcentral"
NO_CALLS = [
    *("CompanyFaxNumber", "ForwardedNumber", "ForwardedCompanyNumber", "ConferencingNumber"),
    *(
        "MeetingsNumber",
        "Inventory",
        "InventoryMobileNumber",
        "NumberPool",
        "NumberStorage",
        "ELIN",
    ),
]


def documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())["body"]


class TestRingCentral(OAuthContract):
    provider = RingCentral
    options = {
        "client_id": "the-app",
        "client_secret": "not-a-real-secret",
        "jwt": "not.a-real.jwt",
    }
    authorization = basic("the-app", "not-a-real-secret")["Authorization"]
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "not.a-real.jwt",
    }
    path = "/restapi/v1.0/account/~/phone-number"
    documented = documented("phone-number")
    list_at, number_at, name_at = "records", "phoneNumber", "label"
    paging = ByNumber(
        number="page",
        size="perPage",
        default=100,
        largest=1000,
        page_at="paging.page",
        pages_at="paging.totalPages",
        size_at="paging.perPage",
        total_at="paging.totalElements",
    )
    unusable = [
        *({"status": status} for status in ("Pending", "PortedIn", "Temporary", "Unknown", None)),
        {"type": "FaxOnly"},
        {"paymentType": "External"},
        *({"usageType": usage} for usage in NO_CALLS),
    ]
    users_at, email_at = "records", "contact.email"
    host = "https://platform.ringcentral.com"
    users = {"a@acme.example": ["435068008"], "A@Acme.example": ["435068008"]}
    expected = [
        PhoneNumber("+12025550143", "Front desk", owners=("435068008",)),
        PhoneNumber("+18555550164"),
        PhoneNumber("+12025550152", voice=False),
    ]

    def write_number(self, e164: str) -> str:
        return e164.lstrip("+")

    def other(self, asked: Asked) -> Reply:
        if asked.path != "/restapi/v1.0/account/~/extension":
            return super().other(asked)
        body = documented("extension")
        wanted = asked.params.get("email", "").casefold()
        body["records"] = [
            user for user in body["records"] if wanted in ("", user["contact"]["email"].casefold())
        ]
        return Reply(body)

    @pytest.mark.parametrize(
        "usage",
        [
            *("MainCompanyNumber", "AdditionalCompanyNumber", "CompanyNumber", "DirectNumber"),
            *("PhoneLine", "ContactCenterNumber", "BusinessMobileNumber", "ANumberOfTomorrow"),
        ],
    )
    @pytest.mark.parametrize("kind", ["VoiceFax", "VoiceAndFax", "VoiceOnly", None])
    def test_a_number_that_takes_calls_is_usable(self, usage: str, kind: str | None) -> None:
        self.listed = [self.make(0) | {"usageType": usage, "type": kind}]
        assert [number.voice for number in self.account().ask(Query())] == [True]

    @pytest.mark.parametrize(
        ("label", "name"), [("Front desk", "Front desk"), (None, "A. Example"), ("", "A. Example")]
    )
    def test_a_number_without_label_is_called_as_its_extension(
        self, label: str | None, name: str
    ) -> None:
        self.listed = [self.make(0) | {"label": label}]
        assert [number.name for number in self.account().ask(Query())] == [name]

    def test_a_direct_number_needs_no_extension_dialled(self) -> None:
        self.listed = [self.make(0)]
        assert [number.extension for number in self.account().ask(Query())] == [None]

    def test_another_user_in_the_search_s_answer_owns_nothing(self) -> None:
        body = documented("extension")
        body["records"][0]["contact"]["email"] = "aa@acme.example"
        self.spoil = lambda asked: Reply(body) if asked.path.endswith("/extension") else None
        found = self.account().ask(Query(owner="a@acme.example"))
        assert not [number for number in found if "a@acme.example" in number.owners]

    @pytest.mark.parametrize("contact", [None, ABSENT, {}, {"email": None}])
    def test_extensions_without_address_are_passed_over(self, contact: object) -> None:
        body = documented("extension")
        nameless = {"id": 1} | ({} if contact is ABSENT else {"contact": contact})
        body["records"].insert(0, nameless)
        self.spoil = lambda asked: Reply(body) if asked.path.endswith("/extension") else None
        found = self.account().ask(Query(owner="a@acme.example"))
        assert found[0].owners == ("435068008", "a@acme.example")

    def test_users_are_looked_up_for_a_rule_that_names_an_address_alone(self) -> None:
        for query in (Query(), Query(owner="435068008"), Query(names=("Front*",))):
            self.account().ask(query)
        assert len(self.carrier.asked) == 3 * 2  # a token and a listing each

    @pytest.mark.parametrize("count", [0, 999, 1000, 1001, 2500])
    def test_pages_are_read_though_their_total_is_left_out(self, count: int) -> None:
        listed = [self.make(index) for index in range(count)]
        self.listed = listed

        def without_total(asked: Asked) -> Reply | None:
            if asked.path != self.path:
                return None
            shown = self.paging.shown(asked, listed)
            body = self.body(shown) if shown else {}
            del body["paging"]
            return Reply(body)

        self.spoil = without_total
        assert len(self.account().ask(Query())) == count
