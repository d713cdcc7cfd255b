"""How carriers lead from one page to the next, for an adapter's `read_page`.

`link` gives the next request itself. The others give a function that makes it from this page's
request, which is what carriers go by that do not repeat it in their answer.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from .errors import Unreadable

_Item = TypeVar("_Item")


class Request(NamedTuple):
    """A page to ask for: a path below the provider's `base_url` (or a whole URL on the same host)
    and query parameters; with `body`, by POST, whose JSON object it is. Of both, what is None is
    left out."""

    path: str
    params: Mapping[str, object] = {}
    body: Mapping[str, object] | None = None

    @property
    def fields(self) -> Mapping[str, object]:
        """Return what tells pages apart: the body's fields if there is one, else the parameters."""
        return self.params if self.body is None else self.body

    def having(self, field: str, value: object) -> "Request":
        """Return the same request with another value of one of its `fields`."""
        fields = {**self.fields, field: value}
        if self.body is None:
            return self._replace(params=fields)
        return self._replace(body=fields)


Next = Callable[[Request], Request | None]
"""Makes the next page's request from this page's: see providers/base/paging.py."""


def listed(items: list[_Item] | None, total: int | None) -> list[_Item]:
    """Return the items; none if the carrier left the list out and says that there are none.

    Raises:
        Unreadable: there is no list, and no word that it would be empty.
    """
    if items is None and total != 0:
        raise Unreadable("no list in the answer")
    return items or []


def link(url: str | None, params: Mapping[str, str] = {}) -> Request | None:
    """Follow the carrier's own next link, a path or a URL; null, empty or none at the end.

    `params` take the place of what the link says of them, which may be nothing.

    ACS, Aircall, Plivo, SignalWire.
    """
    if not (url and params):
        return Request(url) if url else None
    path, _, query = url.partition("?")
    kept = [part for part in query.split("&") if unquote(part.partition("=")[0]) not in params]
    return Request("?".join(filter(None, [path, "&".join(kept)])), params)


def token(parameter: str, cursor: str | None) -> Next | None:
    """Repeat this page's request with the carrier's cursor, in its body if it has one; null, empty
    or none at the end.

    Bandwidth (`page`), Dialpad (`cursor`), Zoom (`next_page_token`).
    """
    return (lambda request: request.having(parameter, cursor)) if cursor else None


def next_link(header: str | None) -> Request | None:
    """Follow the link called `next` in a header `Link`: https://www.rfc-editor.org/rfc/rfc8288

    Webex.
    """
    for target, said in re.findall(r"<([^<>]*)>([^<]*)", header or ""):
        relation = re.search(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', said, re.I)
        if relation and "next" in (relation[1] or relation[2]).casefold().split():
            return link(target)
    return None


class Ahead:
    """What leads to the next page, and on the first one to all others, so that they can be asked
    for side by side. `following` makes the next request, `rest` all of them."""

    def __init__(self, following: Next, rest: Callable[[Request], Iterator[Request]]) -> None:
        self._following, self.rest = following, rest

    def __call__(self, request: Request) -> Request | None:
        return self._following(request)


def count_up(
    parameter: str, last: int | None, *, full: bool = False, side_by_side: bool = False
) -> Next:
    """Ask for the page after this one by its number in `parameter`, up to page `last`.

    `full` says whether this page holds as many as it may: where the carrier may leave out how many
    pages there are (`last` is None), a full one has another after it. `side_by_side` says that the
    carrier lets several pages be asked for at a time.

    A first request without `parameter` asks for page 1.

    Telnyx (`page[number]`), RingCentral (`page`).
    """

    def following(request: Request) -> Request | None:
        number = _number(request, parameter)
        more = full if last is None else number < last
        return request.having(parameter, number + 1) if more else None

    def rest(request: Request) -> Iterator[Request]:
        numbers = range(_number(request, parameter) + 1, (last or 0) + 1)
        return (request.having(parameter, number) for number in numbers)

    return Ahead(following, rest) if side_by_side and last else following


def counted(
    parameter: str,
    size: str,
    total: int | None,
    came: int,
    *,
    first: int = 1,
    side_by_side: bool = False,
) -> Next:
    """Ask for the page after this one by its number in `parameter`, where the carrier tells but the
    `total`: the request's own `size` says how many pages that makes.

    A `first` page that brings fewer (`came`) was made smaller without a word: the others are asked
    for in its size. `side_by_side` is as in `count_up`.

    Infobip (`page`, from 0), Vonage (`index`).

    Raises:
        Unreadable: numbers came, and no word how many there are.
    """
    if came and total is None:
        raise Unreadable("the answer does not say how many numbers there are")
    wanted = total or 0

    def sized(request: Request) -> Request:
        at_first = _number(request, parameter) == first
        lowered = at_first and 0 < came < _number(request, size)
        return request.having(size, came) if lowered else request

    def last(request: Request) -> int:
        return first - 1 - -wanted // _number(request, size)

    def following(request: Request) -> Request | None:
        this = sized(request)
        number = _number(this, parameter)
        return this.having(parameter, number + 1) if number < last(this) else None

    def rest(request: Request) -> Iterator[Request]:
        this = sized(request)
        return (this.having(parameter, number) for number in range(first + 1, last(this) + 1))

    return Ahead(following, rest) if side_by_side and wanted > came else following


def offset(parameter: str, came: int, *, full: bool) -> Next | None:
    """Ask for what comes after this page's `came` numbers: its `parameter` and what came, whatever
    was asked for. `full` says whether there may be more; an empty page has nothing after it.

    Only the page of a request that names `parameter` leads on: after a link, links do.

    Teams (`$skip`).
    """
    if not (full and came):
        return None

    def following(request: Request) -> Request | None:
        if parameter not in request.fields:
            return None
        return request.having(parameter, _number(request, parameter) + came)

    return following


def _number(request: Request, parameter: str) -> int:
    return int(str(request.fields.get(parameter, 1)))


def numbered_link(url: str | None, parameter: str, values: Sequence[int]) -> Request | Next | None:
    """Follow the carrier's own next link, whose `parameter` has the first of these values on the
    first page; with the others in its place, it leads to the pages after that one.

    Aircall (`page`), Plivo (`offset`).
    """
    request = link(url)
    place = re.compile(rf"([?&]{re.escape(parameter)}=){values[0] if values else ''}(?=&|$)")
    if request is None or len(values) < 2 or not place.search(request.path):
        return request

    def rest(_: Request) -> Iterator[Request]:
        return (Request(place.sub(rf"\g<1>{value}", request.path)) for value in values)

    return Ahead(lambda _: request, rest)
