"""What stands between lookups and an account: shared calls, the share of threads, the breaker."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers import guard
from providers.base import PhoneNumber, Provider, Query
from providers.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from providers.guard import MOST_CALLS, Guard
from tests.test_lookup import EAST, WEST, Obedient

ONE = [PhoneNumber(EAST)]
Answer = list[PhoneNumber] | ProviderError


class Account(Obedient):
    """Each call takes the next of `turns`, and the last again and again: numbers, an error to
    raise, or an event to wait for. An event is followed by the turn after it in the same call."""

    def __init__(self, *turns: Any) -> None:
        super().__init__("acme", self._take)
        self._turns = list(turns)
        self._choosing = threading.Lock()

    def _take(self, query: Query) -> list[PhoneNumber]:
        turn = self._next()
        while isinstance(turn, threading.Event):
            turn.wait(30)
            turn = self._next()
        if isinstance(turn, BaseException):
            raise turn
        assert isinstance(turn, list)
        return turn

    def _next(self) -> Any:
        with self._choosing:
            return self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


@pytest.fixture
def event() -> Iterator[threading.Event]:
    """What hanging calls wait for; set at the test's end, that they end too."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def make(threads: ThreadPoolExecutor) -> Callable[..., Guard]:
    def made(deadline_s: float = 10, share: int = 64, settled: Any = None) -> Guard:
        return Guard(threads, deadline_s, share, settled or (lambda *_: None))

    return made


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(guard, "FIRST_PAUSE_S", 0.3)
    monkeypatch.setattr(guard, "LONGEST_PAUSE_S", 0.6)


def ask(guard: Guard, account: Provider, query: Query | None = None) -> Answer:
    """What one caller gets."""
    try:
        return guard.call(account, query or Query()).result()
    except ProviderError as error:
        return error


def ask_at_once(
    count: int, guard: Guard, account: Provider, queries: list[Query], go: threading.Event
) -> list[Answer]:
    """What `count` callers get who all have their call before `go` is set."""
    calls = [guard.call(account, queries[index % len(queries)]) for index in range(count)]
    with ThreadPoolExecutor(count) as callers:
        waiting = [callers.submit(call.result) for call in calls]
        go.set()
        return [one.result() for one in waiting]


# Shared calls


