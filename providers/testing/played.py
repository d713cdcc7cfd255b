"""What the contract of a provider over HTTP is told about its carrier, and how that is played."""

import copy
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from email.message import Message
from typing import Any, ClassVar
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from ..base.errors import ProviderError
from ..base.provider import Deadline, Query
from .carrier import Asked, Carrier, Fault, Reply
from .local import LocalContract
from .paging import Paging, Shown, put

Spoil = Callable[[Asked], Reply | Fault | None]
"""Something else to answer with, or None for what the carrier answers."""

Moment = Callable[[datetime], str]
RateLimit = tuple[Mapping[str, str | Moment], float]


class PlayedContract(LocalContract):
    """For a provider that asks a carrier over HTTP.

    A small server plays the carrier: it wants `authorization`, splits its numbers over pages by
    `paging` and answers with the documented body, its list exchanged.
    """

    authorization: ClassVar[str]
    """The header that the carrier expects: `basic(user, password)["Authorization"]`, or `Bearer …`;
    empty for none. The carrier answers 401 to any other."""

    path: ClassVar[str]
    """The listing's whole path, `/v2/phone_numbers`."""

    paging: ClassVar[Paging]

    method: ClassVar[str] = "GET"
    """Or POST, with parameters in the JSON of the body: the carrier answers 405 to any other."""

    documented: ClassVar[Any]
    """A reply's body as the carrier documents it; `expected` is what it reads as."""

    list_at: ClassVar[str]
    """Where in it the list sits, dotted: `data`."""

    number_at: ClassVar[str] = "number"
    name_at: ClassVar[str] = ""
    """Where in an item the number and, if it has one, the label sit."""

    unusable: ClassVar[Sequence[Mapping[str, Any]]]
    """Changes, by place, to the first documented item, each of which leaves it without calls."""

    list_may_be_missing: ClassVar[bool] = False
    """Whether the carrier leaves the list out when there is nothing in it."""

    strict_at: ClassVar[Sequence[str]] = ()
    """Places in an item where a vendor's own client takes nothing odd."""

    side_by_side: ClassVar[bool] = False
    """Whether later pages are asked for at a time."""

    rate_limits: ClassVar[Sequence[RateLimit]] = ()
    """The carrier's own headers of a 429, and the seconds that they say. Where they name the moment
    itself, the value is a function that writes it: `lambda at: str(int(at.timestamp()))`."""

    users: ClassVar[Mapping[str, Sequence[str]]] = {}
    """At platforms whose owners are ids: e-mail addresses that `other` finds, and those ids."""

    users_at: ClassVar[str] = ""
    email_at: ClassVar[str] = ""
    """Where in the answer to a search for users their list sits, and in a user the address."""

    users_paging: ClassVar[Paging | None] = None
    """How that answer is split over pages, if not as numbers are."""

    params: ClassVar[Mapping[str, Any]] = {}
    """Parameters that each request for the listing must have: the carrier answers 400 without."""

    host: ClassVar[str] = ""
    """The carrier's real host, `https://api.larkline.example`, which no test asks."""

    def write_number(self, e164: str) -> Any:
        """A number as the carrier writes it."""
        return e164

    def other(self, asked: Asked) -> Reply:
        """The answer to any other path: a search for a user by e-mail address, say."""
        return Reply({"error": "not found"}, 404)

    def authorised(self, asked: Asked) -> bool:
        return (asked.headers["Authorization"] or "") == self.authorization

    def items(self) -> list[Any]:
        """The documented items; override it and `body` where those are not JSON."""
        found = self.documented
        for key in self.list_at.split("."):
            found = found[key]
        return list(copy.deepcopy(found))

    def body(self, shown: Shown) -> Any:
        """A page's body: what is not bytes is sent as JSON."""
        body = copy.deepcopy(self.documented)
        put(body, self.list_at, shown.items)
        for at, value in self.paging.fields(shown).items():
            put(body, at, value)
        return body

    def select(self, items: list[Any], asked: Asked) -> list[Any]:
        """What the carrier's own filters leave, if the adapter uses any."""
        return items

    # What the tests below are made with.

    carrier: Carrier
    kinds: list[Any]
    listed: list[Any]
    spoil: Spoil | None
    bend: Callable[[Shown], Shown]

    @pytest.fixture(autouse=True)
    def play(self) -> Iterator[None]:
        yield from self.playing()

    def playing(self) -> Iterator[None]:
        self.kinds, self.listed = self.items(), self.items()
        self.spoil, self.bend = None, lambda shown: shown
        pace = self.provider, "pace", getattr(self.provider, "pace", None) and (1, 0.0)
        with Carrier(self.answer) as self.carrier, patch.object(*pace, create=True):
            yield
        if self.carrier.failures:  # a fault of the test's own
            raise self.carrier.failures[0]
        targets = " ".join(asked.target for asked in self.carrier.asked)
        assert not [secret for secret in self.secrets() if secret in targets], "a secret in a URL"

    def secrets(self) -> set[str]:
        shown = self.authorization.partition(" ")[2] or self.authorization
        return super().secrets() | ({shown} - {""})

    def settings(self) -> dict[str, Any]:
        below = urlsplit(getattr(self.provider, "base_url", "")).path
        return super().settings() | {"base_url": self.carrier.url + below}

    def make(self, index: int) -> Any:
        """An item of the documented kind with a number, and a name, of its own."""
        item = copy.deepcopy(self.kinds[index % len(self.kinds)])
        put(item, self.number_at, self.write_number(made(index)))
        if self.name_at:
            put(item, self.name_at, f"Line {index}")
        return item

    def page_of(self, items: list[Any]) -> Any:
        """The body of a page with these items and no other page after it."""
        asked = Asked(self.path, Message(), url=self.carrier.url)
        return self.body(Shown(asked, items, 0, self.paging.largest, len(items), None))

    def answer(self, asked: Asked) -> Reply | Fault:
        spoilt = self.spoil(asked) if self.spoil else None
        if spoilt is not None:
            return spoilt
        if not self.authorised(asked):
            return Reply({"error": "who are you"}, 401)
        if asked.path != self.path:
            return self.other(asked)
        if asked.method != self.method:
            return Reply({"error": "method not allowed"}, 405)
        if not self.params.items() <= asked.fields.items():
            return Reply({"error": "a parameter is missing"}, 400)
        shown = self.paging.shown(asked, self.select(self.listed, asked))
        if shown is None:
            return Reply({"error": "page size"}, 400)
        bent = self.bend(shown)
        return Reply(self.body(bent), headers=self.paging.headers(bent))

    def listings(self) -> list[Asked]:
        """The requests for the listing so far."""
        return [asked for asked in self.carrier.asked if asked.path == self.path]

    def is_at(self, where: str, asked: Asked) -> bool:
        """Whether a failure meant for that place belongs here."""
        first = asked.path == self.path and asked.is_same(self.listings()[0])
        return first if where == "the first page" else asked.path == self.path and not first

    def fails(self, patience_s: float = 10, **changes: str) -> ProviderError:
        """The error of a listing, none of whose texts shows a secret or a number."""
        account = self.account(**changes)
        with pytest.raises(ProviderError) as caught:
            account.ask(Query(deadline=Deadline(patience_s)))
        error = caught.value
        assert (error.account, error.provider) == ("the-account", self.provider.name)
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert not [secret for secret in self.secrets() if secret in shown], "a secret in an error"
        assert "55501" not in shown, "a number in an error"
        return error


def made(index: int) -> str:
    """The E.164 number of the item with that index."""
    return f"+1{201 + index // 100}55501{index % 100:02}"
