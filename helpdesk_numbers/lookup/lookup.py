"""Who is asking → which accounts → their numbers, live, side by side, under one deadline."""

import threading
import time
from typing import Protocol
from weakref import WeakKeyDictionary

from helpdesk_numbers.directory.model import Directory, Grant
from providers.base.errors import ProviderError, Refused
from providers.base.provider import Deadline, PhoneNumber, Provider, Query

from .guard import Call, Guard, Room
from .result import LeftOut, Number, NumbersSource, Outcome, Result
from .rules import apply_rule, query_for
from .stale import LastKnownGood

KNOWN = (1_000, 50)
"""So many results that cannot change, since all their accounts are fixed, are kept for a directory,
with so many numbers each at most."""


_Answer = tuple[list[PhoneNumber], Outcome]


class Directories(Protocol):
    """Where the lookup finds the directory in force: a `DirectoryFile` or a `SingleAccount`."""

    def current(self) -> Directory: ...


class Lookup:
    """Answers who may see what. One for each worker; its threads share it.

    `threads` is how many requests a worker answers at a time.
    """

    def __init__(
        self,
        directories: Directories,
        deadline_s: float,
        last_known_good_s: float = 0,
        threads: int = 32,
    ) -> None:
        self._directories = directories
        self._deadline_s = deadline_s
        self._memory = LastKnownGood(last_known_good_s) if last_known_good_s else None
        self._room = Room(threads)
        self._guards: WeakKeyDictionary[Provider, Guard] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def look_up(self, portal_id: int, user_id: int, *, narrow: bool = True) -> Result:
        """The numbers that the user may see now, within the deadline whatever the carriers do.

        No carrier's failure is raised: `Result.failure` has it.
        `narrow` lets adapters ask for less than everything; without it, `left_out` is complete.
        """
        directory = self._directories.current()
        asker = directory.asker(portal_id, user_id)
        known: Result | None = directory.known.get(asker)
        if known and narrow:
            return known
        grants, why = directory.grants(portal_id, user_id)
        deadline = Deadline(self._deadline_s)
        answers = self._ask(grants, deadline, narrow)
        numbers: dict[tuple[str, str | None], Number] = {}
        left_out: list[LeftOut] = []
        for grant, (found, _) in zip(grants, answers, strict=True):
            apply_rule(found, grant, numbers, left_out)
        outcomes = [outcome for _, outcome in answers]
        source: NumbersSource = "live"
        if any(outcome.error and outcome.age_s is None for outcome in outcomes):
            source = "partial"
        elif any(outcome.error for outcome in outcomes):
            source = "last-known-good"
        result = Result(list(numbers.values()), source, why, outcomes, left_out)
        few = len(numbers) + len(left_out) <= KNOWN[1] and len(directory.known) < KNOWN[0]
        if narrow and few and source == "live" and all(grant.account.fixed for grant in grants):
            directory.known[asker] = result
        return result

    def _ask(self, grants: list[Grant], deadline: Deadline, narrow: bool) -> list[_Answer]:
        """Each account's answer, in order; the accounts are asked side by side."""
        started = time.monotonic()
        asked: list[tuple[Provider, Query, Call | _Answer]] = []
        for grant in grants:
            account = grant.account
            query = query_for(grant.rule, account, deadline)
            if not narrow:
                query = query.widened(account)
            asked.append((account, query, self._begin(account, query)))
        answers = []
        for account, query, call in asked:
            if isinstance(call, Call):
                answer = call.result()
                ms = _ms(started, call.ended)
                answers.append(self._answer(account, query, answer, ms))
            else:
                answers.append(call)
        return answers

    def _begin(self, account: Provider, query: Query) -> "Call | _Answer":
        """A call under way, or the answer where there is one at once."""
        started = time.monotonic()
        try:
            if not account.fixed:
                return self._guard(account).call(account, query)
            answer: list[PhoneNumber] | ProviderError = account.ask(query)
        except ProviderError as error:
            answer = error
        return self._answer(account, query, answer, _ms(started))

    def _guard(self, account: Provider) -> Guard:
        with self._lock:
            guard = self._guards.get(account)
            if guard is None:
                guard = Guard(self._room, self._deadline_s, self._settle)
                self._guards[account] = guard
            return guard

    def _settle(
        self, account: Provider, query: Query, answer: list[PhoneNumber] | ProviderError
    ) -> None:
        """Keep or forget what a call has shown, whoever waited for it."""
        if self._memory is None:
            return
        if isinstance(answer, Refused) and answer.status in (401, 403):
            self._memory.drop(account)
        elif not isinstance(answer, ProviderError):
            self._memory.keep(account, query, answer)

    def _answer(
        self,
        account: Provider,
        query: Query,
        answer: list[PhoneNumber] | ProviderError,
        ms: float,
    ) -> _Answer:
        """The answer, or if the account failed its last good one, or nothing."""
        name, provider = account.account, account.name
        if not isinstance(answer, ProviderError):
            return answer, Outcome(name, provider, "ok", ms)
        found = self._memory.find(account, query) if self._memory else None
        if not answer.account:
            answer.account, answer.provider = name, provider
        numbers, age_s = found or ([], None)
        return numbers, Outcome(name, provider, answer.outcome, ms, answer, age_s)


def _ms(started: float, ended: float = 0.0) -> float:
    """Milliseconds since `started` (monotonic), or until `ended`."""
    return max(0.0, round(((ended or time.monotonic()) - started) * 1000, 1))
