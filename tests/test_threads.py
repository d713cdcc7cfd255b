"""The threads of a worker."""

import threading
import time
from queue import SimpleQueue

import pytest

from helpdesk_numbers import threads as module
from helpdesk_numbers.lookup.bulkhead import LONG_WAIT_S
from helpdesk_numbers.threads import MAX_GROWTH, RequestThreads
from tests.support.accounts import ONE, Account, ask, lookup_of, wait_until


def test_threads_that_wait_long_for_carriers_do_not_count(released: threading.Event) -> None:
    lookup, ahead_s = lookup_of(Account(released, ONE)), 0.0
    answers: SimpleQueue[object] = SimpleQueue()
    threads = RequestThreads(
        2,
        lambda work: answers.put(work()),
        lambda: lookup.bulkhead.long_waiting(time.monotonic() + ahead_s),
    )
    for _ in range(2):
        threads.submit(lambda: ask(lookup))
    wait_until(lambda: lookup.bulkhead.long_waiting(time.monotonic() + 60) == 2)
    threads.submit(lambda: "quick")
    threads.grow()
    assert threads.count == 2  # both are busy
    ahead_s = LONG_WAIT_S
    threads.grow()
    assert answers.get(timeout=30) == "quick"
    released.set()
    assert [answers.get(timeout=30) for _ in range(2)] == [ONE] * 2


def test_a_worker_has_four_times_its_threads_at_most(released: threading.Event) -> None:
    done: SimpleQueue[int] = SimpleQueue()

    def work(number: int) -> None:
        released.wait(30)
        done.put(number)

    threads = RequestThreads(2, work, lambda: 1000)
    for number in range(20):
        threads.submit(number)
    assert threads.count == 2 * MAX_GROWTH
    released.set()
    assert sorted(done.get(timeout=30) for _ in range(20)) == list(range(20))


def test_a_thread_that_is_free_is_used_again() -> None:
    done: SimpleQueue[int] = SimpleQueue()
    threads = RequestThreads(8, done.put, lambda: 0)
    for number in range(50):
        threads.submit(number)
        assert done.get(timeout=30) == number
        wait_until(lambda: len(threads._idle) == threads.count)
    assert threads.count == 1


def test_threads_that_have_nothing_to_do_are_not_kept(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    done: SimpleQueue[int] = SimpleQueue()

    def work(number: int) -> None:
        released.wait(30)
        done.put(number)

    threads = RequestThreads(8, work, lambda: 0)
    for number in range(8):
        threads.submit(number)
    released.set()
    wait_until(lambda: threads.count == 0)
    threads.submit(8)
    assert sorted(done.get(timeout=30) for _ in range(9)) == list(range(9))


def test_what_the_system_has_no_thread_for_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    done: SimpleQueue[int] = SimpleQueue()
    threads = RequestThreads(8, done.put, lambda: 0)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for number in range(20):
            threads.submit(number)
        threads.grow()
        assert threads.count == 0
    threads.grow()  # as a worker does twice a second
    assert sorted(done.get(timeout=30) for _ in range(20)) == list(range(20))
