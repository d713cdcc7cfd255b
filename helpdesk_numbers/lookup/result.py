"""What a lookup answers with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec

from helpdesk_numbers.directory.model import Directory, Viewer
from providers.base.errors import ProviderError, RateLimited, Unreachable

if TYPE_CHECKING:
    from hubspot.users import HubSpotUser

NumbersSource = Literal["live", "partial", "last-known-good"]
T = TypeVar("T")


class Number(msgspec.Struct, frozen=True):
    """A number that the user may see. `name` is the carrier's, of any length, or empty."""

    e164: str
    extension: str | None
    name: str
    account: str


class LeftOut(msgspec.Struct, frozen=True):
    """A number that the user does not see: as the carrier gave it, and the reason in words."""

    number: str
    name: str
    account: str
    reason: str


class Outcome(msgspec.Struct, frozen=True):
    """How asking one account went: `ok` or its error's outcome, and the milliseconds it took.

    `age_s` is the age in seconds of the older answer that stood in, if one did.
    """

    account: str
    provider: str
    outcome: str
    ms: float
    error: ProviderError | None = None
    age_s: float | None = None


class Who(NamedTuple):
    """How the asking user became known, and in how many milliseconds.

    `user` is None where that is not needed, or HubSpot does not know the user.
    """

    how: Literal["not needed", "hubspot", "remembered", "stale", "unknown"]
    ms: float = 0.0
    user: "HubSpotUser | None" = None


NOT_NEEDED = Who("not needed")


class Result(msgspec.Struct, frozen=True):
    """A lookup's answer. `why` says in words what the directory made of the user."""

    numbers: list[Number]
    why: str
    outcomes: list[Outcome] = []
    left_out: list[LeftOut] = []
    who: Who = NOT_NEEDED
    _cache: list[Any] = []

    def cached(self, make: Callable[["Result"], T]) -> T:
        """Return `make(self)`, made once; `make` must always be the same function.

        It pays for results of fixed numbers, which the lookup keeps.
        """
        if not self._cache:
            self._cache.append(make(self))
        value: T = self._cache[0]
        return value

    @property
    def source(self) -> NumbersSource:
        """Return how current the numbers are: `partial` if an account's are missing."""
        if any(outcome.error and outcome.age_s is None for outcome in self.outcomes):
            return "partial"
        return "last-known-good" if any(outcome.error for outcome in self.outcomes) else "live"

    @property
    def failure(self) -> ProviderError | None:
        """Return the error to answer with if every account failed and nothing stood in, else None.

        It is the most hopeful one: that an account may be back soon is worth more to the caller
        than another's refusal.
        """
        errors = [o.error for o in self.outcomes if o.error and o.age_s is None]
        if not errors or len(errors) < len(self.outcomes):
            return None
        hopeful = [error for error in errors if isinstance(error, RateLimited | Unreachable)]
        return min(hopeful or errors, key=lambda error: error.retry_after_s or 0)


MAX_STATIC_RESULTS = 1_000
MAX_STATIC_NUMBERS = 50
"""How many results are kept, and how many numbers each may have."""


def find_static(directory: Directory, viewer: Viewer) -> Result | None:
    """Return what this viewer sees by this directory, or None if that is not kept: it is where all
    accounts are fixed, so that it cannot change while the directory is in force."""
    result: Result | None = directory.kept.get(viewer)
    return result


def keep_static(directory: Directory, viewer: Viewer, result: Result) -> None:
    """Keep a result as long as the directory is in force."""
    small = len(result.numbers) + len(result.left_out) <= MAX_STATIC_NUMBERS
    if small and len(directory.kept) < MAX_STATIC_RESULTS:
        directory.kept[viewer] = result
