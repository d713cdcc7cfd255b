"""The last good answers: whose they are, how old they get, how many there are."""

import time

import pytest

from helpdesk_numbers.lookup import stale as memory
from helpdesk_numbers.lookup.stale import LastKnownGood
from providers.base.provider import PhoneNumber, Provider, Query

EAST, WEST = PhoneNumber("+12025550143", "East"), PhoneNumber("+12025550144", "West")
BY_NUMBER = Query(numbers=("+12025550143",))


def account(name: str = "acme") -> Provider:
    return Provider(Provider.Options(), name)


def numbers_of(found: tuple[list[PhoneNumber], float] | None) -> list[PhoneNumber] | None:
    return found[0] if found else None


def test_an_answer_is_found_with_its_age() -> None:
    kept, acme = LastKnownGood(60), account()
    kept.keep(acme, Query(), [EAST])
    time.sleep(0.05)
    found = kept.find(acme, Query())
    assert found
    assert found[0] == [EAST]
    assert 0.05 <= found[1] < 5


def test_no_other_account_finds_it_not_even_one_of_the_same_name() -> None:
    """Such as the same account with new credentials, after an edit of the directory."""
    kept = LastKnownGood(60)
    kept.keep(account(), Query(), [EAST])
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
    kept.keep(acme, BY_NUMBER, [EAST])
    assert numbers_of(kept.find(acme, asked)) == expected


@pytest.mark.parametrize("asked", [BY_NUMBER, Query(names=("East",)), Query(owner="1007")])
def test_everything_covers_any_question(asked: Query) -> None:
    kept, acme = LastKnownGood(60), account()
    kept.keep(acme, Query(), [EAST, WEST])
    assert numbers_of(kept.find(acme, asked)) == [EAST, WEST]


def test_of_two_answers_that_cover_it_the_younger_counts() -> None:
    kept, acme = LastKnownGood(60), account()
    kept.keep(acme, BY_NUMBER, [EAST])
    time.sleep(0.02)
    kept.keep(acme, Query(), [WEST])
    assert numbers_of(kept.find(acme, BY_NUMBER)) == [WEST]
    time.sleep(0.02)
    kept.keep(acme, BY_NUMBER, [EAST])
    assert numbers_of(kept.find(acme, BY_NUMBER)) == [EAST]


def test_an_empty_answer_is_an_answer() -> None:
    kept, acme = LastKnownGood(60), account()
    kept.keep(acme, Query(), [])
    assert numbers_of(kept.find(acme, Query())) == []


def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    kept, acme = LastKnownGood(0.4), account()
    kept.keep(acme, Query(), [EAST])
    time.sleep(0.25)
    kept.keep(acme, Query(), [WEST])
    time.sleep(0.25)
    assert numbers_of(kept.find(acme, Query())) == [WEST]


def test_an_answer_is_gone_when_it_is_too_old() -> None:
    kept, acme = LastKnownGood(0.2), account()
    kept.keep(acme, Query(), [EAST])
    assert kept.find(acme, Query())
    time.sleep(0.25)
    assert kept.find(acme, Query()) is None


def test_being_used_makes_no_answer_younger() -> None:
    kept, acme = LastKnownGood(0.3), account()
    kept.keep(acme, Query(), [EAST])
    for _ in range(6):
        time.sleep(0.06)
        kept.find(acme, Query())
    assert kept.find(acme, Query()) is None


def test_all_answers_of_an_account_are_dropped_and_no_others() -> None:
    kept, acme, other = LastKnownGood(60), account(), account("other")
    kept.keep(acme, Query(), [EAST])
    kept.keep(acme, BY_NUMBER, [EAST])
    kept.keep(other, Query(), [WEST])
    kept.drop(acme)
    assert kept.find(acme, BY_NUMBER) is None
    assert numbers_of(kept.find(other, Query())) == [WEST]


def test_when_it_is_full_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_BYTES", 4000)  # room for three answers of a number
    kept, accounts = LastKnownGood(60), [account(str(index)) for index in range(5)]
    for one in accounts:
        kept.keep(one, Query(), [EAST])
        kept.find(accounts[0], Query())  # being used makes it no younger
    found = [one.account for one in accounts if kept.find(one, Query())]
    assert found == ["2", "3", "4"]


@pytest.mark.parametrize(
    "large",
    [
        [EAST] * 30,
        [PhoneNumber("+12025550143", "E" * 4000)],
        [PhoneNumber("+12025550143", owners=("anna@acme.example",) * 300)],
    ],
)
def test_an_answer_that_is_larger_than_all_room_is_not_kept_nor_is_the_one_before(
    monkeypatch: pytest.MonkeyPatch, large: list[PhoneNumber]
) -> None:
    monkeypatch.setattr(memory, "MAX_BYTES", 4000)
    kept, acme, other = LastKnownGood(60), account(), account("other")
    kept.keep(acme, Query(), [EAST])
    kept.keep(other, Query(), [WEST])
    kept.keep(acme, Query(), large)
    assert kept.find(acme, Query()) is None
    assert numbers_of(kept.find(other, Query())) == [WEST]


def test_answers_without_numbers_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_BYTES", 100_000)
    kept, acme = LastKnownGood(60), account()
    for index in range(300):
        kept.keep(acme, Query(owner=str(index)), [])
    found = sum(bool(kept.find(acme, Query(owner=str(index)))) for index in range(300))
    assert 1 <= found <= 100
