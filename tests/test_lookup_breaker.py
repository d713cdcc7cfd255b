"""The breaker: an account that keeps failing is left alone for a while."""

import threading
import time
from collections.abc import Callable

import pytest

from helpdesk_numbers.lookup import guard
from helpdesk_numbers.lookup.guard import Guard
from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from providers.base.provider import Query
from tests.support.accounts import EAST, ONE, WEST, Account, ask, ask_at_once


def fail(guarded: Guard, account: Account, times: int) -> None:
    for _ in range(times):
        assert isinstance(ask(guarded, account), ProviderError)


def test_after_three_failures_in_a_row_the_account_is_left_alone(
    make_guard: Callable[..., Guard],
) -> None:
    account, guarded = Account(Unreachable("answered 500")), make_guard()
    fail(guarded, account, 50)
    assert len(account.queries) == 3


def test_a_success_in_between_starts_the_count_anew(make_guard: Callable[..., Guard]) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, ONE, failure, failure, ONE), make_guard()
    for _ in range(6):
        ask(guarded, account)
    assert len(account.queries) == 6


@pytest.mark.parametrize(
    "failure",
    [
        Unreachable("answered 500"),
        Refused("answered 401 with code 20003"),
        Unreadable("the answer cannot be read"),
        RateLimited("answered 429"),
        type("Stranger", (Refused,), {})("an adapter's own"),
    ],
)
def test_an_account_left_alone_fails_as_it_did_and_says_when_it_is_tried_again(
    make_guard: Callable[..., Guard], failure: ProviderError
) -> None:
    guarded, account = make_guard(), Account(failure)
    fail(guarded, account, 3)
    error = ask(guarded, account)
    assert isinstance(error, ProviderError)
    assert error.outcome == failure.outcome
    assert str(error).startswith(f"{failure}; left alone for ")
    assert error.retry_after_s
    assert 3 < error.retry_after_s <= guard.FIRST_PAUSE_S


@pytest.mark.usefixtures("short_pauses")
def test_after_the_pause_one_call_tries_and_its_success_opens_the_way(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, failure, released, ONE), make_guard()
    fail(guarded, account, 3)
    time.sleep(0.35)
    trial = guarded.call(account, Query())
    fail(guarded, account, 20)
    released.set()
    assert trial.result() == ONE
    assert len(account.queries) == 4
    assert [ask(guarded, account) for _ in range(3)] == [ONE] * 3


@pytest.mark.usefixtures("short_pauses")
def test_after_a_failed_trial_the_pause_is_doubled_up_to_the_longest(
    make_guard: Callable[..., Guard],
) -> None:
    account, guarded = Account(Unreachable("answered 500")), make_guard()
    fail(guarded, account, 3)
    pauses = []
    for _ in range(3):
        error = ask(guarded, account)
        assert isinstance(error, ProviderError)
        pauses.append(error.retry_after_s or 0)
        time.sleep(pauses[-1] + 0.02)
        fail(guarded, account, 1)
    assert len(account.queries) == 6
    assert 0.1 < pauses[0] <= 0.3 < max(pauses[1:]) <= 0.6


@pytest.mark.usefixtures("short_pauses")
def test_calls_that_fail_together_open_it_once(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, released, released, failure), make_guard()
    fail(guarded, account, 2)
    ask_at_once(8, guarded, account, [Query(numbers=(EAST,)), Query(numbers=(WEST,))], released)
    assert len(account.queries) == 4
    error = ask(guarded, account)
    assert isinstance(error, ProviderError)
    assert (error.retry_after_s or 0) <= 0.3


@pytest.mark.usefixtures("short_pauses")
def test_a_trial_that_hangs_does_not_close_the_way_for_ever(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, failure, released, ONE), make_guard(deadline_s=0.2)
    fail(guarded, account, 3)
    time.sleep(0.35)
    assert str(ask(guarded, account)) == "no answer in time"
    assert ask(guarded, account) == ONE


def test_a_rate_limit_is_kept_for_as_long_as_it_says(make_guard: Callable[..., Guard]) -> None:
    account, guarded = Account(RateLimited("answered 429", 0.4), ONE), make_guard()
    fail(guarded, account, 10)
    assert len(account.queries) == 1
    time.sleep(0.45)
    assert ask(guarded, account) == ONE


def test_a_success_from_before_a_rate_limit_does_not_end_it(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    account = Account(released, RateLimited("answered 429", 60), ONE)
    guarded = make_guard()
    before = guarded.call(account, Query(numbers=(EAST,)))
    assert isinstance(ask(guarded, account), RateLimited)
    released.set()
    assert before.result() == ONE
    assert isinstance(ask(guarded, account), RateLimited)
    assert len(account.queries) == 2


def test_a_rate_limit_that_says_nothing_counts_as_any_failure(
    make_guard: Callable[..., Guard],
) -> None:
    account, guarded = Account(RateLimited("answered 429")), make_guard()
    fail(guarded, account, 10)
    assert len(account.queries) == 3
