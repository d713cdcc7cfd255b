"""Single flight: who shares a call, and which thread makes it."""

import threading
import time
from collections.abc import Callable

import pytest

from helpdesk_numbers.directory.model import Rule
from helpdesk_numbers.lookup.bulkhead import Bulkhead
from helpdesk_numbers.lookup.calls import MAX_CONCURRENT_CALLS, AccountCalls, Call
from providers.base.errors import Unreachable, Unreadable
from providers.base.provider import PhoneNumber, Provider, Query
from tests.support.accounts import (
    EAST,
    ONE,
    WEST,
    Account,
    Obedient,
    Punctual,
    ask,
    ask_at_once,
    gives,
    lookup_of,
    wait_until,
)

DEADLINE_S = 4.0


def test_callers_at_the_same_moment_share_one_call(released: threading.Event) -> None:
    account = Account(released, ONE)
    answers = ask_at_once(lookup_of(account), account, released, range(40))
    assert answers == [ONE] * 40
    assert len(account.queries) == 1


def test_a_call_that_is_over_is_shared_with_nobody() -> None:
    lookup = lookup_of(Account([], ONE, []))
    assert [ask(lookup) for _ in range(3)] == [[], ONE, []]


def test_those_who_ask_for_different_numbers_share_one_listing(released: threading.Event) -> None:
    everything = [PhoneNumber(f"+120255501{index:02}") for index in range(50)]
    account = Account(released, released, everything)
    rules = {index: Rule(numbers=(number.number,)) for index, number in enumerate(everything)}
    answers = ask_at_once(lookup_of(account, rule=rules), account, released, rules)
    assert answers == [[number] for number in everything]
    assert len(account.queries) == 2
    assert account.queries[1].numbers == ()


def test_a_listing_in_flight_is_enough_for_any_question(released: threading.Event) -> None:
    account = Account(released, ONE)
    lookup = lookup_of(
        account, rule={2: Rule(numbers=(EAST,)), 3: Rule(names=("*",)), 4: Rule(accounts=("acme",))}
    )
    first = threading.Thread(target=ask, args=(lookup, 1))
    first.start()
    wait_until(lambda: len(account.queries) == 1)
    threading.Timer(0.1, released.set).start()
    assert [ask(lookup, user) for user in (2, 3, 4)] == [ONE] * 3
    first.join()
    assert len(account.queries) in (1, 2, 3)  # the calls after the first was over are their own


def test_a_failed_call_fails_its_callers_alike_and_the_next_is_fresh(
    released: threading.Event,
) -> None:
    failure = Unreachable("answered 500")
    account = Account(released, failure, ONE)
    lookup = lookup_of(account)
    assert ask_at_once(lookup, account, released, range(40)) == [failure] * 40
    assert ask(lookup) == ONE


def test_a_failure_for_many_grows_with_none_of_them(released: threading.Event) -> None:
    """An exception raised in forty threads would have forty tracebacks, with all their frames."""
    failure = Unreachable("answered 500")
    account = Account(released, failure)
    ask_at_once(lookup_of(account), account, released, range(40))
    frames, trace = 0, failure.__traceback__
    while trace:
        frames, trace = frames + 1, trace.tb_next
    assert 0 < frames < 8


@pytest.mark.parametrize("kind", [Punctual, Obedient])
def test_an_adapter_that_ends_its_thread_fails_and_the_next_call_is_fresh(
    kind: type[Obedient],
) -> None:
    turns = iter([1])

    def take(_: Query) -> list[PhoneNumber]:
        for status in turns:
            raise SystemExit(status)
        return ONE

    lookup = lookup_of(kind("acme", take))
    failure = ask(lookup)
    assert isinstance(failure, Unreadable)
    assert str(failure) == "SystemExit in the adapter"
    assert ask(lookup) == ONE


def test_the_asking_thread_calls_an_account_that_keeps_the_deadline() -> None:
    """One of them, if there are several: the others are called at the same time."""
    threads: dict[str, threading.Thread] = {}

    def account(kind: type[Obedient], name: str) -> Provider:
        def tell(_: Query) -> list[PhoneNumber]:
            threads[name] = threading.current_thread()
            return []

        return kind(name, tell)

    own_client = account(Obedient, "own client")
    lookup_of(own_client, account(Punctual, "first"), account(Punctual, "second")).look_up(62515, 1)
    assert [name for name, by in threads.items() if by is threading.current_thread()] == ["first"]
    lookup_of(own_client).look_up(62515, 1)
    assert threads["own client"] is not threading.current_thread()


