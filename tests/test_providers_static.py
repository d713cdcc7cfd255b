"""Numbers written in the directory itself."""

import pytest

from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.directory.toml import parse
from helpdesk_numbers.lookup.lookup import Lookup
from providers import PhoneNumber, Query
from providers.base.options import Faults
from providers.static import Static
from providers.testing import LocalContract
from tests.support.accounts import Fixed


class TestStatic(LocalContract):
    provider = Static
    options = {
        "country": "US",
        "numbers": [
            {"number": "(202) 555-0143", "name": "Front desk", "owners": ["anna@acme.example"]},
            {"number": "+12025550100", "extension": "7"},
            {"number": "+12025550101", "voice": False},
        ],
    }
    expected = [
        PhoneNumber("(202) 555-0143", "Front desk", owners=("anna@acme.example",)),
        PhoneNumber("+12025550100", extension="7"),
        PhoneNumber("+12025550101", voice=False),
    ]


def directory(account: str) -> Directory:
    text = f"[accounts.desk]\nprovider = 'static'\n{account}\n[portals.1]\naccounts = ['desk']"
    return parse(text, {"DESK": "+1 202 555 0143"})


def listed(account: str) -> list[tuple[str, str | None, str]]:
    """What a user without a rule sees."""
    found = Lookup(Fixed(directory(account)), 5).look_up(1, 1).numbers
    return [(one.e164, one.extension, one.name) for one in found]


def test_numbers_come_as_written_and_in_order() -> None:
    account = directory("""
        numbers = [
            { number = "+1 202 555 0143", name = "Front desk" },
            { number = "+12025550100", extension = "7", owners = ["anna@acme.example", "1001"] },
            { number = "env:DESK", voice = false },
        ]""").accounts["desk"]
    assert account.ask(Query()) == [
        PhoneNumber("+1 202 555 0143", "Front desk"),
        PhoneNumber("+12025550100", extension="7", owners=("anna@acme.example", "1001")),
        PhoneNumber("+1 202 555 0143", voice=False),
    ]


@pytest.mark.parametrize(
    ("country", "number", "seen"),
    [
        ("", "+1 (202) 555-0143", ("+12025550143", None)),
        ("", "tel:+1-202-555-0143", ("+12025550143", None)),
        ("US", "(202) 555-0143", ("+12025550143", None)),
        ("US", "+44 20 7946 0018", ("+442079460018", None)),
        ("GB", "020 7946 0018", ("+442079460018", None)),
        ("DE", "030 23125 014", ("+493023125014", None)),
        ("", "+1 202 555 0143 ext. 7", ("+12025550143", "7")),
        ("", "+18001231234", ("+18001231234", None)),
    ],
)
def test_any_form_that_people_write_is_read(
    country: str, number: str, seen: tuple[str, str | None]
) -> None:
    account = f"numbers = [{{ number = '{number}' }}]"
    if country:
        account += f"\ncountry = '{country}'"
    assert listed(account) == [(*seen, "")]


@pytest.mark.parametrize(
    ("account", "fault"),
    [
        ("", "accounts.desk.numbers: missing"),
        ("numbers = '+12025550143'", "accounts.desk.numbers: expected a list"),
        ("numbers = ['+12025550143']", "accounts.desk.numbers[0]: expected a table"),
        ("numbers = [{ name = 'Desk' }]", "accounts.desk.numbers[0].number: missing"),
        ("numbers = [{ number = 12025550143 }]", "accounts.desk.numbers[0].number: expected text"),
        ("numbers = [{ number = 'desk' }]", "accounts.desk.numbers[0].number: not a phone number"),
        # seven digits are no whole number, though people dial them
        (
            "numbers = [{ number = '555-0143' }]\ncountry = 'US'",
            "accounts.desk.numbers[0].number: not a phone number",
        ),
        (
            "numbers = [{ number = '+12025550143' }, { number = '(202) 555-0143' }]",
            "accounts.desk.numbers[1].number: not a phone number",
        ),
        (
            "numbers = [{ number = '+12025550143', nmae = 'Desk' }]",
            "accounts.desk.numbers[0].nmae: no such option",
        ),
        ("numbers = []\ncountry = 'us'", "accounts.desk.country: not an ISO 3166-1 alpha-2 code"),
        ("numbers = []\ncountry = 'UK'", "accounts.desk.country: not an ISO 3166-1 alpha-2 code"),
    ],
)
def test_a_fault_is_refused_with_its_place(account: str, fault: str) -> None:
    with pytest.raises(Faults) as caught:
        directory(account)
    assert str(caught.value).startswith(fault)
    assert "555" not in str(caught.value)
