"""What stands between lookups and an account: shared calls, and the share of threads."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpdesk_numbers.lookup import guard
from helpdesk_numbers.lookup.guard import MOST_CALLS, Guard, Room
from providers.base.errors import ProviderError, Refused, Unreachable, Unreadable
from providers.base.provider import PhoneNumber, Provider, Query
from tests.support.accounts import EAST, ONE, Account, Answer, ask, ask_at_once

# Shared calls


def test_callers_at_the_same_moment_share_one_call(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    account = Account(released, ONE)
    answers = ask_at_once(40, make_guard(), account, [Query()], released)
    assert answers == [ONE] * 40
    assert len(account.queries) == 1


def test_a_call_that_is_over_is_shared_with_nobody(make_guard: Callable[..., Guard]) -> None:
    account, guarded = Account([], ONE, []), make_guard()
    assert [ask(guarded, account) for _ in range(3)] == [[], ONE, []]


def test_those_who_ask_for_different_numbers_share_one_listing(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    account = Account(released, released, ONE)
    queries = [Query(numbers=(f"+120255501{index:02}",)) for index in range(50)]
    assert ask_at_once(50, make_guard(), account, queries, released) == [ONE] * 50
    assert {one.numbers for one in account.queries} == {("+12025550100",), ()}
    assert len(account.queries) == 2


def test_a_listing_under_way_is_enough_for_any_question(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    account = Account(released, ONE)
    queries = [Query(), Query(numbers=(EAST,)), Query(names=("S*",)), Query(owner="1007")]
    assert ask_at_once(8, make_guard(), account, queries, released) == [ONE] * 8
    assert len(account.queries) == 1


def test_a_failed_call_fails_its_callers_alike_and_the_next_is_fresh(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    failure = Unreachable("answered 500")
    account, guarded = Account(released, failure, ONE), make_guard()
    assert ask_at_once(40, guarded, account, [Query()], released) == [failure] * 40
    assert ask(guarded, account) == ONE


def test_a_failure_for_many_grows_with_none_of_them(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    """An exception raised in forty threads would have forty tracebacks, with all their frames."""
    failure = Unreachable("answered 500")
    ask_at_once(40, make_guard(), Account(released, failure), [Query()], released)
    frames, trace = 0, failure.__traceback__
    while trace:
        frames, trace = frames + 1, trace.tb_next
    assert 0 < frames < 8


def test_each_call_is_reported_once_before_its_callers_know(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    settled: list[tuple[Provider, tuple[str, ...], Answer]] = []
    guarded = make_guard(
        settled=lambda who, query, answer: settled.append((who, query.numbers, answer))
    )
    failure = Refused("answered 401")
    account = Account(released, ONE, failure)
    ask_at_once(5, guarded, account, [Query(numbers=(EAST,))], released)
    assert settled == [(account, (EAST,), ONE)]
    ask(guarded, account)
    assert settled[1:] == [(account, (), failure)]


def test_an_adapter_that_ends_its_thread_fails_and_the_next_call_is_fresh(
    make_guard: Callable[..., Guard],
) -> None:
    account, guarded = Account(SystemExit(1), ONE), make_guard()
    failure = ask(guarded, account)
    assert isinstance(failure, Unreadable)
    assert str(failure) == "SystemExit in the adapter"
    assert ask(guarded, account) == ONE


# Calls that hang


def test_a_call_that_hangs_beyond_its_deadline_is_not_waited_for(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    """An adapter with a client of its own may not keep the deadline."""
    account, guarded = Account(released, ONE), make_guard(deadline_s=0.2)
    first = ask(guarded, account)
    assert isinstance(first, Unreachable)
    assert str(first) == "no answer in time"
    assert ask(guarded, account) == ONE


def test_who_comes_late_to_a_call_waits_no_longer_than_its_deadline(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    account, guarded = Account(released, ONE), make_guard(deadline_s=1)
    guarded.call(account, Query())
    time.sleep(0.8)
    started = time.monotonic()
    assert isinstance(ask(guarded, account), Unreachable)
    assert time.monotonic() - started < 0.8


@pytest.mark.usefixtures("short_pauses")
def test_few_calls_hang_at_a_time_and_the_account_comes_back(
    make_guard: Callable[..., Guard], released: threading.Event
) -> None:
    account, guarded = Account(*[released] * MOST_CALLS, ONE), make_guard(deadline_s=0.1)
    for _ in range(MOST_CALLS):
        assert str(ask(guarded, account)) == "no answer in time"
    for _ in range(5):
        assert str(ask(guarded, account)) == "earlier calls hang"
    assert len(account.queries) == MOST_CALLS
    released.set()
    deadline = time.monotonic() + 5
    while isinstance(ask(guarded, account), ProviderError) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ask(guarded, account) == ONE


def test_without_threads_to_be_had_it_fails_and_nothing_stays_behind(
    make_guard: Callable[..., Guard],
) -> None:
    guarded, account = make_guard(), Account(ONE)
    guarded._room._doubtful.shutdown()
    for _ in range(2 * MOST_CALLS):
        assert str(ask(guarded, account)) == "no thread to ask it with"


def test_a_call_that_got_no_thread_in_time_does_not_count_against_the_account(
    released: threading.Event,
) -> None:
    def hang() -> list[PhoneNumber]:
        released.wait(30)
        return []

    room = Room(1)
    guarded, account = Guard(room, 0.1, lambda *_: None), Account(ONE)
    busy = [room.submit(hang, proven=False) for _ in range(2)]
    for _ in range(3):
        assert isinstance(ask(guarded, account), Unreachable)
    released.set()
    for one in [*busy, room.submit(hang, proven=False), room.submit(hang, proven=False)]:
        one.result()  # the last come after the calls that came too late
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
    make_guard: Callable[..., Guard], released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", 0.1)
    monkeypatch.setattr(guard, "UNKNOWN_S", 0.2)
    seconds = crowd(make_guard(deadline_s=1, share=4), Account(released, ONE), 16)
    assert all(waited < 0.7 for waited in seconds[:12])
    assert all(waited >= 1 for waited in seconds[12:])


def test_who_comes_to_a_crowd_late_is_turned_away_at_once(
    make_guard: Callable[..., Guard], released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", 0.1)
    monkeypatch.setattr(guard, "UNKNOWN_S", 0.1)
    guarded, account = make_guard(deadline_s=5, share=1), Account(released, ONE)
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(ask, guarded, account)
        time.sleep(0.3)
        started = time.monotonic()
        assert str(ask(guarded, account)) == "slow, and enough others wait"
        assert time.monotonic() - started < 0.5
        released.set()
        assert first.result() == ONE


def test_a_crowd_at_a_slow_account_is_answered_all_the_same(
    make_guard: Callable[..., Guard], released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first call nobody knows how long it takes."""
    monkeypatch.setattr(guard, "BRIEF_S", 0.1)
    monkeypatch.setattr(guard, "UNKNOWN_S", 5.0)
    threading.Timer(0.5, released.set).start()
    guarded, account = make_guard(share=1), Account(released, ONE)
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(lambda _: ask(guarded, account), range(8))) == [ONE] * 8