# Calls that outlast their deadline, as those of adapters with a client of their own may


def test_a_call_that_outlasts_its_deadline_is_not_waited_for(released: threading.Event) -> None:
    turns: list[Callable[[], object]] = [lambda: released.wait(30)]

    def take(_: Query) -> list[PhoneNumber]:
        if turns:
            turns.pop()()
        return ONE

    account = Obedient("acme", take)
    lookup = lookup_of(account, deadline_s=0.2)
    failure = ask(lookup)
    assert isinstance(failure, Unreachable)
    assert str(failure) == "no answer in time"
    assert ask(lookup) == ONE


def joined(calls: AccountCalls, account: Provider, now: float) -> tuple[Call, bool]:
    return calls.join(account, Query(), now)


def test_few_calls_outlast_their_deadline_at_a_time_and_the_account_comes_back() -> None:
    account = Obedient("acme", gives())
    calls = AccountCalls(DEADLINE_S, Bulkhead(64))
    late = []
    for index in range(MAX_CONCURRENT_CALLS):
        call, is_new = joined(calls, account, (DEADLINE_S + 1) * index)
        assert is_new
        late.append(call)
    refused, is_new = joined(calls, account, 1000)
    assert (str(refused.result()), is_new) == ("too many of its calls hang", False)
    for call in late:
        calls.end(call, ONE, 1001)
    assert joined(calls, account, 1002)[1]


def test_while_an_account_hangs_one_at_a_time_tries_it() -> None:
    account, calls = Obedient("acme", gives()), AccountCalls(DEADLINE_S, Bulkhead(64))
    call, _ = joined(calls, account, 0)
    assert joined(calls, account, 1) == (call, False)  # nobody knows yet that it hangs
    calls.end(call, Unreachable("no whole answer in time"), DEADLINE_S)
    probe, is_new = joined(calls, account, 5)
    assert is_new
    refused, is_new = joined(calls, account, 6)
    error = refused.result()
    assert not is_new
    assert isinstance(error, Unreachable)
    assert str(error) == "it hangs; another request is trying it"
    assert error.retry_after_s == DEADLINE_S - 1
    calls.end(probe, ONE, 6.1)
    first, _ = joined(calls, account, 7)
    assert joined(calls, account, 7) == (first, False)


def test_a_failure_that_came_at_once_makes_nobody_a_hanging_account() -> None:
    account, calls = Obedient("acme", gives()), AccountCalls(DEADLINE_S, Bulkhead(64))
    call, _ = joined(calls, account, 0)
    calls.end(call, Unreachable("answered 500"), 0.1)
    call, _ = joined(calls, account, 1)
    assert joined(calls, account, 1) == (call, False)


def test_what_was_not_the_accounts_doing_does_not_count_against_it() -> None:
    account, calls = Obedient("acme", gives()), AccountCalls(DEADLINE_S, Bulkhead(64))
    for now in range(20):
        call, is_new = joined(calls, account, now)
        assert is_new
        calls.end(call, Unreachable("no thread was free to call it"), now, counts=False)


def test_without_threads_to_be_had_a_lookup_fails_and_nothing_stays_behind() -> None:
    account = Obedient("acme", gives(WEST))
    lookup = lookup_of(account)
    lookup.bulkhead._suspect_pool.shutdown()
    for _ in range(2 * MAX_CONCURRENT_CALLS):
        assert str(ask(lookup)) == "no thread was free to call it"
    assert account.queries == []


def test_a_call_that_got_no_thread_in_time_does_not_count_against_the_account(
    released: threading.Event,
) -> None:
    account = Obedient("acme", gives(WEST))
    lookup = lookup_of(account, deadline_s=0.1, threads=1)
    ended = threading.Semaphore(0)

    def hang() -> None:
        released.wait(30)
        ended.release()

    for _ in range(2):
        lookup.bulkhead.submit(hang, healthy=False)
    for _ in range(3):
        assert isinstance(ask(lookup), Unreachable)
    released.set()
    for _ in range(2):
        assert ended.acquire(timeout=30)
    time.sleep(0.1)  # beyond the deadline of the calls that got no thread
    wait_until(lambda: ask(lookup) == [PhoneNumber(WEST)])
    assert len(account.queries) == 1
