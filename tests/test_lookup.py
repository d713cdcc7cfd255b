"""The lookup: accounts side by side, one deadline, and what is left out."""

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from helpdesk_numbers.directory.model import Directory, Portal, Rule
from helpdesk_numbers.lookup import result as result_module
from helpdesk_numbers.lookup.lookup import Lookup
from hubspot.names import friendly_names
from providers.base.errors import ProviderError, Unreachable
from providers.base.provider import Deadline, PhoneNumber, Provider, Query, UnreadNumber
from tests.support.accounts import (
    ALL,
    EAST,
    SALES,
    WEST,
    Fixed,
    Immediate,
    Obedient,
    found,
    gives,
    look_up,
    lookup_of,
    sleeps,
)

# Side by side


def test_accounts_are_asked_side_by_side() -> None:
    accounts = [Obedient(f"a{n}", sleeps(0.3, f"+120255501{n:02}")) for n in range(3)]
    started = time.monotonic()
    result = look_up(*accounts)
    assert time.monotonic() - started < 0.8
    assert found(result) == ["+12025550100", "+12025550101", "+12025550102"]


def test_the_portals_order_counts_not_who_answers_first() -> None:
    accounts = [Obedient("slow", sleeps(0.1, EAST)), Obedient("quick", gives(WEST, SALES))]
    for _ in range(3):
        assert found(look_up(*accounts)) == [EAST, WEST, SALES]


def test_a_hanging_adapter_is_late_at_the_deadline(released: threading.Event) -> None:
    def hang(_: Query) -> list[PhoneNumber]:
        released.wait(30)
        return []

    started = time.monotonic()
    result = look_up(
        Obedient("hangs", hang), Obedient("desk", gives(EAST)), rule=Rule(), deadline_s=0.3
    )
    assert time.monotonic() - started < 1.2
    assert found(result) == [EAST]
    assert result.source == "partial"
    late = result.outcomes[0]
    assert (late.account, late.provider, late.outcome) == ("hangs", "obedient", "unreachable")
    assert late.error
    assert (late.error.account, late.error.provider) == ("hangs", "obedient")
    assert late.ms >= 300


def test_an_accounts_time_is_its_own_not_that_of_those_listed_before_it() -> None:
    result = look_up(Obedient("slow", sleeps(0.4, EAST)), Obedient("quick", gives(WEST)))
    slow, quick = result.outcomes
    assert slow.ms >= 400
    assert quick.ms < 300


def test_an_adapter_that_yields_for_ever_ends_at_the_deadline() -> None:
    def endless(_: Query) -> Iterator[PhoneNumber]:
        for _page in range(300):
            time.sleep(0.01)
            yield PhoneNumber(EAST)

    started = time.monotonic()
    result = look_up(Obedient("endless", endless), deadline_s=0.3)
    assert time.monotonic() - started < 1.2
    assert isinstance(result.failure, Unreachable)
    assert "not all pages" in str(result.failure)


def test_the_deadline_includes_the_wait_for_a_thread(released: threading.Event) -> None:
    def hang(_: Query) -> list[PhoneNumber]:
        released.wait(30)
        return [PhoneNumber(EAST)]

    hanging = [Obedient(f"hangs-{count}", hang) for count in range(5)]
    lookup = lookup_of(*hanging, deadline_s=0.2, threads=1)  # which asks four at a time
    started = time.monotonic()
    assert isinstance(lookup.look_up(62515, 1).failure, Unreachable)
    assert time.monotonic() - started < 1.2
    released.set()
    assert found(lookup.look_up(62515, 1)) == [EAST]


def test_a_fixed_account_answers_where_it_is_asked() -> None:
    asked_in: list[str] = []

    def tell(_: Query) -> list[PhoneNumber]:
        asked_in.append(threading.current_thread().name)
        return [PhoneNumber(EAST)]

    assert found(look_up(Immediate("desk", tell))) == [EAST]
    assert asked_in == [threading.current_thread().name]


