"""Stale-if-error (RFC 5861): an account's last good answer stands in when a call fails."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from cachetools import TTLCache

from providers.base.errors import Refused
from providers.base.provider import PhoneNumber, Provider, Query

from .breaker import Answer
from .shared import Kept, SharedAnswers

if TYPE_CHECKING:
    from .instances import RedisAnswers

MAX_BYTES = 16 * 1024 * 1024
"""For one worker, about 60,000 numbers in at most 16,000 answers. The least recently used go
first."""


EVERY_S = 1.0
"""How often an answer to the same question is shared with other workers, or looked for there."""


class _Entry(NamedTuple):
    kept: Kept
    size: int


class LastKnownGood:
    """Answers younger than `max_age_s`, each under its account and what was asked for.

    An account is the object, so that one whose credentials were changed in the directory starts
    with nothing. `shared` is where an instance's workers find each other's, `instances` where the
    instances do. `clock` gives seconds and only goes forward.
    """

    def __init__(
        self,
        max_age_s: float,
        clock: Callable[[], float] = time.monotonic,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.shared: SharedAnswers | None = None
        self.instances: RedisAnswers | None = None
        self._clock, self._max_age_s, self._max_bytes = clock, max_age_s, max_bytes
        self._looked_at: TTLCache[tuple[Provider, Query], bool] = TTLCache(1_000, EVERY_S, clock)
        self._put_at: TTLCache[tuple[Provider, Query], bool] = TTLCache(1_000, EVERY_S, clock)
        self._lock = threading.Lock()
        self._refused_at: WeakKeyDictionary[Provider, float] = WeakKeyDictionary()
        self._answers: TTLCache[tuple[Provider, Query], _Entry] = TTLCache(
            max_bytes, max_age_s, clock, lambda entry: entry.size
        )

    def record(self, account: Provider, query: Query, answer: Answer, began: float) -> None:
        """Keep a good answer of a call that began then, by `clock`. Forget all of an account whose
        credentials are refused (401, 403), also those still on their way: access was taken away on
        purpose."""
        with self._lock:
            if isinstance(answer, list):
                if began < self._refused_at.get(account, began):
                    return
                entry = _Entry(Kept(answer, began, self._clock()), _size(answer))
                self._answers.pop((account, query), None)
                if entry.size <= self._max_bytes:
                    self._answers[account, query] = entry
                    if self.shared and (account, query) not in self._put_at:
                        self._put_at[account, query] = True
                        self.shared.put(account, query, entry.kept)
                    if self.instances:
                        self.instances.put(account, query, entry.kept)
            elif isinstance(answer, Refused) and answer.status in (401, 403):
                if self.shared:
                    self.shared.refuse(account, self._clock())
                if self.instances:
                    self.instances.refuse(account, self._clock())
                self._forget(account, self._clock())

    def _forget(self, account: Provider, at: float) -> None:
        self._refused_at[account] = at
        for key in [key for key in self._answers if key[0] is account]:
            if self._answers[key].kept.began <= at:
                del self._answers[key]

    def find(self, account: Provider, query: Query) -> tuple[list[PhoneNumber], float] | None:
        """Return the younger of the answers to this query and to everything, and its age in
        seconds; None if there is none. The rule is not applied."""
        keys = {(account, query), (account, account.full(query))}
        with self._lock:
            if self.shared:
                self._learn(self.shared, account, keys)
            known = {key: self._answers.get(key) for key in keys} if self.instances else {}
        if self.instances:
            times = {key[1]: e.kept.at if e else float("-inf") for key, e in known.items()}
            self.instances.look(account, times, self._learn_of_instances)
        with self._lock:
            entries = filter(None, map(self._answers.get, keys))
            kept = max((entry.kept for entry in entries), key=lambda kept: kept.at, default=None)
            age_s = self._clock() - kept.at if kept else 0
            return (kept.numbers, age_s) if kept and age_s < self._max_age_s else None

    def _learn(
        self, shared: SharedAnswers, account: Provider, keys: set[tuple[Provider, Query]]
    ) -> None:
        """Take over what other workers know of the account."""
        refused_at = shared.refused_at(account)
        if refused_at > self._refused_at.get(account, refused_at - 1):
            self._forget(account, refused_at)
        if keys <= self._looked_at.keys():
            return
        self._looked_at.update(dict.fromkeys(keys, True))
        for key in keys:
            if found := shared.newest(*key):
                self._take(key, found)

    def _learn_of_instances(
        self, account: Provider, refused_at: float, found: dict[Query, Kept]
    ) -> None:
        """Take over what other instances know of the account; their refusal is the workers' too."""
        with self._lock:
            if refused_at > self._refused_at.get(account, float("-inf")):
                self._forget(account, refused_at)
                if self.shared:
                    self.shared.refuse(account, refused_at)
            for query, kept in found.items():
                self._take((account, query), kept)

    def _take(self, key: tuple[Provider, Query], found: Kept) -> None:
        mine, refused_at = self._answers.get(key), self._refused_at.get(key[0], float("-inf"))
        if found.began > refused_at and (mine is None or mine.kept.at < found.at):
            self._answers[key] = _Entry(found, _size(found.numbers))


def _size(numbers: list[PhoneNumber]) -> int:
    """Bytes, roughly: a number is an object of some 200, plus what its texts need."""
    return 1000 + sum(
        200 + 2 * len(f"{number.number}{number.name}{number.owners}") for number in numbers
    )
