"""The last good answers: whose they are, how old they get, how many there are."""

import pytest

from helpdesk_numbers.lookup.stale import LastKnownGood
from providers.base.errors import ProviderError, Refused, Unreachable
from providers.base.provider import PhoneNumber, Provider, Query
from tests.support.clock import Clock

EAST, WEST = PhoneNumber("+12025550143", "East"), PhoneNumber("+12025550144", "West")
BY_NUMBER = Query(numbers=("+12025550143",))


def account(name: str = "acme") -> Provider:
    return Provider(Provider.Options(), name)


def numbers_of(found: tuple[list[PhoneNumber], float] | None) -> list[PhoneNumber] | None:
    return found[0] if found else None


def test_an_answer_is_found_with_its_age() -> None:
    clock = Clock(0)
    kept, acme = LastKnownGood(60, clock), account()
    kept.record(acme, Query(), [EAST], 0)
    clock.now = 7
    assert kept.find(acme, Query()) == ([EAST], 7)


def test_no_other_account_finds_it_not_even_one_of_the_same_name() -> None:
    """Such as the same account with new credentials, after an edit of the directory."""
    kept = LastKnownGood(60)
    kept.record(account(), Query(), [EAST], 0)
    assert kept.find(account(), Query()) is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (BY_NUMBER, [EAST]),
        (Query(), None),
        (Query(numbers=("+12025550144",)), None),
        (Query(names=("+12025550143",)), None),
        (Query(numbers=("+12025550143",), owner="1007"), None),
    ],
)
def test_an_answer_covers_only_what_was_asked_for(
    asked: Query, expected: list[PhoneNumber] | None
) -> None:
    kept, acme = LastKnownGood(60), account()
    kept.record(acme, BY_NUMBER, [EAST], 0)
    assert numbers_of(kept.find(acme, asked)) == expected


@pytest.mark.parametrize("asked", [BY_NUMBER, Query(names=("East",)), Query(owner="1007")])
def test_everything_covers_any_question(asked: Query) -> None:
    kept, acme = LastKnownGood(60), account()
    kept.record(acme, Query(), [EAST, WEST], 0)
    assert numbers_of(kept.find(acme, asked)) == [EAST, WEST]


def test_of_two_answers_that_cover_it_the_younger_counts() -> None:
    clock = Clock(0)
    kept, acme = LastKnownGood(60, clock), account()
    kept.record(acme, BY_NUMBER, [EAST], 0)
    clock.now = 1
    kept.record(acme, Query(), [WEST], 0)
    assert numbers_of(kept.find(acme, BY_NUMBER)) == [WEST]
    clock.now = 2
    kept.record(acme, BY_NUMBER, [EAST], 0)
    assert numbers_of(kept.find(acme, BY_NUMBER)) == [EAST]


def test_an_empty_answer_is_an_answer() -> None:
    kept, acme = LastKnownGood(60), account()
    kept.record(acme, Query(), [], 0)
    assert numbers_of(kept.find(acme, Query())) == []


def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    clock = Clock(0)
    kept, acme = LastKnownGood(10, clock), account()
    kept.record(acme, Query(), [EAST], 0)
    clock.now = 7
    kept.record(acme, Query(), [WEST], 0)
    clock.now = 14
    assert numbers_of(kept.find(acme, Query())) == [WEST]


def test_an_answer_is_gone_when_it_is_too_old() -> None:
    clock = Clock(0)
    kept, acme = LastKnownGood(10, clock), account()
    kept.record(acme, Query(), [EAST], 0)
    clock.now = 9.9
    assert kept.find(acme, Query())
    clock.now = 10
    assert kept.find(acme, Query()) is None


def test_being_used_makes_no_answer_younger() -> None:
    clock = Clock(0)
    kept, acme = LastKnownGood(10, clock), account()
    kept.record(acme, Query(), [EAST], 0)
    for clock.now in range(9):
        assert kept.find(acme, Query())
    clock.now = 11
    assert kept.find(acme, Query()) is None


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_end_all_answers_of_an_account_and_no_others(status: int) -> None:
    kept, acme, other = LastKnownGood(60), account(), account("other")
    kept.record(acme, Query(), [EAST], 0)
    kept.record(acme, BY_NUMBER, [EAST], 0)
    kept.record(other, Query(), [WEST], 0)
    kept.record(acme, Query(), Refused(f"answered {status}", status), 0)
    assert kept.find(acme, BY_NUMBER) is None
    assert numbers_of(kept.find(other, Query())) == [WEST]


def test_an_answer_on_its_way_when_credentials_were_refused_is_not_kept() -> None:
    clock = Clock(0)
    kept, acme = LastKnownGood(60, clock), account()
    clock.now = 5
    kept.record(acme, BY_NUMBER, Refused("answered 401", 401), 4)
    kept.record(acme, Query(), [EAST], 3)
    assert kept.find(acme, Query()) is None
    kept.record(acme, Query(), [EAST], 6)
    assert numbers_of(kept.find(acme, Query())) == [EAST]


@pytest.mark.parametrize("failure", [Refused("answered 404", 404), Unreachable("answered 500")])
def test_no_other_failure_ends_an_answer(failure: ProviderError) -> None:
    kept, acme = LastKnownGood(60), account()
    kept.record(acme, Query(), [EAST], 0)
    kept.record(acme, Query(), failure, 0)
    assert numbers_of(kept.find(acme, Query())) == [EAST]


def test_when_it_is_full_those_unused_longest_go_first() -> None:
    kept = LastKnownGood(60, max_bytes=4000)  # room for three answers of a number
    accounts = [account(str(index)) for index in range(5)]
    for one in accounts:
        kept.record(one, Query(), [EAST], 0)
        kept.find(accounts[0], Query())
    left = [one.account for one in accounts if kept.find(one, Query())]
    assert left == ["0", "3", "4"]


@pytest.mark.parametrize(
    "large",
    [
        [EAST] * 30,
        [PhoneNumber("+12025550143", "E" * 4000)],
        [PhoneNumber("+12025550143", owners=("anna@acme.example",) * 300)],
    ],
)
def test_an_answer_that_is_larger_than_all_room_is_not_kept_nor_is_the_one_before(
    large: list[PhoneNumber],
) -> None:
    kept, acme, other = LastKnownGood(60, max_bytes=4000), account(), account("other")
    kept.record(acme, Query(), [EAST], 0)
    kept.record(other, Query(), [WEST], 0)
    kept.record(acme, Query(), large, 0)
    assert kept.find(acme, Query()) is None
    assert numbers_of(kept.find(other, Query())) == [WEST]


def test_answers_without_numbers_are_bounded_too() -> None:
    kept, acme = LastKnownGood(60, max_bytes=100_000), account()
    for index in range(300):
        kept.record(acme, Query(owner=str(index)), [], 0)
    found = sum(bool(kept.find(acme, Query(owner=str(index)))) for index in range(300))
    assert 1 <= found <= 100