def test_callers_at_the_same_moment_share_one_call(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    account = Account(event, ONE)
    answers = ask_at_once(40, make(), account, [Query()], event)
    assert answers == [ONE] * 40
    assert len(account.queries) == 1


def test_a_call_that_is_over_is_shared_with_nobody(make: Callable[..., Guard]) -> None:
    account, guarded = Account([], ONE, []), make()
    assert [ask(guarded, account) for _ in range(3)] == [[], ONE, []]


def test_those_who_ask_for_different_numbers_share_one_listing(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    account = Account(event, event, ONE)
    queries = [Query(numbers=(f"+120255501{index:02}",)) for index in range(50)]
    assert ask_at_once(50, make(), account, queries, event) == [ONE] * 50
    assert {one.numbers for one in account.queries} == {("+12025550100",), ()}
    assert len(account.queries) == 2


def test_a_listing_under_way_is_enough_for_any_question(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    account = Account(event, ONE)
    queries = [Query(), Query(numbers=(EAST,)), Query(names=("S*",)), Query(owner="1007")]
    assert ask_at_once(8, make(), account, queries, event) == [ONE] * 8
    assert len(account.queries) == 1


def test_a_failed_call_fails_its_callers_alike_and_the_next_is_fresh(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(event, failure, ONE), make()
    assert ask_at_once(40, guarded, account, [Query()], event) == [failure] * 40
    assert ask(guarded, account) == ONE


def test_a_failure_for_many_grows_with_none_of_them(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    """An exception raised in forty threads would have forty tracebacks, with all their frames."""
    failure = Unreachable("answered 500")
    ask_at_once(40, make(), Account(event, failure), [Query()], event)
    frames, trace = 0, failure.__traceback__
    while trace:
        frames, trace = frames + 1, trace.tb_next
    assert 0 < frames < 8


def test_each_call_is_reported_once_before_its_callers_know(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    settled: list[tuple[Provider, tuple[str, ...], Answer]] = []
    guarded = make(settled=lambda who, query, answer: settled.append((who, query.numbers, answer)))
    failure = Refused("answered 401")
    account = Account(event, ONE, failure)
    ask_at_once(5, guarded, account, [Query(numbers=(EAST,))], event)
    assert settled == [(account, (EAST,), ONE)]
    ask(guarded, account)
    assert settled[1:] == [(account, (), failure)]


def test_an_adapter_that_ends_its_thread_fails_and_the_next_call_is_fresh(
    make: Callable[..., Guard],
) -> None:
    account, guarded = Account(SystemExit(1), ONE), make()
    failure = ask(guarded, account)
    assert isinstance(failure, Unreadable)
    assert str(failure) == "SystemExit in the adapter"
    assert ask(guarded, account) == ONE


# Calls that hang


def test_a_call_that_hangs_beyond_its_deadline_is_not_waited_for(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    """An adapter with a client of its own may not keep the deadline."""
    account, guarded = Account(event, ONE), make(deadline_s=0.2)
    first = ask(guarded, account)
    assert isinstance(first, Unreachable)
    assert str(first) == "no answer in time"
    assert ask(guarded, account) == ONE


def test_who_comes_late_to_a_call_waits_no_longer_than_its_deadline(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    account, guarded = Account(event, ONE), make(deadline_s=2)
    guarded.call(account, Query())
    time.sleep(1.6)
    started = time.monotonic()
    assert isinstance(ask(guarded, account), Unreachable)
    assert time.monotonic() - started < 1.6


@pytest.mark.usefixtures("short")
def test_few_calls_hang_at_a_time_and_the_account_comes_back(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    account, guarded = Account(*[event] * MOST_CALLS, ONE), make(deadline_s=0.1)
    for _ in range(MOST_CALLS):
        assert str(ask(guarded, account)) == "no answer in time"
    for _ in range(5):
        assert str(ask(guarded, account)) == "earlier calls hang"
    assert len(account.queries) == MOST_CALLS
    event.set()
    deadline = time.monotonic() + 5
    while isinstance(ask(guarded, account), ProviderError) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ask(guarded, account) == ONE


def test_without_threads_to_be_had_it_fails_and_nothing_stays_behind(
    make: Callable[..., Guard], threads: ThreadPoolExecutor
) -> None:
    guarded, account = make(), Account(ONE)
    threads.shutdown()
    for _ in range(2 * MOST_CALLS):
        assert str(ask(guarded, account)) == "no thread to ask it with"


def test_a_call_that_got_no_thread_in_time_does_not_count_against_the_account(
    event: threading.Event,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        guarded, account = Guard(pool, 0.1, 64, lambda *_: None), Account(ONE)
        busy = pool.submit(event.wait, 30)
        for _ in range(3):
            assert isinstance(ask(guarded, account), Unreachable)
        event.set()
        busy.result()
        pool.submit(int).result()  # which comes after the calls that came too late
        assert account.queries == []
        assert ask(guarded, account) == ONE


# The share of threads


def crowd(guarded: Guard, account: Provider, count: int) -> list[float]:
    """The seconds that each of so many callers waits, in order of their end."""

    def wait() -> float:
        started = time.monotonic()
        ask(guarded, account)
        return time.monotonic() - started

    with ThreadPoolExecutor(count) as callers:
        return sorted(one.result() for one in [callers.submit(wait) for _ in range(count)])


def test_a_hanging_account_holds_its_share_of_threads_to_the_end_and_the_others_briefly(
    make: Callable[..., Guard], event: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", (0.1, 0.2))
    seconds = crowd(make(deadline_s=2, share=4), Account(event, ONE), 16)
    assert all(waited < 1.5 for waited in seconds[:12])
    assert all(waited >= 2 for waited in seconds[12:])


def test_who_comes_to_a_crowd_late_is_turned_away_at_once(
    make: Callable[..., Guard], event: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", (0.1, 0.1))
    guarded, account = make(deadline_s=5, share=1), Account(event, ONE)
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(ask, guarded, account)
        time.sleep(0.3)
        started = time.monotonic()
        assert str(ask(guarded, account)) == "slow, and enough others wait for it"
        assert time.monotonic() - started < 0.5
        event.set()
        assert first.result() == ONE


def test_a_crowd_at_a_slow_account_is_answered_all_the_same(
    make: Callable[..., Guard], event: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first call nobody knows how long it takes."""
    monkeypatch.setattr(guard, "BRIEF_S", (0.1, 5.0))
    threading.Timer(0.5, event.set).start()
    guarded, account = make(share=1), Account(event, ONE)
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(lambda _: ask(guarded, account), range(8))) == [ONE] * 8


def test_an_account_that_failed_last_time_is_waited_for_but_shortly(
    make: Callable[..., Guard], event: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", (0.1, 5.0))
    guarded, account = make(deadline_s=2, share=4), Account(Unreachable("x"), event, ONE)
    ask(guarded, account)
    seconds = crowd(guarded, account, 4)
    assert all(waited < 1.5 for waited in seconds[:3])
    assert seconds[3] >= 2


def test_neither_callers_that_gave_up_nor_calls_that_nobody_waits_for_use_up_the_share(
    make: Callable[..., Guard], event: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", (0.05, 0.05))
    guarded = make(deadline_s=0.3, share=2)
    crowd(guarded, Account(event, ONE), 8)
    event.set()
    for _ in range(8):
        guarded.call(Account(ONE), Query())
    slowly = threading.Event()
    threading.Timer(0.15, slowly.set).start()
    account = Account(slowly, ONE)
    with ThreadPoolExecutor(2) as callers:
        assert list(callers.map(lambda _: ask(guarded, account), range(2))) == [ONE] * 2


# The breaker


def fail(guarded: Guard, account: Account, times: int) -> None:
    for _ in range(times):
        assert isinstance(ask(guarded, account), ProviderError)


def test_after_three_failures_in_a_row_the_account_is_left_alone(
    make: Callable[..., Guard],
) -> None:
    account, guarded = Account(Unreachable("answered 500")), make()
    fail(guarded, account, 50)
    assert len(account.queries) == 3


def test_a_success_in_between_starts_the_count_anew(make: Callable[..., Guard]) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, ONE, failure, failure, ONE), make()
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
    make: Callable[..., Guard], failure: ProviderError
) -> None:
    guarded, account = make(), Account(failure)
    fail(guarded, account, 3)
    error = ask(guarded, account)
    assert isinstance(error, ProviderError)
    assert error.outcome == failure.outcome
    assert str(error).startswith(f"{failure}; left alone for ")
    assert error.retry_after_s
    assert 3 < error.retry_after_s <= guard.FIRST_PAUSE_S


@pytest.mark.usefixtures("short")
def test_after_the_pause_one_call_tries_and_its_success_opens_the_way(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, failure, event, ONE), make()
    fail(guarded, account, 3)
    time.sleep(0.35)
    trial = guarded.call(account, Query())
    fail(guarded, account, 20)
    event.set()
    assert trial.result() == ONE
    assert len(account.queries) == 4
    assert [ask(guarded, account) for _ in range(3)] == [ONE] * 3


@pytest.mark.usefixtures("short")
def test_after_a_failed_trial_the_pause_is_doubled_up_to_the_longest(
    make: Callable[..., Guard],
) -> None:
    account, guarded = Account(Unreachable("answered 500")), make()
    fail(guarded, account, 3)
    pauses = []
    for _ in range(4):
        error = ask(guarded, account)
        assert isinstance(error, ProviderError)
        pauses.append(error.retry_after_s or 0)
        time.sleep(pauses[-1] + 0.02)
        fail(guarded, account, 1)
    assert len(account.queries) == 7
    assert 0.1 < pauses[0] <= 0.3 < max(pauses[1:]) <= 0.6


@pytest.mark.usefixtures("short")
def test_calls_that_fail_together_open_it_once(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, event, event, failure), make()
    fail(guarded, account, 2)
    ask_at_once(8, guarded, account, [Query(numbers=(EAST,)), Query(numbers=(WEST,))], event)
    assert len(account.queries) == 4
    error = ask(guarded, account)
    assert isinstance(error, ProviderError)
    assert (error.retry_after_s or 0) <= 0.3


@pytest.mark.usefixtures("short")
def test_a_trial_that_hangs_does_not_close_the_way_for_ever(
    make: Callable[..., Guard], event: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(failure, failure, failure, event, ONE), make(deadline_s=0.2)
    fail(guarded, account, 3)
    time.sleep(0.35)
    assert str(ask(guarded, account)) == "no answer in time"
    assert ask(guarded, account) == ONE


def test_a_rate_limit_is_kept_for_as_long_as_it_says(make: Callable[..., Guard]) -> None:
    account, guarded = Account(RateLimited("answered 429", 0.4), ONE), make()
    fail(guarded, account, 10)
    assert len(account.queries) == 1
    time.sleep(0.45)
    assert ask(guarded, account) == ONE


def test_a_rate_limit_that_says_nothing_counts_as_any_failure(make: Callable[..., Guard]) -> None:
    account, guarded = Account(RateLimited("answered 429")), make()
    fail(guarded, account, 10)
    assert len(account.queries) == 3
