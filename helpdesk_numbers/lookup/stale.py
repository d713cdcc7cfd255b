"""Stale-if-error (RFC 5861): an account's last good answer stands in when a call fails."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from cachetools import TTLCache

from providers.base.errors import Refused
from providers.base.provider import PhoneNumber, Provider, Query

from .breaker import Answer

MAX_BYTES = 16 * 1024 * 1024
"""For one worker, about 60,000 numbers in at most 16,000 answers. The least recently used go
first."""


class _Entry(NamedTuple):
    numbers: list[PhoneNumber]
    at: float
    size: int


class LastKnownGood:
    """Answers younger than `max_age_s`, each under its account and what was asked for.

    An account is the object, so that one whose credentials were changed in the directory starts
    with nothing. `clock` gives seconds and only goes forward.
    """

    def __init__(
        self,
        max_age_s: float,
        clock: Callable[[], float] = time.monotonic,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._clock, self._max_bytes = clock, max_bytes
        self._lock = threading.Lock()
        self._answers: TTLCache[tuple[Provider, Query], _Entry] = TTLCache(
            max_bytes, max_age_s, clock, lambda entry: entry.size
        )

    def record(self, account: Provider, query: Query, answer: Answer) -> None:
        """Keep a good answer. Forget all answers of an account whose credentials are refused (401,
        403): access was taken away on purpose."""
        with self._lock:
            if isinstance(answer, list):
                entry = _Entry(answer, self._clock(), _size(answer))
                self._answers.pop((account, query), None)
                if entry.size <= self._max_bytes:
                    self._answers[account, query] = entry
            elif isinstance(answer, Refused) and answer.status in (401, 403):
                for key in [key for key in self._answers if key[0] is account]:
                    del self._answers[key]

    def find(self, account: Provider, query: Query) -> tuple[list[PhoneNumber], float] | None:
        """Return the younger of the answers to this query and to everything, and its age in
        seconds; None if there is none. The rule is not applied."""
        with self._lock:
            keys = {(account, query), (account, account.full(query))}
            entries = filter(None, map(self._answers.get, keys))
            youngest = max(entries, key=lambda entry: entry.at, default=None)
            return (youngest.numbers, self._clock() - youngest.at) if youngest else None


def _size(numbers: list[PhoneNumber]) -> int:
    """Bytes, roughly: a number is an object of some 200, plus what its texts need."""
    return 1000 + sum(
        200 + 2 * len(f"{number.number}{number.name}{number.owners}") for number in numbers
    )
