"""From page to page: one after another or, where the carrier says how many there are, side by side.

A part of a listing is never taken for the whole: whatever breaks off a walk fails it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from threading import Condition
from typing import TypeVar

from .errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from .listing import Answer, Listing
from .paging import Ahead, Request
from .provider import Deadline, describe

AT_ONCE = 6
"""Pages asked for side by side, as browsers do with one host."""

MOST_EMPTY, MOST_IN_VAIN = 20, 500
"""Pages in a row without anything, and without anything new, after which a carrier leads nowhere.
Numbers may come twice where a list changes while it is read."""

MOST_REFUSALS = 2
"""How often a page is asked for again that came too soon for the carrier (429)."""

STALE = 400, 404, 410, 416, 422
"""How a carrier refuses a cursor, token or page that it gave: it has ended, or the list changed."""

_AnyPage = TypeVar("_AnyPage")


class StaleCursor(Unreadable):
    """The carrier refuses the page that it named itself; from the start, the list may be read."""


Fetch = Callable[[Request], Answer]
Read = Callable[[Answer], tuple[_AnyPage, Sequence[object], object]]
"""Makes an answer a page; says what it brought, and what leads to the next one."""


def walk(
    listing: Listing, first: Request, fetch: Fetch, read: Read[_AnyPage]
) -> Iterator[_AnyPage]:
    """Yield each page from the first one's request on, in order.

    Raises:
        ProviderError: a page did not come, could not be read, or leads in a circle or nowhere.
    """
    request: Request | None = first
    seen: set[str] = set()
    empty = in_vain = 0
    while request:
        answer = fetch(request) if request is first else _later(fetch, request)
        page, brought, following = _read(read, answer)
        yield page
        if request is first and isinstance(following, Ahead):
            for later, answer in _side_by_side(listing, following.rest(first), fetch):
                if not brought:  # and yet there is another: the list has changed meanwhile
                    raise StaleCursor("a page between others brought nothing")
                page, brought, following = _read(read, answer)
                request = later
                yield page
        ends = set(map(str, (*brought[:1], *brought[-1:])))  # which tell pages apart well enough
        empty = 0 if brought else empty + 1
        in_vain = in_vain + 1 if ends <= seen else 0
        seen |= ends
        if empty > MOST_EMPTY:
            raise Unreadable(f"{empty} pages in a row brought nothing")
        if in_vain > MOST_IN_VAIN:  # as if it had gone on until the deadline
            raise Unreachable(f"not all pages came in time: {in_vain} in a row brought nothing new")
        request = following(request) if callable(following) else following  # type: ignore[assignment]
        if request and not brought and listing.has_asked(request):
            return  # an empty page that leads back is how some carriers end


def _read(read: Read[_AnyPage], answer: Answer) -> tuple[_AnyPage, Sequence[object], object]:
    try:
        return read(answer)
    except ProviderError:
        raise
    except Exception as error:  # an adapter's reader met what the carrier does not document
        what, place = describe(error)
        raise Unreadable(f"{what} while reading the answer{place}") from error


def _later(fetch: Fetch, request: Request) -> Answer:
    """A page that the carrier named itself, so that it is not the credentials if it is refused."""
    try:
        return fetch(request)
    except Refused as error:
        if error.status in STALE:
            raise StaleCursor(f"the carrier refused its own next page: {error}") from error
        raise


class _Gate:
    """How many may ask at a time: fewer, once the carrier says that they are too many."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._limit, self._inside = AT_ONCE, 0
        self._changed = Condition()

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self._limit, self._deadline.left())
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def narrow(self) -> None:
        with self._changed:
            self._limit = max(1, self._limit // 2)


def _side_by_side(
    listing: Listing, requests: Iterator[Request], fetch: Fetch
) -> Iterator[tuple[Request, Answer]]:
    """Each request with its answer, in order, AT_ONCE at a time."""
    from concurrent.futures import Future, ThreadPoolExecutor  # not above: most have one page

    deadline = listing.query.deadline
    gate = _Gate(deadline)

    def ask(request: Request) -> Answer:
        for refusals in count():
            try:
                with gate.passing():
                    return _later(fetch, request)
            except RateLimited as error:
                wait_s = 0.3 * 2**refusals if error.retry_after_s is None else error.retry_after_s
                if refusals == MOST_REFUSALS or wait_s >= deadline.left():
                    raise
                gate.narrow()
                time.sleep(wait_s)
        raise AssertionError("it counts without end")  # which mypy does not know

    threads = ThreadPoolExecutor(AT_ONCE, "pages")
    asked: deque[tuple[Request, Future[Answer]]] = deque()
    try:
        for request in chain(requests, [None] * 2 * AT_ONCE):
            if request:
                asked.append((request, threads.submit(ask, request)))
            if asked and (request is None or len(asked) >= 2 * AT_ONCE):
                oldest, answer = asked.popleft()
                yield oldest, answer.result()
    except RuntimeError as error:  # no thread can be started
        raise Unreadable(f"the pages cannot be asked for: {error}") from error
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
