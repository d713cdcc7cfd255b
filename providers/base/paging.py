"""How carriers lead from one page to the next, for an adapter's `read_page`.

`link` gives the next request itself. The others give a function that makes it from this page's
request, which is what carriers go by that do not repeat it in their answer.
"""

import msgspec

from .http import Next, Request


class Following(msgspec.Struct):
    """The part of an answer that has the next link: Plivo's `meta`, SignalWire's `links`."""

    next: str | None = None


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


def count_up(parameter: str, last: int | None, *, full: bool = False) -> Next:
    """Ask for the page after this one by its number in `parameter`, up to page `last`.

    `full` says whether this page holds as many as it may: where the carrier may leave out how many
    pages there are (`last` is None), a full one has another after it.

    A first request without `parameter` asks for page 1.

    Telnyx (`page[number]`), RingCentral (`page`), Vonage (`index`).
    """

    def following(request: Request) -> Request | None:
        number = int(str(request.params.get(parameter, 1)))
        more = full if last is None else number < last
        return Request(request.path, {**request.params, parameter: number + 1}) if more else None

    return following
