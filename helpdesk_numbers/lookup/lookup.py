"""Who is asking → which accounts → their numbers, live, side by side, under one deadline."""

import threading
import time
from functools import partial
from typing import Protocol
from weakref import WeakKeyDictionary

from helpdesk_numbers.directory.model import Directory, Grant
from providers.base.errors import Unreachable
from providers.base.provider import Deadline, PhoneNumber, Provider, Query

from .breaker import Answer
from .bulkhead import Bulkhead
from .calls import AccountCalls, Call, answer_of
from .long import LongListings
from .result import LeftOut, Number, Outcome, Result, StaticResults
from .rules import apply_rule, query_for
from .shared import SharedAnswers
from .stale import LastKnownGood


class DirectorySource(Protocol):
    """Where the lookup finds the directory in force: a `DirectoryFile` or a `SingleAccount`."""

    def current(self) -> Directory:
        """Return the directory in force now."""


class Lookup:
    """Answers who may see what. One for each worker; its threads share it.

    `threads` is how many requests a worker works on at a time; 0 for `last_known_good_s` turns
    stale-if-error off.
    """

    def __init__(
        self,
        directories: DirectorySource,
        deadline_s: float,
        last_known_good_s: float = 0,
        threads: int = 64,
    ) -> None:
        self._directories = directories
        self._deadline_s = deadline_s
        self._stale = LastKnownGood(last_known_good_s) if last_known_good_s else None
        self._long = (
            LongListings(self._stale, deadline_s, answer_of, self._learn) if self._stale else None
        )
        self._calls: WeakKeyDictionary[Provider, AccountCalls] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._static = StaticResults()
        self.bulkhead = Bulkhead(threads)

    def share(self, shared: SharedAnswers) -> None:
        """Share last good answers with the instance's other workers."""
        if self._stale:
            self._stale.shared = shared

    def look_up(self, portal_id: int, user_id: int, *, full: bool = False) -> Result:
        """Return the numbers that the user may see now, in time whatever the carriers do.

        With `full`, accounts are asked for everything, so that `left_out` is complete. No carrier's
        failure is raised: `Result.failure` has it.

        Raises:
            DirectoryRefused: as `DirectoryFile.current` does.
        """
        directory = self._directories.current()
        viewer = directory.viewer(portal_id, user_id)
        if not full and (static_result := self._static.find(directory, viewer)):
            return static_result
        grants, why = directory.grants(portal_id, user_id)
        numbers: dict[tuple[str, str | None], Number] = {}
        left_out: list[LeftOut] = []
        outcomes = []
        for grant, (listed, outcome) in zip(grants, self._ask(grants, full), strict=True):
            apply_rule(listed, grant, numbers, left_out)
            outcomes.append(outcome)
        result = Result(list(numbers.values()), why, outcomes, left_out)
        if not full and all(grant.account.fixed for grant in grants):
            self._static.keep(directory, viewer, result)
        return result

    def _ask(self, grants: list[Grant], full: bool) -> list[tuple[list[PhoneNumber], Outcome]]:
        """Each account's numbers and outcome, in order; the accounts are asked side by side."""
        began, deadline = time.monotonic(), Deadline(self._deadline_s)
        queries = [query_for(grant.rule, grant.account, deadline) for grant in grants]
        full_queries = [
            grant.account.full(query) for grant, query in zip(grants, queries, strict=True)
        ]
        self.bulkhead.begin_waiting(began)
        try:  # in which no adapter's code runs until each call is somebody's to make
            calls: list[tuple[Query, Call]] = []
            new_calls: list[Call] = []
            for grant, query, full_query in zip(grants, queries, full_queries, strict=True):
                wanted = full_query if full else query
                call, is_new = self._join(grant.account, wanted, full_query)
                calls.append((query, call))
                if is_new:
                    new_calls.append(call)
            own_call = next((call for call in new_calls if call.account.keeps_deadline), None)
            for call in new_calls:
                if call is not own_call:
                    healthy = self._calls_of(call.account).healthy
                    self.bulkhead.submit(partial(self._make, call), healthy=healthy)
            if own_call:  # needs no other thread
                self._make(own_call)
            return [self._answer(query, call, began) for query, call in calls]
        finally:
            self.bulkhead.end_waiting()

    def _join(self, account: Provider, query: Query, full: Query) -> tuple[Call, bool]:
        """The call to wait for, and whether it is new, so that it has to be made."""
        now = time.monotonic()
        if account.fixed:
            return Call.finished(account, query, answer_of(account, query), now), False
        if self._long and (error := self._long.instead(account, query, full)):
            return Call.finished(account, query, error, now), False
        full = query if self._long and self._long.knows(account) else full  # which takes too long
        return self._calls_of(account).join(account, query, full, now)

    def _make(self, call: Call) -> None:
        """Make the call, once for all who wait for it."""
        if call.query.deadline.left():
            answer = answer_of(call.account, call.query)
            long = self._long and self._long.unfinished(call.account, call.query, answer)
            self._end(call, long or answer, counts=not long)
        else:
            self._end(call, Unreachable("no thread was free to call it"), counts=False)

    def _end(self, call: Call, answer: Answer, *, counts: bool = True) -> None:
        """Learn from the call's answer, then give it to all who wait."""
        now = time.monotonic()
        self._calls_of(call.account).end(call, answer, now, counts=counts)
        if counts and self._stale:
            self._stale.record(call.account, call.query, answer, call.began)
        call.finish(answer, now)

    def _learn(self, account: Provider, answer: Answer, began: float) -> None:
        self._calls_of(account).learn(answer, began, time.monotonic())

    def _calls_of(self, account: Provider) -> AccountCalls:
        with self._lock:
            calls = self._calls.get(account)
            if calls is None:
                calls = self._calls[account] = AccountCalls(self._deadline_s, self.bulkhead)
            return calls

    def _answer(self, query: Query, call: Call, began: float) -> tuple[list[PhoneNumber], Outcome]:
        """The call's answer, or if it failed the account's last good one, or nothing."""
        account, answer = call.account, call.result()
        ms = max(0.0, round(((call.ended or time.monotonic()) - began) * 1000, 1))
        if isinstance(answer, list):
            return answer, Outcome(account.account, account.name, "ok", ms)
        if not answer.account:
            answer.account, answer.provider = account.account, account.name
        stale = self._stale.find(account, query) if self._stale else None
        numbers, age_s = stale or ([], None)
        return numbers, Outcome(account.account, account.name, answer.outcome, ms, answer, age_s)
