"""How the carrier of the contract splits its list over pages, and what a page says about itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from .carrier import Asked

ABSENT: Any = object()
"""A field that is not there."""


@dataclass(frozen=True)
class Shown:
    """What a page shows: `items`, which start at `start` (from 0) and are up to `size` of `total`.

    `following` is the next page's start, or None on the last one; `host` where a link to it leads,
    if not where it should.
    """

    asked: Asked
    items: list[Any]
    start: int
    size: int
    total: int
    following: int | None
    host: str | None = None


@dataclass(frozen=True, kw_only=True)
class Paging:
    """How a carrier splits a list: `largest` numbers a page at most, `default` unless `size`, a
    parameter of the request, says otherwise. Places (`…_at`) are dotted: `meta.total_pages`.

    Parameters are in the URL or, where the carrier wants a POST, in its JSON. With `lowers`, a page
    that may not be as large as asked for is made smaller without a word; else that is refused.
    """

    largest: int
    default: int = 0
    size: str = ""
    total_at: str = ""
    lowers: bool = False

    def shown(self, asked: Asked, items: list[Any]) -> Shown | None:
        """The page asked for, or None if it asks for more than there may be on one.

        Where the size without the parameter is not known, it is small: who misspells the parameter
        needs more requests than there have to be.
        """
        unasked = self.default or (min(10, self.largest) if self.size else self.largest)
        size = int(asked.fields.get(self.size, unasked))
        size = min(size, self.largest) if self.lowers else size
        start = self.start(asked.fields, size)
        if not 1 <= size <= self.largest or start < 0:
            return None
        following = start + size if start + size < len(items) else None
        return Shown(asked, items[start : start + size], start, size, len(items), following)

    def start(self, params: Mapping[str, Any], size: int) -> int:
        """Where the page asked for starts."""
        raise NotImplementedError

    def fewest(self, total: int) -> int:
        """How many requests it takes at least to list so many numbers."""
        return max(1, -(-total // self.largest))

    def fields(self, shown: Shown) -> dict[str, Any]:
        """What the page says about itself, by place."""
        return {self.total_at: shown.total} if self.total_at else {}

    def headers(self, shown: Shown) -> dict[str, str]:
        """What its head says."""
        return {}


@dataclass(frozen=True, kw_only=True)
class ByNumber(Paging):
    """Pages asked for by number from `first`: Telnyx, RingCentral, Vonage."""

    number: str
    first: int = 1
    page_at: str = ""
    pages_at: str = ""
    size_at: str = ""

    def start(self, params: Mapping[str, Any], size: int) -> int:
        return (int(params.get(self.number, self.first)) - self.first) * size

    def fields(self, shown: Shown) -> dict[str, Any]:
        said = {
            self.page_at: shown.start // shown.size + self.first,
            self.pages_at: -(-shown.total // shown.size),
            self.size_at: shown.size,
        }
        return super().fields(shown) | {at: value for at, value in said.items() if at}


@dataclass(frozen=True, kw_only=True)
class ByOffset(Paging):
    """Pages asked for by how many numbers come before them: Teams."""

    offset: str

    def start(self, params: Mapping[str, Any], size: int) -> int:
        return int(params.get(self.offset, 0))

    def fewest(self, total: int) -> int:
        """Where no total is told, only another page shows that a full one was the last."""
        return super().fewest(total) if self.total_at else total // self.largest + 1


@dataclass(frozen=True, kw_only=True)
class ByToken(Paging):
    """Pages that name a cursor at `at` for the next request's `token` parameter: Dialpad, Zoom.

    `last` is what stands there on the last page.
    """

    token: str
    at: str
    last: Any = ABSENT

    def start(self, params: Mapping[str, Any], size: int) -> int:
        given = params.get(self.token, "")
        return int(given.removeprefix("tok=/+&")) if given else 0

    def fields(self, shown: Shown) -> dict[str, Any]:
        following = self.last if shown.following is None else f"tok=/+&{shown.following}"
        return super().fields(shown) | {self.at: following}


@dataclass(frozen=True, kw_only=True)
class ByLink(Paging):
    """Pages that name the next one's link at `at`, a path or, if `absolute`, a whole URL:
    Plivo, SignalWire, Bandwidth, Aircall, Twilio. `last` is what stands there on the last page.

    A link has an opaque token or, in the parameter `number` or `offset`, the page's number or how
    many numbers come before it.
    """

    at: str
    last: Any = None
    absolute: bool = False
    number: str = ""
    offset: str = ""

    def start(self, params: Mapping[str, Any], size: int) -> int:
        if self.number:
            return (int(params.get(self.number, 1)) - 1) * size
        return int(params.get(self.offset or "from-token", 0))

    def fields(self, shown: Shown) -> dict[str, Any]:
        return super().fields(shown) | {self.at: self.link(shown) or self.last}

    def link(self, shown: Shown) -> str:
        """The next page's link; empty on the last page."""
        if shown.following is None:
            return ""
        base = (shown.asked.url if self.absolute else "") if shown.host is None else shown.host
        place, value = self.offset or "from-token", shown.following
        if self.number:
            place, value = self.number, 1 - -shown.following // shown.size
        query = urlencode({**shown.asked.params, place: value})
        return f"{base}{shown.asked.path}?{query}"


@dataclass(frozen=True, kw_only=True)
class ByLinkHeader(ByLink):
    """Pages that name the next one's link in a header, beside the first page's: Webex."""

    at: str = ""
    last: Any = ABSENT
    absolute: bool = True

    def fields(self, shown: Shown) -> dict[str, Any]:
        return Paging.fields(self, shown)

    def headers(self, shown: Shown) -> dict[str, str]:
        following = f', <{link}>; rel="next"' if (link := self.link(shown)) else ""
        return {"Link": f'<{shown.asked.url}{shown.asked.path}>; rel="first"{following}'}


@dataclass(frozen=True, kw_only=True)
class Unpaged(Paging):
    """No pages: the carrier gives all numbers at once."""

    largest: int = 100_000

    def start(self, params: Mapping[str, Any], size: int) -> int:
        return 0


def put(body: Any, at: str, value: Any) -> None:
    """Set, or with ABSENT remove, the field of `body` at a dotted place; a dot of a name's own has
    a backslash before it."""
    *above, name = (key.replace(r"\.", ".") for key in re.split(r"(?<!\\)\.", at))
    for key in above:
        if not isinstance(body.get(key), dict):
            body[key] = {}
        body = body[key]
    if value is ABSENT:
        body.pop(name, None)
    else:
        body[name] = value
