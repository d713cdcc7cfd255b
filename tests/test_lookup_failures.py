"""What a lookup makes of accounts that fail, and of their last known good answers."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpdesk_numbers.directory.model import Directory, Portal, Rule
from helpdesk_numbers.lookup.lookup import Lookup
from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from providers.base.provider import PhoneNumber, Query
from tests.support.accounts import (
    EAST,
    SALES,
    WEST,
    Fixed,
    Immediate,
    Obedient,
    fails,
    found,
    gives,
    look_up,
    lookup_of,
)

# Failures


def test_a_failed_account_of_several_is_partial() -> None:
    result = look_up(Obedient("down", fails(Unreachable("no"))), Obedient("up", gives(EAST)))
    assert (found(result), result.source, result.failure) == ([EAST], "partial", None)
    assert [(one.account, one.outcome) for one in result.outcomes] == [
        ("down", "unreachable"),
        ("up", "ok"),
    ]


def test_an_account_without_numbers_has_not_failed() -> None:
    result = look_up(Obedient("down", fails(Refused("no"))), Obedient("empty", gives()))
    assert (result.numbers, result.source, result.failure) == ([], "partial", None)


def test_without_failures_the_source_is_live() -> None:
    result = look_up(Obedient("a", gives()), Immediate("b", gives(EAST)))
    assert (result.source, result.failure) == ("live", None)
    assert [one.outcome for one in result.outcomes] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("errors", "hopeful"),
    [
        ([Refused("r"), Unreadable("u")], 0),
        ([Unreadable("u"), Refused("r")], 0),
        ([Refused("r"), Unreachable("u")], 1),
        ([Refused("r"), RateLimited("l", 30)], 1),
        ([RateLimited("l", 30), RateLimited("l", 5), Refused("r")], 1),
        ([RateLimited("l", 30), Unreachable("u")], 1),
        ([ProviderError("p"), Unreachable("u")], 1),
        ([ProviderError("p")], 0),
    ],
)
def test_when_all_fail_the_most_hopeful_error_is_the_answer(
    errors: list[ProviderError], hopeful: int
) -> None:
    accounts = [Obedient(f"a{n}", fails(error)) for n, error in enumerate(errors)]
    result = look_up(*accounts)
    assert result.failure is errors[hopeful]
    assert result.failure.account == f"a{hopeful}"
    assert result.numbers == []


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError(f"for {EAST}"), Unreadable, "ValueError while reading the answer"),
        (KeyError("msisdn"), Unreadable, "KeyError 'msisdn' while reading the answer"),
        (KeyError(EAST), Unreadable, "KeyError while reading the answer"),
        (KeyError(), Unreadable, "KeyError while reading the answer"),
        (RecursionError(), Unreadable, "RecursionError while reading the answer"),
        (OSError(f"https://user:{EAST}@x"), Unreachable, "OSError in the adapter"),
        (TimeoutError(EAST), Unreachable, "TimeoutError in the adapter"),
    ],
)
@pytest.mark.parametrize("adapter", [Obedient, Immediate])
def test_whatever_an_adapter_raises_names_account_and_provider(
    adapter: type[Obedient], error: Exception, kind: type[ProviderError], message: str
) -> None:
    result = look_up(adapter("acme", fails(error)))
    assert type(result.failure) is kind
    assert (result.failure.account, result.failure.provider) == ("acme", adapter.name)
    assert str(result.failure) == message
    assert result.failure.__cause__ is error


@pytest.mark.parametrize("returned", [None, 7, [None], [{"number": EAST}], [EAST], ["x", None]])
def test_an_adapter_that_returns_no_numbers_fails_alone(returned: object) -> None:
    result = look_up(Obedient("wrong", lambda _: returned), Obedient("right", gives(EAST)))
    assert found(result) == [EAST]
    assert [one.outcome for one in result.outcomes] == ["unreadable", "ok"]


def test_an_error_after_some_numbers_gives_none_of_them() -> None:
    """Half an account would look like a whole one."""

    def break_off(_: Query) -> Iterator[PhoneNumber]:
        yield PhoneNumber(EAST)
        raise Unreachable("page 2")

    assert found(look_up(Obedient("acme", break_off), Obedient("desk", gives(WEST)))) == [WEST]


# The last known good


def answers_then_fails(error: ProviderError, *numbers: PhoneNumber) -> Callable[[Query], Any]:
    """The numbers once, and then the error for ever."""
    left: list[list[PhoneNumber]] = [list(numbers)]

    def answering(_: Query) -> list[PhoneNumber]:
        if left:
            return left.pop()
        raise error

    return answering


@pytest.mark.parametrize("error", [Unreachable("x"), RateLimited("x", 9), Unreadable("x")])
def test_the_last_known_good_answer_stands_in_for_an_account_that_fails(
    error: ProviderError,
) -> None:
    lookup = lookup_of(
        Obedient("acme", answers_then_fails(error, PhoneNumber(EAST))),
        Obedient("desk", gives(WEST)),
        last_known_good_s=60,
    )
    assert lookup.look_up(62515, 1).source == "live"
    result = lookup.look_up(62515, 1)
    assert (found(result), result.source, result.failure) == (
        [EAST, WEST],
        "last-known-good",
        None,
    )
    assert [(one.outcome, one.age_s is None) for one in result.outcomes] == [
        (error.outcome, False),
        ("ok", True),
    ]


def test_what_stands_in_is_filtered_by_the_asking_users_rule() -> None:
    account = Obedient(
        "acme",
        answers_then_fails(
            Unreachable("x"), PhoneNumber(EAST, "East"), PhoneNumber(SALES, voice=False)
        ),
    )
    lookup = lookup_of(account, rule=Rule(numbers=(WEST, SALES)), last_known_good_s=60)
    assert found(lookup.look_up(62515, 2)) == [EAST]  # a user who may see everything
    result = lookup.look_up(62515, 1)
    assert (result.source, result.numbers) == ("last-known-good", [])
    assert found(lookup.look_up(62515, 2)) == [EAST]


def test_a_narrow_answer_stands_in_for_nobody_who_may_see_more() -> None:
    account = Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST)))
    lookup = lookup_of(account, rule=Rule(numbers=(EAST,)), last_known_good_s=60)
    assert lookup.look_up(62515, 1).source == "live"
    assert isinstance(lookup.look_up(62515, 2).failure, Unreachable)
    assert found(lookup.look_up(62515, 1)) == [EAST]


def test_no_account_stands_in_for_another() -> None:
    up = Obedient("up", gives(EAST))
    down = Obedient("down", fails(Unreachable("x")))
    directory = Directory(
        {"up": up, "down": down}, {62515: Portal(("up",)), 62516: Portal(("down",))}
    )
    lookup = Lookup(Fixed(directory), 10, 60)
    assert found(lookup.look_up(62515, 1)) == [EAST]
    result = lookup.look_up(62516, 1)
    assert (result.numbers, result.source) == ([], "partial")
    assert isinstance(result.failure, Unreachable)


def test_an_older_answer_and_a_failure_without_one_are_partial() -> None:
    lookup = lookup_of(
        Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST))),
        Obedient("never", fails(Unreachable("x"))),
        last_known_good_s=60,
    )
    lookup.look_up(62515, 1)
    result = lookup.look_up(62515, 1)
    assert (found(result), result.source, result.failure) == ([EAST], "partial", None)


def test_nothing_stands_in_for_longer_than_last_known_good() -> None:
    account = Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST)))
    lookup = lookup_of(account, last_known_good_s=0.6)
    lookup.look_up(62515, 1)
    assert lookup.look_up(62515, 1).source == "last-known-good"
    time.sleep(0.7)
    assert isinstance(lookup.look_up(62515, 1).failure, Unreachable)


def test_without_last_known_good_nothing_stands_in() -> None:
    account = Obedient("acme", answers_then_fails(Unreachable("x"), PhoneNumber(EAST)))
    lookup = lookup_of(account, last_known_good_s=0)
    lookup.look_up(62515, 1)
    assert isinstance(lookup.look_up(62515, 1).failure, Unreachable)


def test_after_a_refusal_nothing_stands_in_ever_again() -> None:
    """Access was taken away on purpose."""
    errors = iter([Refused("answered 401", 401), *[Unreachable("answered 500")] * 3])
    given = [[PhoneNumber(EAST)]]

    def answering(_: Query) -> list[PhoneNumber]:
        if given:
            return given.pop()
        raise next(errors)

    lookup = lookup_of(Obedient("acme", answering), last_known_good_s=60)
    assert found(lookup.look_up(62515, 1)) == [EAST]
    for kind in (Refused, Unreachable, Unreachable, Unreachable):
        result = lookup.look_up(62515, 1)
        assert (type(result.failure), result.numbers) == (kind, [])
