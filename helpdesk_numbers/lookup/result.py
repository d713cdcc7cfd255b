"""What a lookup answers with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from providers.base.errors import ProviderError, RateLimited, Unreachable

NumbersSource = Literal["live", "partial", "last-known-good"]
Made = TypeVar("Made")


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
    """How asking one account went: `ok` or its error's outcome, and the milliseconds it took.

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
