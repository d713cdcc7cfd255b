"""The last good answers of a worker's accounts, for the time when one fails."""

import threading
import time
from typing import NamedTuple

from cachetools import TTLCache

from .base import PhoneNumber, Provider, Query

MAX_BYTES = 16 * 1024 * 1024
"""For one worker, about 60,000 numbers. The answers not used for longest go first."""

_Key = tuple[Provider, tuple[str, ...], tuple[str, ...], str | None]


class _Kept(NamedTuple):
    numbers: list[PhoneNumber]
    at: float
    size: int


class LastKnownGood:
    """Answers younger than `max_age_s`, each under its account and what was asked for.

    An account is the object, so that one whose credentials were changed in the directory starts
    with nothing. Each method stops the cache's clock while it looks twice: an answer that expires
    in between would raise.
    """

    def __init__(self, max_age_s: float) -> None:
        self._lock = threading.Lock()
        self._answers: TTLCache[_Key, _Kept] = TTLCache(
            MAX_BYTES, max_age_s, time.monotonic, lambda kept: kept.size
        )

    def keep(self, account: Provider, query: Query, numbers: list[PhoneNumber]) -> None:
        """Remember a good answer."""
        key, kept = _key(account, query), _Kept(numbers, time.monotonic(), _size(numbers))
        with self._lock, self._answers.timer:
            self._answers.pop(key, None)
            if kept.size <= MAX_BYTES:
                self._answers[key] = kept

    def drop(self, account: Provider) -> None:
        """Forget all answers of an account that refuses us: access was taken away on purpose."""
        with self._lock, self._answers.timer:
            for key in [key for key in self._answers if key[0] is account]:
                del self._answers[key]

    def find(self, account: Provider, query: Query) -> tuple[list[PhoneNumber], float] | None:
        """The youngest answer that covers the query, and its age in seconds.

        The rule is not applied.
        """
        with self._lock, self._answers.timer:
            keys = {_key(account, query), _key(account, query.widened(account))}
            found = [kept for kept in map(self._answers.get, keys) if kept]
        if not found:
            return None
        youngest = max(found, key=lambda kept: kept.at)
        return youngest.numbers, time.monotonic() - youngest.at


def _key(account: Provider, query: Query) -> _Key:
    return account, query.numbers, query.names, query.owner


def _size(numbers: list[PhoneNumber]) -> int:
    """Bytes, roughly: a number is an object of some 200, plus what its texts need."""
    return 1000 + sum(
        200 + 2 * len(str(one.number)) + 2 * len(str(one.name)) + 2 * len(str(one.owners))
        for one in numbers
    )
