"""Single flight: whoever needs an account while a call to it is in flight shares that call.

Nobody gets an answer that is older than the call they waited for.
"""

import threading

from providers.base.errors import ProviderError, Unreachable, Unreadable
from providers.base.provider import Provider, Query

from .breaker import Answer, CircuitBreaker
from .bulkhead import Bulkhead
from .judge import Judged, judge

MAX_CONCURRENT_CALLS = 4
"""Calls to one account that may run in a worker before another is refused. Three are usual: for a
few numbers, for all, for all with their owners' addresses. More are calls that outlast their
deadline, as those of adapters with a client of their own may."""

GRACE_S = 0.1
"""Seconds that a call gets beyond its deadline to report what went wrong."""


class Call:
    """A call to an account, for any number of threads to wait for.

    `query` is what it asks for, `began` when (seconds, monotonic); `ended` is 0 until it has.
    """

    def __init__(
        self, account: Provider, query: Query, began: float, *, has_seat: bool = False
    ) -> None:
        self.account, self.query, self.began, self.ended = account, query, began, 0.0
        self.has_seat = has_seat
        self._answer: Answer | None = None
        self._judged: list[Judged] | None = None
        self._judging = threading.Lock()
        self._in_flight = threading.Lock()  # held until it has ended
        self._in_flight.acquire()

    @classmethod
    def finished(cls, account: Provider, query: Query, answer: Answer, now: float) -> "Call":
        """Return a call that has ended already, with this answer."""
        call = cls(account, query, now)
        call.finish(answer, now)
        return call

    def finish(self, answer: Answer, now: float) -> None:
        """End the call, and give its answer to all who wait for it."""
        self._answer, self.ended = answer, now
        self._in_flight.release()

    def result(self) -> Answer:
        """Wait for the answer and return it, or the error that none came in time.

        Nothing is raised: threads share an error, and each would add its frames to it.
        """
        if self._answer is None and self._in_flight.acquire(
            timeout=self.query.deadline.left() + GRACE_S
        ):
            self._in_flight.release()  # the next who waits
        return Unreachable("no answer in time") if self._answer is None else self._answer

    def judged(self) -> list[Judged]:
        """Return the answer's numbers as the help desk would have them: once for all who wait."""
        with self._judging:
            if self._judged is None:
                numbers = self._answer if isinstance(self._answer, list) else []
                country = self.account.options.country
                self._judged = [judge(number, country) for number in numbers]
            return self._judged


class AccountCalls:
    """One account's calls in this worker: which are in flight, and whether another may begin.

    Threads share it. It does not hold the account, which would keep a removed one alive.
    """

    def __init__(self, deadline_s: float, bulkhead: Bulkhead) -> None:
        self._deadline_s, self._bulkhead = deadline_s, bulkhead
        self._lock = threading.Lock()
        self._breaker = CircuitBreaker()
        self._running: list[Call] = []
        self._timed_out = False  # the last call ran into the deadline
        self.healthy = False
        """Whether the last call succeeded."""

    def join(self, account: Provider, query: Query, full: Query, now: float) -> tuple[Call, bool]:
        """Return the call to wait for, and whether it is new, so that the caller has to make it.

        Beside another call, a new one asks for everything (`full`), so that the next can share it:
        five hundred users who want a number each cost two calls, not five hundred.
        """
        with self._lock:
            in_flight = [call for call in self._running if now <= call.began + self._deadline_s]
            hangs = self._timed_out or len(in_flight) < len(self._running)
            self.healthy = self.healthy and not hangs
            error = self._breaker.refusal(now)
            if hangs and not error:
                error = self._refusal(in_flight, now)
            if error:
                return Call.finished(account, query, error, now), False
            if in_flight:
                for call in in_flight:
                    if call.query in (query, full):
                        return call, False
                query = full
            call = Call(account, query, now, has_seat=hangs)
            self._running.append(call)
            self._breaker.begin(now, self._deadline_s)
            return call, True

    def _refusal(self, in_flight: list[Call], now: float) -> ProviderError | None:
        """Why an account that hangs cannot be called now: one call at a time tries whether it is
        back, and it needs a seat."""
        if in_flight:
            error = Unreachable("it hangs; another request is trying it")
            error.retry_after_s = in_flight[0].began + self._deadline_s - now
            return error
        if len(self._running) >= MAX_CONCURRENT_CALLS:
            return Unreachable("too many of its calls hang")
        if not self._bulkhead.take_seat(now, now + self._deadline_s):
            return Unreachable("it hangs, and so do too many other accounts")
        return None

    def end(self, call: Call, answer: Answer, now: float, *, counts: bool = True) -> None:
        """Record how a call ended, if it `counts`: if that was the account's doing."""
        with self._lock:
            self._running.remove(call)
            if counts:
                self._breaker.record(answer, call.began, now)
                self.healthy = isinstance(answer, list)
                self._timed_out = not self.healthy and now - call.began > 0.9 * self._deadline_s
        if call.has_seat:
            self._bulkhead.give_seat_back(call.began + self._deadline_s)

    def learn(self, answer: Answer, began: float, now: float) -> None:
        """Record how a listing ended that was made beside the calls."""
        with self._lock:
            self._breaker.record(answer, began, now)


def answer_of(account: Provider, query: Query) -> Answer:
    """Return the account's numbers or its error. Nothing is raised: many threads wait for it."""
    try:
        return account.ask(query)
    except ProviderError as error:
        return error
    except BaseException as error:  # sys.exit() in an adapter, say
        return Unreadable(f"{type(error).__name__} in the adapter")
