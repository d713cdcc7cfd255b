"""The accounts as a worker asks them: which call to wait for, who makes it, what comes of it."""

import threading
import time
from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

from providers.base.errors import Unreachable
from providers.base.provider import Provider, Query

from .breaker import Answer
from .bulkhead import Bulkhead
from .calls import AccountCalls, Call, answer_of
from .judge import Judged, judge
from .long import LongListings
from .result import Outcome
from .stale import LastKnownGood


class Accounts:
    """All accounts of a worker, whose threads share it."""

    def __init__(self, deadline_s: float, last_known_good_s: float, bulkhead: Bulkhead) -> None:
        self._deadline_s, self._bulkhead = deadline_s, bulkhead
        self.stale = LastKnownGood(last_known_good_s) if last_known_good_s else None
        self._long = (
            LongListings(self.stale, deadline_s, answer_of, self._learn) if self.stale else None
        )
        self._calls: WeakKeyDictionary[Provider, AccountCalls] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def join(self, account: Provider, query: Query, full: Query) -> tuple[Call, bool]:
        """Return the call to wait for, and whether it is new, so that it has to be made."""
        now = time.monotonic()
        if account.fixed:
            return Call.finished(account, query, answer_of(account, query), now), False
        if self._long and (error := self._long.instead(account, query, full)):
            return Call.finished(account, query, error, now), False
        full = query if self._long and self._long.knows(account) else full  # which takes too long
        return self._calls_of(account).join(account, query, full, now)

    def make(self, call: Call) -> None:
        """Make the call, once for all who wait for it."""
        if call.query.deadline.left():
            answer = answer_of(call.account, call.query)
            long = self._long and self._long.unfinished(call.account, call.query, answer)
            self._end(call, long or answer, counts=not long)
        else:
            self._end(call, Unreachable("no thread was free to call it"), counts=False)

    def submit(self, call: Call) -> None:
        """Have another thread make the call."""
        run: Callable[[], None] = partial(self.make, call)
        self._bulkhead.submit(run, healthy=self._calls_of(call.account).healthy)

    def answer(self, query: Query, call: Call, began: float) -> tuple[list[Judged], Outcome]:
        """Return the call's answer, or if it failed the account's last good one, or nothing; and
        how it went, by the milliseconds since `began`."""
        account, answer = call.account, call.result()
        ms = max(0.0, round(((call.ended or time.monotonic()) - began) * 1000, 1))
        if isinstance(answer, list):
            return call.judged(), Outcome(account.account, account.name, "ok", ms)
        if not answer.account:
            answer.account, answer.provider = account.account, account.name
        stale = self.stale.find(account, query) if self.stale else None
        numbers, age_s = stale or ([], None)
        outcome = Outcome(account.account, account.name, answer.outcome, ms, answer, age_s)
        return [judge(number, account.options.country) for number in numbers], outcome

    def _end(self, call: Call, answer: Answer, *, counts: bool = True) -> None:
        """Learn from the call's answer, then give it to all who wait."""
        now = time.monotonic()
        self._calls_of(call.account).end(call, answer, now, counts=counts)
        if counts and self.stale:
            self.stale.record(call.account, call.query, answer, call.began)
        call.finish(answer, now)

    def _learn(self, account: Provider, answer: Answer, began: float) -> None:
        self._calls_of(account).learn(answer, began, time.monotonic())

    def _calls_of(self, account: Provider) -> AccountCalls:
        with self._lock:
            calls = self._calls.get(account)
            if calls is None:
                calls = self._calls[account] = AccountCalls(self._deadline_s, self._bulkhead)
            return calls