def test_an_account_that_hung_last_time_is_waited_for_by_one(
    make_guard: Callable[..., Guard], released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", 0.1)
    monkeypatch.setattr(guard, "UNKNOWN_S", 5.0)
    slowly = threading.Event()
    threading.Timer(1.0, slowly.set).start()
    account = Account(slowly, Unreachable("no whole answer in time"), released, ONE)
    guarded = make_guard(deadline_s=1, share=4)
    ask(guarded, account)
    seconds = crowd(guarded, account, 4)
    assert all(waited < 0.7 for waited in seconds[:3])
    assert seconds[3] >= 1


def test_a_failure_that_came_at_once_costs_the_next_crowd_nothing(
    make_guard: Callable[..., Guard],
) -> None:
    slowly = threading.Event()
    account, guarded = Account(ONE, Unreachable("x"), slowly, ONE), make_guard(share=1)
    assert ask(guarded, account) == ONE
    assert isinstance(ask(guarded, account), Unreachable)
    threading.Timer(0.15, slowly.set).start()
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(lambda _: ask(guarded, account), range(8))) == [ONE] * 8


def test_all_hanging_accounts_together_hold_half_of_the_threads(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", 0.1)
    monkeypatch.setattr(guard, "UNKNOWN_S", 0.2)
    room = Room(8)
    guards = [Guard(room, 1, lambda *_: None) for _ in range(8)]

    def wait(guarded: Guard) -> float:
        started = time.monotonic()
        ask(guarded, Account(released, ONE))
        return time.monotonic() - started

    with ThreadPoolExecutor(8) as callers:
        seconds = sorted(callers.map(wait, guards))
    assert [waited >= 1 for waited in seconds] == [False] * 4 + [True] * 4
    assert all(waited < 0.7 for waited in seconds[:4])


def test_calls_that_hang_leave_the_threads_to_accounts_that_answer(
    released: threading.Event,
) -> None:
    room = Room(1)
    proven, account = Guard(room, 10, lambda *_: None), Account(ONE)
    assert ask(proven, account) == ONE
    for _ in range(20):
        Guard(room, 10, lambda *_: None).call(Account(released, ONE), Query())
    assert ask(proven, account) == ONE


def test_neither_callers_that_gave_up_nor_calls_that_nobody_waits_for_use_up_the_share(
    make_guard: Callable[..., Guard], released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BRIEF_S", 0.05)
    monkeypatch.setattr(guard, "UNKNOWN_S", 0.05)
    guarded = make_guard(deadline_s=0.3, share=2)
    crowd(guarded, Account(released, ONE), 8)
    released.set()
    for _ in range(8):
        guarded.call(Account(ONE), Query())
    slowly = threading.Event()
    threading.Timer(0.15, slowly.set).start()
    account = Account(slowly, ONE)
    with ThreadPoolExecutor(2) as callers:
        assert list(callers.map(lambda _: ask(guarded, account), range(2))) == [ONE] * 2