def desk(number: str) -> Directory:
    rules = {1: Rule(), 2: Rule(numbers=(number,)), 3: Rule(numbers=("+12025550199",))}
    account = Immediate("desk", gives(EAST, WEST))
    return Directory({"desk": account}, {62515: Portal(("desk",), "all", rules)})


@pytest.mark.parametrize("most", [(1_000, 50), (1, 50), (1_000, 1)])
def test_what_is_kept_of_fixed_accounts_is_each_users_and_of_the_directory_in_force(
    most: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_module, "MAX_STATIC_RESULTS", most[0])
    monkeypatch.setattr(result_module, "MAX_STATIC_NUMBERS", most[1])
    directories = Fixed(desk(EAST))
    lookup = Lookup(directories, 10)
    for _ in range(2):
        assert [found(lookup.look_up(62515, user)) for user in (1, 2, 3)] == [
            [EAST, WEST],
            [EAST],
            [],
        ]
    assert len(lookup.look_up(62515, 3, full=True).left_out) == 2
    directories.directory = desk(WEST)
    for _ in range(2):
        assert [found(lookup.look_up(62515, user)) for user in (1, 2, 3)] == [
            [EAST, WEST],
            [WEST],
            [],
        ]


def test_of_fixed_accounts_beside_others_nothing_is_known() -> None:
    answers = iter([[PhoneNumber(EAST)], [PhoneNumber(WEST)]])
    lookup = lookup_of(Immediate("desk", gives()), Obedient("acme", lambda _: next(answers)))
    assert [found(lookup.look_up(62515, 1)) for _ in range(2)] == [[EAST], [WEST]]


# The query


def test_an_adapter_gets_the_rule_and_the_deadline() -> None:
    account = Obedient("acme", gives())
    look_up(account, rule=Rule((EAST,), ("Sales*",), "anna@acme.example"), deadline_s=3)
    query = account.queries[0]
    assert (query.numbers, query.names, query.owner) == ((EAST,), ("Sales*",), "anna@acme.example")
    assert 2 < query.deadline.left() <= 3


def test_a_number_that_a_rule_names_twice_is_wanted_once() -> None:
    account = Obedient("acme", gives(EAST))
    look_up(account, rule=Rule((EAST, WEST, EAST)))
    assert account.queries[0].numbers == (EAST, WEST)


def test_a_full_lookup_asks_for_everything() -> None:
    account = Obedient("acme", lambda query: [PhoneNumber(one) for one in query.numbers or ALL])
    lookup = lookup_of(account, rule=Rule((EAST,)))
    assert lookup.look_up(62515, 1).left_out == []
    result = lookup.look_up(62515, 1, full=True)
    assert found(result) == [EAST]
    assert [one.number for one in result.left_out] == [WEST, SALES]


# Rules and what is left out


PEOPLE = gives(
    PhoneNumber(EAST, "Support East", owners=("anna@acme.example",)),
    PhoneNumber(WEST, "Support West", owners=("1007", "Anna@ACME.example")),
    PhoneNumber(SALES, "Sales"),
)


@pytest.mark.parametrize(
    ("rule", "expected", "reasons"),
    [
        (Rule(), [EAST, WEST, SALES], []),
        (Rule(numbers=(WEST,)), [WEST], ["not among the rule's numbers"] * 2),
        (Rule(names=("support*",)), [EAST, WEST], ["matches none of the rule's names"]),
        (Rule(owner="1007"), [WEST], ["not owned by the rule's owner"] * 2),
        (Rule(owner="anna@acme.example"), [EAST, WEST], ["not owned by the rule's owner"]),
        (Rule(names=("s*",), owner="1007", numbers=(EAST,)), [], None),
    ],
)
def test_the_rule_holds_whatever_the_adapter_returns(
    rule: Rule, expected: list[str], reasons: list[str] | None
) -> None:
    result = look_up(Obedient("acme", PEOPLE), rule=rule)
    assert found(result) == expected
    if reasons is not None:
        assert [one.reason for one in result.left_out] == reasons
        assert {one.account for one in result.left_out} <= {"acme"}


