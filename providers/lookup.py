"""Who is asking → which accounts → their numbers, live, side by side, under one deadline."""

import fnmatch
import re
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

from .base import Deadline, PhoneNumber, Provider, Query
from .directory import Directory, Grant, Rule
from .errors import ProviderError, RateLimited, Unreachable
from .numbers import to_e164

Source = Literal["live", "partial", "last-known-good"]

GRACE_S = 0.1
"""What an account gets beyond the deadline to say itself what went wrong."""


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
    """How asking one account went: `ok` or its error's outcome, and the time it took."""

    account: str
    provider: str
    outcome: str
    ms: float
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A lookup's answer. `why` says in words what the directory made of the user."""

    numbers: list[Number]
    source: Source
    why: str
    outcomes: list[Outcome] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def failure(self) -> ProviderError | None:
        """The error to answer with, if every account failed: the most hopeful of them.

        Where an account may be back soon, that is worth more to the caller than another's refusal.
        """
        errors = [outcome.error for outcome in self.outcomes if outcome.error]
        if not errors or len(errors) < len(self.outcomes):
            return None
        hopeful = [error for error in errors if isinstance(error, RateLimited | Unreachable)]
        return min(hopeful or errors, key=lambda error: error.retry_after_s or 0)


_Answer = tuple[list[PhoneNumber], Outcome]


class Directories(Protocol):
    """Where the lookup finds the directory in force: a `Source` or a `OneAccount`."""

    def current(self) -> Directory: ...


class Lookup:
    """Answers who may see what. One for each worker; threads share it."""

    def __init__(self, directories: Directories, deadline_s: float, threads: int = 128) -> None:
        self._directories = directories
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="account")

    def look_up(self, portal_id: int, user_id: int, *, narrow: bool = True) -> Result:
        """The numbers that the user may see now, within the deadline whatever the carriers do.

        `narrow` lets adapters ask for less than everything; without it, `left_out` is complete.
        """
        grants, why = self._directories.current().grants(portal_id, user_id)
        deadline = Deadline(self._deadline_s)
        answers = self._ask(grants, deadline, narrow)
        numbers: dict[tuple[str, str | None], Number] = {}
        left_out: list[LeftOut] = []
        for grant, (found, _) in zip(grants, answers, strict=True):
            _sift(found, grant, numbers, left_out)
        outcomes = [outcome for _, outcome in answers]
        failed = any(outcome.error for outcome in outcomes)
        return Result(
            list(numbers.values()), "partial" if failed else "live", why, outcomes, left_out
        )

    def _ask(self, grants: list[Grant], deadline: Deadline, narrow: bool) -> list[_Answer]:
        """Each account's answer, in order; the accounts are asked side by side.

        The one place where carriers are asked: sharing calls, breakers and last-known-good answers
        belong here.
        """
        started = time.perf_counter()
        asked: list[tuple[Provider, Query, Future[_Answer] | None]] = []
        for grant in grants:
            query = _query(grant.rule, deadline) if narrow else Query(deadline=deadline)
            account = grant.account
            future = None if account.instant else self._threads.submit(_answer, account, query)
            asked.append((account, query, future))
        # before the wait, which may use the deadline up
        instant = {id(query): _answer(account, query) for account, query, f in asked if not f}
        wait([future for _, _, future in asked if future], deadline.left() + GRACE_S)
        answers = []
        for account, query, future in asked:
            if future is None:
                answers.append(instant[id(query)])
            elif future.done():
                answers.append(future.result())
            else:  # its own deadline ends it; nobody waits for that
                future.cancel()
                answers.append(_late(account, started))
        return answers


def _answer(account: Provider, query: Query) -> _Answer:
    started = time.perf_counter()
    error = None
    numbers: list[PhoneNumber] = []
    try:
        numbers = account.ask(query)
    except ProviderError as failure:
        error = failure
    return numbers, _outcome(account, started, error)


def _late(account: Provider, started: float) -> _Answer:
    error = Unreachable("no answer in time")
    error.account, error.provider = account.account, account.name
    return [], _outcome(account, started, error)


def _outcome(account: Provider, started: float, error: ProviderError | None) -> Outcome:
    ms = round((time.perf_counter() - started) * 1000, 1)
    return Outcome(account.account, account.name, error.outcome if error else "ok", ms, error)


def _query(rule: Rule, deadline: Deadline) -> Query:
    return Query(rule.numbers or (), rule.names or (), rule.owner, deadline)


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
