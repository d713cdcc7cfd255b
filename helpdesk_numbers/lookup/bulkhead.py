"""The bulkhead: accounts that hang hold a bounded share of a worker's threads.

It acts on accounts that have shown that they hang, and on nobody else. An account whose last call
ran into the deadline gets one call at a time, and all such accounts together have calls from half
of the worker's threads; whoever comes beyond that is refused at once. Everybody else waits for a
slow account as long as the deadline allows, which costs little: a thread that has waited for over
`LONG_WAIT_S` no longer counts among the worker's (see worker.py).
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

LONG_WAIT_S = 1.0
"""After this long a thread that waits for a carrier does not count as one that works."""


class Bulkhead:
    """What the accounts of a worker share. `threads` is how many requests it works on at a time."""

    def __init__(self, threads: int) -> None:
        self._seats = threading.Semaphore(max(1, threads // 2))
        self._waiting_since: dict[int, float] = {}
        # Threads for the calls that no asking thread makes itself, made when they are needed. Those
        # of adapters that do not keep their deadline may hang for ever: not with the healthy ones.
        self._healthy_pool = ThreadPoolExecutor(4 * threads, thread_name_prefix="account")
        self._suspect_pool = ThreadPoolExecutor(2 * threads, thread_name_prefix="suspect")

    def submit(self, call: Callable[[], None], *, healthy: bool) -> None:
        """Run a call on another thread; a healthy account's is not kept waiting by the others'.

        Raises:
            RuntimeError: the system gives no more threads.
        """
        (self._healthy_pool if healthy else self._suspect_pool).submit(call)

    def take_seat(self) -> bool:
        """Let one more call to a hanging account in; return whether there was a seat left."""
        return self._seats.acquire(blocking=False)

    def give_seat_back(self) -> None:
        """Free the seat that `take_seat` took."""
        self._seats.release()

    def begin_waiting(self, now: float) -> None:
        """Record that this thread waits for carriers from now on."""
        self._waiting_since[threading.get_ident()] = now

    def end_waiting(self) -> None:
        """Record that this thread no longer waits."""
        del self._waiting_since[threading.get_ident()]

    def long_waiting(self, now: float) -> int:
        """Return how many threads have waited for carriers for over `LONG_WAIT_S`."""
        return sum(now - since > LONG_WAIT_S for since in tuple(self._waiting_since.values()))