def test_a_number_that_cannot_take_calls_is_left_out() -> None:
    result = look_up(Obedient("acme", gives(PhoneNumber(EAST, voice=False), WEST)))
    assert found(result) == [WEST]
    assert [(one.number, one.reason) for one in result.left_out] == [(EAST, "cannot take calls")]


@pytest.mark.parametrize(
    "number",
    ["", "desk", "+", "555-0143", "+123456", "+99912025550143", "911", "sip:a@b.example"],
)
def test_what_is_no_number_is_left_out(number: str) -> None:
    result = look_up(Obedient("acme", gives(number, EAST), country="US"))
    assert found(result) == [EAST]
    assert [(one.number, one.reason) for one in result.left_out] == [(number, "not a phone number")]


def test_national_numbers_are_read_by_the_accounts_country() -> None:
    result = look_up(
        Obedient("us", gives("(202) 555-0143"), country="US"),
        Obedient("gb", gives("020 7946 0018"), country="GB"),
        Obedient("none", gives("(202) 555-0144")),
    )
    assert found(result) == [EAST, "+442079460018"]
    assert [one.account for one in result.left_out] == ["none"]


def test_of_duplicates_the_first_account_wins() -> None:
    result = look_up(
        Obedient("first", gives(PhoneNumber(EAST, "East of first"), EAST)),
        Obedient("second", gives(PhoneNumber("+1 (202) 555-0143", "East of second"), WEST)),
    )
    assert [(one.e164, one.name, one.account) for one in result.numbers] == [
        (EAST, "East of first", "first"),
        (WEST, "", "second"),
    ]
    assert [(one.account, one.reason) for one in result.left_out] == [
        ("first", "listed already"),
        ("second", "listed already"),
    ]


def test_a_number_left_out_of_one_account_may_come_from_another() -> None:
    result = look_up(
        Obedient("sms", gives(PhoneNumber(EAST, voice=False))), Obedient("voice", gives(EAST))
    )
    assert [(one.e164, one.account) for one in result.numbers] == [(EAST, "voice")]


def test_extensions_are_numbers_of_their_own() -> None:
    result = look_up(
        Obedient(
            "acme",
            gives(
                PhoneNumber(EAST, extension="7"),
                PhoneNumber(EAST, extension=""),
                PhoneNumber(EAST, extension=None),
                f"{EAST} ext. 7",
                f"{EAST};ext=8",
            ),
        )
    )
    assert [(one.e164, one.extension) for one in result.numbers] == [
        (EAST, "7"),
        (EAST, None),
        (EAST, "8"),
    ]


@pytest.mark.parametrize("text", ["🇩🇪" * 10_000, "a\u0301" * 50_000, "x" * 8_000_000])
def test_a_name_of_any_length_takes_no_time(text: str) -> None:
    """A carrier's name of 20,000 flags took 43 s to be cut to 24 characters."""
    started = time.monotonic()
    (number,) = look_up(Obedient("acme", gives(PhoneNumber(EAST, text)))).numbers
    (name,) = friendly_names([(number.name, number.e164)])
    assert name
    assert time.monotonic() - started < 1


ODD = cast("Any", PhoneNumber)


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (ODD(None, None), []),
        (ODD(12025550143, 7, 7), [("+12025550143", "7", "7")]),
        (ODD(f" {EAST} ", "  East  ", " "), [(EAST, None, "East")]),
        (ODD(EAST, owners=None), [(EAST, None, "")]),
        (ODD(EAST, owners=(None, 1007)), [(EAST, None, "")]),
    ],
)
def test_odd_fields_survive(odd: PhoneNumber, expected: list[tuple[str, str | None, str]]) -> None:
    result = look_up(Obedient("acme", gives(odd), country="US"))
    assert [(one.e164, one.extension, one.name) for one in result.numbers] == expected


def test_odd_owners_are_compared_as_text() -> None:
    odd = gives(ODD(EAST, owners=(None, 1007)), ODD(WEST, owners=None))
    assert found(look_up(Obedient("acme", odd), rule=Rule(owner="1007"))) == [EAST]


