"""Who is asking → which accounts → their numbers, live, side by side, under one deadline."""

import fnmatch
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeVar
from weakref import WeakKeyDictionary

from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable
from providers.base.numbers import to_e164
from providers.base.provider import Deadline, PhoneNumber, Provider, Query

from ..directory.toml import Directory, Grant, Rule
from .guard import Call, Guard, Room
from .stale import LastKnownGood

NumbersSource = Literal["live", "partial", "last-known-good"]
Made = TypeVar("Made")

KNOWN = (1_000, 50)
"""So many results that cannot change, since all their accounts are fixed, are kept for a directory,
with so many numbers each at most."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that the user may see. `name` is the carrier's, of any length, or empty."""

    e164: str
    extension: str | None
    name: str
    account: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A number that the user does not see: as the carrier gave it, and the reason in words."""

    number: str
    name: str
    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How asking one account went: `ok` or its error's outcome, and the time it took.

    `age_s` is the age in seconds of the older answer that stood in, if one did.
    """

    account: str
    provider: str
    outcome: str
    ms: float
    error: ProviderError | None = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A lookup's answer. `why` says in words what the directory made of the user."""

    numbers: list[Number]
    source: NumbersSource
    why: str
    outcomes: list[Outcome] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    _made: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def once(self, make: Callable[["Result"], Made]) -> Made:
        """What `make`, always the same, makes of this result: for fixed numbers, that is made once
        and not for each request."""
        if not self._made:
            self._made.append(make(self))
        made: Made = self._made[0]
        return made

    @property
    def failure(self) -> ProviderError | None:
        """The error to answer with, if every account failed and nothing stood in: the most hopeful.

        Where an account may be back soon, that is worth more to the caller than another's refusal.
        """
        errors = [one.error for one in self.outcomes if one.error and one.age_s is None]
        if not errors or len(errors) < len(self.outcomes):
            return None
        hopeful = [error for error in errors if isinstance(error, RateLimited | Unreachable)]
        return min(hopeful or errors, key=lambda error: error.retry_after_s or 0)


_Answer = tuple[list[PhoneNumber], Outcome]


class Directories(Protocol):
    """Where the lookup finds the directory in force: a `Source` or a `OneAccount`."""

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
            _sift(found, grant, numbers, left_out)
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
            query = _query(grant.rule, account, deadline)
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


def _query(rule: Rule, account: Provider, deadline: Deadline) -> Query:
    """What the rule wants, as far as it makes a difference to the account's listing."""
    uses = account.narrows
    by_owner = "owner" in uses or (account.finds_users and "@" in (rule.owner or ""))
    return Query(
        (rule.numbers or ()) if "numbers" in uses else (),
        (rule.names or ()) if "names" in uses else (),
        rule.owner if by_owner else None,
        deadline,
    )


def _sift(
    found: Iterable[PhoneNumber],
    grant: Grant,
    numbers: dict[tuple[str, str | None], Number],
    left_out: list[LeftOut],
) -> None:
    """Put each number found into `numbers`, or into `left_out` with the reason."""
    account, rule = grant.account.account, grant.rule
    country = grant.account.options.country
    for given in found:
        text, name = _text(given.number), _text(given.name)
        read = to_e164(text, country)
        if read is None:
            left_out.append(LeftOut(text, name, account, "not a phone number"))
            continue
        extension = _text(given.extension) or read.extension
        key = (read.number, extension)
        reason = (
            ("cannot take calls" if not given.voice else None)
            or _against(rule, read.number, name, given.owners)
            or ("listed already" if key in numbers else None)
        )
        if reason:
            left_out.append(LeftOut(read.number, name, account, reason))
        else:
            numbers[key] = Number(read.number, extension, name, account)


def matches_nothing(rule: Rule, listed: Iterable[tuple[Provider, list[PhoneNumber]]]) -> list[str]:
    """The parts of a rule, such as `numbers[0]`, that fit none of the numbers which take calls."""
    usable = [
        (read.number, _text(given.name), given.owners)
        for account, numbers in listed
        for given in numbers
        if given.voice and (read := to_e164(_text(given.number), account.options.country))
    ]
    parts = {f"numbers[{i}]": Rule(numbers=(one,)) for i, one in enumerate(rule.numbers or ())}
    parts |= {f"names[{i}]": Rule(names=(one,)) for i, one in enumerate(rule.names or ())}
    if rule.owner is not None:
        parts["owner"] = Rule(owner=rule.owner)
    return [
        place for place, part in parts.items() if all(_against(part, *number) for number in usable)
    ]


def _against(rule: Rule, e164: str, name: str, owners: tuple[str, ...]) -> str | None:
    """Which part of the rule keeps the number from the user, if any."""
    if rule.numbers is not None and e164 not in rule.numbers:
        return "not among the rule's numbers"
    if rule.names is not None and not _pattern(rule.names).match(name.casefold()):
        return "matches none of the rule's names"
    if rule.owner is not None and rule.owner.casefold() not in {
        _text(owner).casefold() for owner in owners or ()
    }:
        return "not owned by the rule's owner"
    return None


@lru_cache(maxsize=4096)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(name.casefold()) for name in names))


def _text(value: object) -> str:
    """A carrier's field as text: some are null or a number where the documentation has text."""
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)
