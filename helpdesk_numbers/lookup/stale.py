"""The last good answers of a worker's accounts, for the time when one fails."""

import threading
import time
from typing import NamedTuple

from cachetools import FIFOCache

from providers.base.provider import PhoneNumber, Provider, Query

MAX_BYTES = 16 * 1024 * 1024
"""For one worker, about 60,000 numbers in at most 16,000 answers. The oldest answers go first."""

_Key = tuple[Provider, tuple[str, ...], tuple[str, ...], str | None]


class _Kept(NamedTuple):
    numbers: list[PhoneNumber]
    at: float
    size: int


class LastKnownGood:
    """Answers younger than `max_age_s`, each under its account and what was asked for.

    An account is the object, so that one whose credentials were changed in the directory starts
    with nothing.
    """

    def __init__(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._answers: FIFOCache[_Key, _Kept] = FIFOCache(MAX_BYTES, lambda kept: kept.size)

    def keep(self, account: Provider, query: Query, numbers: list[PhoneNumber]) -> None:
        """Remember a good answer."""
        key, kept = _key(account, query), _Kept(numbers, time.monotonic(), _size(numbers))
        with self._lock:
            self._answers.pop(key, None)
            while self._answers and self._too_old(next(iter(self._answers.values()))):
                self._answers.popitem()
            if kept.size <= MAX_BYTES:
                self._answers[key] = kept

    def drop(self, account: Provider) -> None:
        """Forget all answers of an account whose credentials are refused: access was taken away on
        purpose."""
        with self._lock:
            for key in [key for key in self._answers if key[0] is account]:
                del self._answers[key]

    def find(self, account: Provider, query: Query) -> tuple[list[PhoneNumber], float] | None:
        """The younger of the answers to this query and to its widened form, and its age in seconds.

        The rule is not applied.
        """
        with self._lock:
            keys = {_key(account, query), _key(account, query.widened(account))}
            found = [kept for kept in map(self._answers.get, keys) if kept]
        youngest = max(found, key=lambda kept: kept.at, default=None)
        if youngest is None or self._too_old(youngest):
            return None
        return youngest.numbers, time.monotonic() - youngest.at

    def _too_old(self, kept: _Kept) -> bool:
        return time.monotonic() - kept.at >= self._max_age_s


def _key(account: Provider, query: Query) -> _Key:
    return account, query.numbers, query.names, query.owner


def _size(numbers: list[PhoneNumber]) -> int:
    """Bytes, roughly: a number is an object of some 200, plus what its texts need."""
    return 1000 + sum(
        200 + 2 * len(str(one.number)) + 2 * len(str(one.name)) + 2 * len(str(one.owners))
        for one in numbers
    )