# Accounts come and go


def test_an_account_that_left_the_directory_is_forgotten() -> None:
    account = Obedient("acme", gives(EAST))
    portals = {62515: Portal(("acme",))}
    directories = Fixed(Directory({"acme": account}, portals))
    lookup = Lookup(directories, 10)
    assert found(lookup.look_up(62515, 1)) == [EAST]
    gone = weakref.ref(account)
    account = Obedient("acme", gives(WEST))
    directories.directory = Directory({"acme": account}, portals)
    assert found(lookup.look_up(62515, 1)) == [WEST]
    deadline = time.monotonic() + 5
    while gone() and time.monotonic() < deadline:  # the thread lets go of its call
        gc.collect()
        time.sleep(0.01)
    assert gone() is None


# Nobody to ask


@pytest.mark.parametrize("rule", [Rule(numbers=()), Rule(names=()), Rule(accounts=())])
def test_an_empty_rule_asks_nobody(rule: Rule) -> None:
    account = Obedient("acme", gives(EAST))
    result = look_up(account, rule=rule)
    assert (result.numbers, result.outcomes, result.failure) == ([], [], None)
    assert result.source == "live"
    assert account.queries == []


def test_a_rule_of_accounts_asks_only_those() -> None:
    mine, other = Obedient("mine", gives(EAST)), Obedient("other", gives(WEST))
    assert found(look_up(other, mine, rule=Rule(accounts=("mine",)))) == [EAST]
    assert other.queries == []


def test_another_portal_asks_nobody() -> None:
    account = Obedient("acme", gives(EAST))
    result = lookup_of(account).look_up(62516, 1)
    assert (result.numbers, result.why) == ([], "portal not in the directory")
    assert account.queries == []


# The rest of the base


def test_a_deadline_never_goes_below_zero() -> None:
    assert Deadline(-1).left() == 0
    assert 0 < Deadline(5).left() <= 5


def test_a_provider_has_to_list_numbers() -> None:
    class Lazy(Provider):
        name = "lazy"

    with pytest.raises(ProviderError, match="NotImplementedError"):
        Lazy(Provider.Options(), "acme").ask(Query())


def test_serving_imports_no_carrier_that_is_not_in_use() -> None:
    code = (
        "import sys; import app, providers; providers.names();"
        "print(*(name for name in sys.modules if name.startswith(('twilio', 'providers.t'))))"
    )
    root = Path(__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("Team [EU]", "Team [EU]"),
        ("team [eu]*", "Team [EU] night"),
        ("Sales desk", "Sales\u00a0desk"),  # a no-break space
        ("Sales desk", " Sales  desk\u200b"),
        ("Sales\u00a0 desk", "Sales desk"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("STRASSE", "Stra\u00dfe"),
        ("Desk (1+1)", "Desk (1+1)"),
        ("[!a]", "[!a]"),
        ("*.*", "a.b"),
        ("Sales ?", "Sales \U0001f600"),
        ("Sales", "Sales \ud83d"),
    ],
)
def test_names_are_compared_as_they_are_shown(pattern: str, name: str) -> None:
    rule = Rule(names=(pattern,))
    assert found(look_up(Obedient("acme", gives(PhoneNumber(EAST, name))), rule=rule)) == [EAST]


@pytest.mark.parametrize(("pattern", "name"), [("Team [EU]", "Team E"), ("a.b", "axb"), ("?", "")])
def test_nothing_else_is_special_in_a_name(pattern: str, name: str) -> None:
    rule = Rule(names=(pattern,))
    assert found(look_up(Obedient("acme", gives(PhoneNumber(EAST, name))), rule=rule)) == []


def test_why_a_number_is_none_is_said() -> None:
    listed = gives(PhoneNumber("2025550143"), UnreadNumber("", fault="[3]: KeyError 'id'"), WEST)
    result = look_up(Obedient("acme", listed))
    assert [one.reason for one in result.left_out] == [
        "its country is in doubt without a `+`: give the account's `country`",
        "its record cannot be read: [3]: KeyError 'id'",
    ]
