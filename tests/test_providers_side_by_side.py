"""Where the carrier says how many pages there are, they are asked for side by side."""

import threading
from collections import Counter
from typing import Any

import pytest

from providers import HTTPProvider, Page, PhoneNumber, Query, RateLimited, Unreachable, Unreadable
from providers.base import paging
from providers.base.http import Request
from providers.base.provider import Deadline
from providers.base.walk import AT_ONCE
from providers.testing import Asked, Carrier, Reply

PAGES = AT_ONCE + 1
WAIT_S = 20


class Numbered(HTTPProvider):
    """Pages by number, of which the first says how many there are."""

    name = "numbered"

    def first_page(self, query: Query) -> Request:
        return Request("lines", {"page": 1})

    def read_page(self, reply: Any) -> Page:
        following = paging.count_up("page", reply["pages"], side_by_side=True)
        return Page(map(PhoneNumber, reply["lines"]), following)


class Offset(HTTPProvider):
    """Links with an offset, and the total beside them."""

    name = "offset"

    def first_page(self, query: Query) -> Request:
        return Request("lines", {"limit": 1})

    def read_page(self, reply: Any) -> Page:
        values = range(1, reply["pages"])
        following = paging.numbered_link(reply["next"], "offset", values)
        return Page(map(PhoneNumber, reply["lines"]), following)


class Told(HTTPProvider):
    """Pages by number, of which each says how many numbers there are."""

    name = "told"

    def first_page(self, query: Query) -> Request:
        return Request("lines", {"page": 1, "limit": 1})

    def read_page(self, reply: Any) -> Page:
        following = paging.counted("page", "limit", reply["pages"], 1, side_by_side=True)
        return Page(map(PhoneNumber, reply["lines"]), following)


def page_of(asked: Asked) -> int:
    return int(asked.params.get("page") or int(asked.params.get("offset", 0)) + 1)


def number(page: int) -> str:
    return f"+1202555{page:04}"


def body(page: int, pages: int = PAGES) -> dict[str, Any]:
    following = f"/lines?limit=1&offset={page}" if page < pages else None
    return {"lines": [number(page)], "pages": pages, "next": following}


def listed(kind: type[HTTPProvider], url: str, seconds: float = WAIT_S) -> list[str]:
    account = kind(kind.Options(base_url=url), "acme")
    return [found.number for found in account.ask(Query(deadline=Deadline(seconds)))]


def whole(pages: int = PAGES) -> list[str]:
    return [number(page) for page in range(1, pages + 1)]


@pytest.mark.parametrize("kind", [Numbered, Offset, Told])
def test_so_many_pages_are_asked_for_at_a_time(kind: type[HTTPProvider]) -> None:
    together = threading.Barrier(AT_ONCE)

    def answer(asked: Asked) -> Reply:
        page = page_of(asked)
        if page > 1:
            together.wait(WAIT_S)  # breaks unless all the others are on their way
        return Reply(body(page))

    with Carrier(answer) as carrier:
        assert listed(kind, carrier.url) == whole()
        assert Counter(map(page_of, carrier.asked)) == Counter(range(1, PAGES + 1))


def test_never_more_and_always_in_order() -> None:
    pages, lock, inside, most = 40, threading.Lock(), 0, 0

    def answer(asked: Asked) -> Reply:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.002 * (page_of(asked) % 5))
        with lock:
            inside -= 1
        return Reply(body(page_of(asked), pages))

    with Carrier(answer) as carrier:
        assert listed(Numbered, carrier.url) == whole(pages)
    assert 1 < most <= AT_ONCE


def test_a_carrier_that_wants_fewer_is_asked_less_and_gives_all() -> None:
    refused = [3, 4, 5]

    def answer(asked: Asked) -> Reply:
        if page_of(asked) in refused:
            refused.remove(page_of(asked))
            return Reply({}, 429, {"Retry-After": "0"})
        return Reply(body(page_of(asked), 12))

    with Carrier(answer) as carrier:
        assert listed(Numbered, carrier.url) == whole(12)
        assert not refused


@pytest.mark.parametrize("wait_s", ["0", "3600"])
def test_a_carrier_that_always_says_too_many_is_rate_limited(wait_s: str) -> None:
    def answer(asked: Asked) -> Reply:
        late = page_of(asked) > 2
        return Reply({}, 429, {"Retry-After": wait_s}) if late else Reply(body(page_of(asked)))

    with Carrier(answer) as carrier, pytest.raises(RateLimited):
        listed(Numbered, carrier.url)


@pytest.mark.parametrize("page", [2, 4, PAGES])
def test_without_one_page_there_is_no_listing(page: int) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply({}, 500) if page_of(asked) == page else Reply(body(page_of(asked)))

    with Carrier(answer) as carrier, pytest.raises(Unreachable):
        listed(Numbered, carrier.url)


class Counted(Numbered):
    """Which tells the total too."""

    def read_page(self, reply: Any) -> Page:
        return super().read_page(reply)._replace(total=reply["total"])


@pytest.mark.parametrize("shifted", [1, 2])
def test_what_moved_to_a_page_read_before_is_found_the_second_time(shifted: int) -> None:
    """A number of page 1 is deleted after it was read: page 3's comes to stand on page 2."""
    listings = 0

    def answer(asked: Asked) -> Reply:
        nonlocal listings
        page = page_of(asked)
        listings += page == 1
        short = page == 3 and listings <= shifted
        return Reply(body(page, 4) | {"lines": [number(page)] * (1 if short else 2), "total": 8})

    with Carrier(answer) as carrier:
        assert len(listed(Counted, carrier.url)) == (8 if shifted == 1 else 7)
    assert listings == 2, "a carrier that counts otherwise is taken at its pages the second time"


def test_a_hole_between_pages_is_no_end() -> None:
    def answer(asked: Asked) -> Reply:
        said = body(page_of(asked))
        return Reply(said | {"lines": []} if page_of(asked) == 3 else said)

    with Carrier(answer) as carrier, pytest.raises(Unreadable, match="brought nothing, twice"):
        listed(Numbered, carrier.url)


def test_pages_that_were_added_meanwhile_are_read_as_well() -> None:
    with Carrier(lambda a: Reply(body(page_of(a), 3 if page_of(a) == 1 else 5))) as carrier:
        assert listed(Numbered, carrier.url) == whole(5)


def test_a_link_that_counts_otherwise_is_followed_one_by_one() -> None:
    """By offsets of ours, a carrier whose pages are smaller than asked for would lose numbers."""

    def answer(asked: Asked) -> Reply:
        page = page_of(asked)
        return Reply(body(page) | {"pages": 3})

    with Carrier(answer) as carrier:
        assert listed(Offset, carrier.url) == whole()


def test_a_page_that_hangs_ends_it_at_the_deadline(released: threading.Event) -> None:
    def answer(asked: Asked) -> Reply:
        if page_of(asked) == 4:
            released.wait(WAIT_S)
        return Reply(body(page_of(asked)))

    with Carrier(answer) as carrier:
        with pytest.raises(Unreachable):
            listed(Numbered, carrier.url, seconds=0.5)
        released.set()
