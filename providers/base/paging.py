"""How carriers lead from one page to the next, for an adapter's `read_page`.

`link` gives the next request itself. The others give a function that makes it from this page's
request, which is what carriers go by that do not repeat it in their answer.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from .errors import Unreadable

_Item = TypeVar("_Item")


class Request(NamedTuple):
    """A page to ask for: a path below the provider's `base_url` (or a whole URL on the same host)
    and query parameters, of which those that are None are left out."""

    path: str
    params: Mapping[str, object] = {}


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


def link(url: str | None) -> Request | None:
    """Follow the carrier's own next link, a path or a URL; null, empty or none at the end.

    Aircall, Plivo, SignalWire.
    """
    return Request(url) if url else None


def token(parameter: str, cursor: str | None) -> Next | None:
    """Repeat this page's request with the carrier's cursor; null, empty or none at the end.

    Bandwidth (`page`), Dialpad (`cursor`), Zoom (`next_page_token`).
    """
    if not cursor:
        return None
    return lambda request: Request(request.path, {**request.params, parameter: cursor})


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

    Telnyx (`page[number]`), RingCentral (`page`), Vonage (`index`).
    """

    def at(request: Request, number: int) -> Request:
        return Request(request.path, {**request.params, parameter: number})

    def following(request: Request) -> Request | None:
        number = _number(request, parameter)
        return at(request, number + 1) if (full if last is None else number < last) else None

    def rest(request: Request) -> Iterator[Request]:
        numbers = range(_number(request, parameter) + 1, (last or 0) + 1)
        return (at(request, number) for number in numbers)

    return Ahead(following, rest) if side_by_side and last else following


def offset(parameter: str, came: int, *, full: bool) -> Next | None:
    """Ask for what comes after this page's `came` numbers: its `parameter` and what came, whatever
    was asked for. `full` says whether there may be more; an empty page has nothing after it.

    Only the page of a request that names `parameter` leads on: after a link, links do.

    Teams (`$skip`).
    """
    if not (full and came):
        return None

    def following(request: Request) -> Request | None:
        if parameter not in request.params:
            return None
        start = int(str(request.params[parameter])) + came
        return Request(request.path, {**request.params, parameter: start})

    return following


def _number(request: Request, parameter: str) -> int:
    return int(str(request.params.get(parameter, 1)))


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
