"""What an adapter implements and returns.

Everything that can list numbers is a `Provider`. Most are an `HTTPProvider` (http.py beside this),
which needs constants and pure readers only.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from .errors import ProviderError, Refused, Unreachable, Unreadable
from .numbers import is_country
from .remarks import remarks


class PhoneNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of an account, as the carrier tells it.

    `number` is in any form that phonenumbers can read; national forms need the account's `country`.
    `voice` says whether it can take a call now; `owners` are the e-mail addresses or user ids of
    those it belongs to, at platforms whose numbers belong to users. `country` is the carrier's, an
    ISO code or English name, where it tells it.
    """

    number: str
    name: str = ""
    extension: str | None = None
    voice: bool = True
    owners: tuple[str, ...] = ()
    country: str | None = None


class UnreadNumber(PhoneNumber, frozen=True):
    """A record that could not be read; `fault` says why, and where."""

    fault: str = ""


MOST_NUMBERS = 100_000
"""Of one account. Pages without end would fill a worker's memory before the deadline."""


class Deadline:
    """The moment by which an answer is due, on a clock that only goes forward."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self._at - time.monotonic())


class Progress:
    """How far a listing has come: written by the thread that lists, read by any.

    `began` and `at`, when the last page came, are seconds of the monotonic clock; `total` is how
    many numbers there are, if the carrier says so.
    """

    def __init__(self) -> None:
        self.began = self.at = time.monotonic()
        self.pages = self.numbers = 0
        self.total: int | None = None
        self.restarted = False

    def advance(self, numbers: int, total: int | None = None) -> None:
        """Record that a page came, with so many numbers."""
        self.at = time.monotonic()
        self.pages, self.numbers, self.total = self.pages + 1, self.numbers + numbers, total

    def restart(self) -> None:
        """Record that the listing begins again, because the list changed while it was read."""
        self.pages = self.numbers = 0
        self.total, self.restarted = None, True

    def whole_s(self, now: float) -> float | None:
        """Return how many seconds the whole takes at this pace, if the carrier told the total."""
        if not (self.total and self.numbers):
            return None
        return (now - self.began) * max(1.0, self.total / self.numbers)


ANYBODY = "@"
"""The `owner` of a query whose answer is to serve the rules of all users by e-mail address."""


@dataclass(frozen=True, slots=True)
class Query:
    """What the asking user's rule wants: an adapter may use it to ask for less, never must.

    Empty means anything. `numbers` are in E.164, each once; `names` are shell-style patterns;
    `owner` is an e-mail address, a user id or ANYBODY, and not only for asking less: where numbers
    know their users by id alone, it says whose addresses have to be found. With
    `owner="anna@acme.example"`, an adapter looks up her user id; with ANYBODY, all users'.
    `deadline` is when the answer is due, and `progress` how far it has come; an `HTTPProvider`
    keeps both by itself. Queries that differ in nothing else are equal.
    """

    numbers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    owner: str | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline(10), compare=False)
    progress: Progress = field(default_factory=Progress, compare=False, repr=False)


class Provider:
    """One account at a carrier or calling platform. Threads share it."""

    name: ClassVar[str]
    """Module, settings prefix, test file and docs page share it: `twilio`."""

    narrows: ClassVar[frozenset[str]] = frozenset({"numbers", "names", "owner"})
    """The parts of a query by which `list_numbers` may ask for less. Whoever differs in others
    alone shares a call and a last good answer."""

    fixed: ClassVar[bool] = False
    """Whether the numbers stand in the options: they never change, and nobody needs to be asked."""

    knows_owners: ClassVar[bool] = False
    """Whether numbers belong to users, whose ids or addresses are in `PhoneNumber.owners`."""

    credentials: ClassVar[str] = ""
    """What to do when the carrier refuses them: where they are found, and what they need."""

    keeps_deadline: ClassVar[bool] = False
    """Whether `list_numbers` never outlasts `query.deadline` by more than a few milliseconds, so
    that the thread that asks may make the call itself."""

    class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """What an account has to give; an adapter adds its own.

        A `__post_init__` may raise ValueError for options that do not go together.
        """

        country: Annotated[
            str | None, Meta(description="such as US: how to read numbers in national form")
        ] = None

        def __post_init__(self) -> None:
            if self.country is not None and not is_country(self.country):
                raise ValueError("country: not an ISO 3166-1 alpha-2 code in capitals, such as US")

    options: Options

    @property
    def finds_users(self) -> bool:
        """Return whether numbers know their users by id alone: then addresses have to be found."""
        return False

    def __init__(self, options: Options, account: str = "") -> None:
        self.options = options
        self.account = account

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        """Return the account's numbers, in the carrier's order, voice or not.

        May raise any ProviderError; whatever else it raises becomes one.
        """
        raise NotImplementedError

    def full(self, query: Query) -> Query:
        """Return the query that any other of its kind can be answered from: for everything.

        With addresses too, which may cost requests of their own, if this one needs one.
        """
        by_address = self.finds_users and "@" in (query.owner or "")
        return Query(owner=ANYBODY if by_address else None, deadline=query.deadline)

    def ask(self, query: Query) -> list[PhoneNumber]:
        """Read `list_numbers` to its end; every failure becomes a ProviderError of the account.

        Raises:
            ProviderError: see providers/base/errors.py.
        """
        try:
            numbers = []
            for number in self.list_numbers(query):
                if not query.deadline.left():
                    raise Unreachable("not all pages came in time")
                if not isinstance(number, PhoneNumber):
                    raise TypeError(type(number).__name__)
                numbers.append(number)
                if len(numbers) > MOST_NUMBERS:
                    raise Unreadable(f"more than {MOST_NUMBERS:,} numbers")
            return numbers
        except ProviderError as error:
            failure = error
        except OSError as error:  # requests, sockets, most vendors' clients
            failure = Unreachable(f"{type(error).__name__} in the adapter")
            failure.__cause__ = error
        except Exception as error:  # an adapter's reader met what the carrier does not document
            failure = Unreadable(f"{describe(error)[0]} while reading the answer")
            failure.__cause__ = error
        failure.account, failure.provider = self.account, self.name
        failure.remedy = self._remedy(failure)
        raise failure

    def _remedy(self, failure: ProviderError) -> str:
        """What to do about refused credentials, with what looks wrong about them."""
        if not isinstance(failure, Refused) or failure.status not in (None, 401, 403):
            return ""
        odd = [
            f"{name}: {remark}" for name, remark in remarks(msgspec.structs.asdict(self.options))
        ]
        told = "; ".join([*odd, *filter(None, [self.credentials])])
        return f"check the credentials: {told}" if told else ""


def describe(error: Exception) -> tuple[str, str]:
    """Return an exception's name with the field that it missed, and where in the code it was.

    No other text of a foreign exception is safe to show.
    """
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    field = f" {key!r}" if isinstance(key, str) and key.isidentifier() else ""
    frames = extract_tb(error.__traceback__)
    place = f", in {frames[-1].name}, {Path(frames[-1].filename).name}:{frames[-1].lineno}"
    return type(error).__name__ + field, place
