"""What stands between the lookups of a worker and one account.

Requests that need the same account at the same moment share one call. An account that keeps failing
is left alone for a while. One that hangs holds few threads. The breaker is our own: kept libraries
(pybreaker, circuitbreaker) measure by the wall clock, which jumps, and know no `Retry-After`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from functools import partial

from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from providers.base.provider import Deadline, PhoneNumber, Provider, Query

GRACE_S = 0.1
"""What an account gets beyond the deadline to say itself what went wrong."""

FAILURES = 3
"""So many failed calls in a row open the breaker."""

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 30.0
"""How long an open breaker leaves the account alone; doubled at each failed trial."""

MOST_CALLS = 4
"""Calls to one account under way in a worker. Three are usual (one for a few numbers, one for all,
one for all with their owners' addresses); more are calls that hang beyond their deadline, which
adapters without ours may do."""

BRIEF_S = 0.25
"""Callers beyond the share of threads wait until the call has taken three times as long as usual,
but at least so long; no longer for an account whose last call outlasted the deadline."""

UNKNOWN_S = 2.0
"""The same while nobody knows what is usual."""

CROWDED_S = 1.5
"""The most of it while most of the worker's threads wait."""

Answer = list[PhoneNumber] | ProviderError
_Scope = tuple[tuple[str, ...], tuple[str, ...], str | None]

_KINDS = (Refused, Unreadable, RateLimited, Unreachable, ProviderError)


class Room:
    """What the accounts of a worker share: threads to call them with, and the callers' patience.

    `threads` is how many requests the worker answers at a time, thus how many callers can wait.
    """

    def __init__(self, threads: int) -> None:
        self.share = max(2, threads // 4)
        """So many callers may wait for one account to the end of the deadline,"""
        self.most_patient = max(2, threads // 2)
        """so many for all accounts together,"""
        self.crowd = max(2, 3 * threads // 4)
        """and with so many waiting at all it is crowded."""
        self.lock = threading.Lock()
        self.waiting = self.patient = 0
        # Accounts that answered last time are not kept waiting by those that hang.
        self._proven = ThreadPoolExecutor(4 * threads, thread_name_prefix="account")
        self._doubtful = ThreadPoolExecutor(2 * threads, thread_name_prefix="doubtful")

    def submit(self, run: Callable[[], Answer], *, proven: bool) -> "Future[Answer]":
        """The answer to be. Raises RuntimeError if the system gives no more threads."""
        return (self._proven if proven else self._doubtful).submit(run)


class Call:
    """A call to an account. Any number of callers may wait for it."""

    future: "Future[Answer]"
    ended = 0.0

    def __init__(self, guard: "Guard", scope: _Scope, started: float) -> None:
        self._guard, self.scope, self.started = guard, scope, started

    def result(self) -> Answer:
        """What the call came to, or an error if this caller cannot wait for it.

        No exception is raised: threads share it, and each would add its frames.
        """
        with self._guard.waiting(self) as (until, excuse):
            try:
                return self.future.result(max(0.0, until - time.monotonic()))
            except FutureTimeout:
                return Unreachable(excuse)


class Guard:
    """One account's calls. Threads share it.

    `settled` is told what each call came to. The account itself is not kept, so that it can be
    forgotten.
    """

    def __init__(
        self, room: Room, deadline_s: float, settled: Callable[[Provider, Query, Answer], None]
    ) -> None:
        self._room, self._deadline_s, self._settled = room, deadline_s, settled
        self._lock = threading.Lock()
        self._under_way: dict[_Scope, Call] = {}
        self._running: set[Call] = set()
        self._patient = 0
        self._usual_s: float | None = None
        self._hung = False
        self._failures = 0
        self._last_failure: tuple[type[ProviderError], str] = Unreachable, ""
        self._pause_s = FIRST_PAUSE_S
        self._open_until = 0.0
        self._trial: Call | None = None

    def call(self, account: Provider, query: Query) -> Call:
        """A call for this query: one under way that covers it, or a new one.

        Raises:
            ProviderError: the account is left alone for now.
        """
        now = time.monotonic()
        with self._lock:
            if now < self._open_until:
                raise self._left_alone(self._open_until - now)
            scope = self._scope(account, query, now)
            return self._under_way.get(scope) or self._start(account, scope, now)

    @contextmanager
    def waiting(self, call: Call) -> Iterator[tuple[float, str]]:
        """Until when (monotonic) one more caller may wait for the call, and why not longer."""
        room = self._room
        with room.lock:
            patient = (
                self._patient < (1 if self._hung else room.share)
                and room.patient < room.most_patient
            )
            crowded = room.waiting >= room.crowd
            room.waiting += 1
            room.patient += patient
            self._patient += patient
        try:
            if patient:
                yield call.started + self._deadline_s + GRACE_S, "no answer in time"
            else:
                until = call.started + min(self._brief_s(crowded), self._deadline_s)
                yield until, "slow, and enough others wait"
        finally:
            with room.lock:
                room.waiting -= 1
                room.patient -= patient
                self._patient -= patient

    def _brief_s(self, crowded: bool) -> float:
        if self._hung:
            return BRIEF_S
        brief_s = UNKNOWN_S if self._usual_s is None else max(BRIEF_S, 3 * self._usual_s)
        return min(brief_s, CROWDED_S) if crowded else brief_s

    def _left_alone(self, left_s: float) -> ProviderError:
        kind, reason = self._last_failure
        error = kind(f"{reason}; left alone for {left_s:.0f} s more")
        error.retry_after_s = left_s
        return error

    def _scope(self, account: Provider, query: Query, now: float) -> _Scope:
        """What to ask for: the query's own scope, or everything where that is cheaper.

        Five hundred users who want a number each cost one listing, not five hundred calls.
        """
        for call in list(self._under_way.values()):
            if now > call.started + self._deadline_s:  # hangs beyond it: not waited for
                del self._under_way[call.scope]
        own = _scope_of(query)
        if own in self._under_way or not self._under_way:
            return own
        return _scope_of(query.widened(account))

    def _start(self, account: Provider, scope: _Scope, now: float) -> Call:
        if len(self._running) >= MOST_CALLS:
            raise Unreachable("earlier calls hang")
        call = Call(self, scope, now)
        query = Query(*scope, deadline=Deadline(self._deadline_s))
        try:
            call.future = self._room.submit(
                partial(self._run, account, query, call),
                proven=self._usual_s is not None and not self._failures,
            )
        except RuntimeError as error:  # the system gives no more threads
            raise Unreachable("no thread to ask it with") from error
        if self._open_until:  # nobody else calls while this one tries
            self._open_until, self._trial = now + self._deadline_s, call
        self._running.add(call)
        self._under_way[scope] = call
        return call

    def _run(self, account: Provider, query: Query, call: Call) -> Answer:
        asked = bool(query.deadline.left())  # else all threads were busy, which is not its fault
        answer: Answer
        try:
            answer = account.ask(query) if asked else Unreachable("no thread to ask it with")
        except ProviderError as error:
            answer = error
        except BaseException as error:  # sys.exit() in an adapter, say
            answer = Unreadable(f"{type(error).__name__} in the adapter")
        with self._lock:
            call.ended = time.monotonic()
            self._running.discard(call)
            if self._under_way.get(call.scope) is call:
                del self._under_way[call.scope]
            if asked:
                self._judge(call, answer)
        self._settled(account, query, answer)
        return answer

    def _judge(self, call: Call, answer: Answer) -> None:
        took_s = call.ended - call.started
        is_open = call.ended < self._open_until and call is not self._trial
        if not isinstance(answer, ProviderError):
            if is_open:  # begun before the pause, so it proves nothing about now
                return
            self._failures, self._open_until, self._pause_s = 0, 0.0, FIRST_PAUSE_S
            self._usual_s = max(took_s, 0.8 * (self._usual_s or 0))
            self._hung = False
            return
        self._failures += 1
        self._hung = took_s > 0.9 * self._deadline_s
        self._last_failure = next(k for k in _KINDS if isinstance(answer, k)), str(answer)
        if isinstance(answer, RateLimited) and answer.retry_after_s:
            pause_until = call.ended + answer.retry_after_s
            self._open_until = max(pause_until, self._open_until if is_open else 0)
        elif not is_open and (call is self._trial or self._failures >= FAILURES):
            self._open_until = call.ended + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)


def _scope_of(query: Query) -> _Scope:
    return query.numbers, query.names, query.owner
