"""Accounts whose listing outlasts the deadline are listed beside the requests."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from helpdesk_numbers.directory.model import Directory, Portal, Rule
from helpdesk_numbers.lookup.long import Unfinished
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.lookup.result import Result
from helpdesk_numbers.lookup.sqlite import SQLiteAnswers
from providers import HTTPProvider, Page, PhoneNumber, Query, Request
from providers.base import paging
from providers.base.errors import RateLimited
from providers.base.provider import Provider
from providers.testing import Asked, Carrier, Reply
from tests.support.accounts import Fixed

PAGES = 8
PAGE_S = 0.3
DEADLINE_S = 1.5
"""A page comes well within the deadline, and all of them do not."""


class Cursors(HTTPProvider):
    """Pages of one number by cursor; `total` says how many there are, if the carrier does."""

    name = "cursors"

    def first_page(self, query: Query) -> Request:
        return Request("lines")

    def read_page(self, reply: Any) -> Page:
        following = paging.token("cursor", reply.get("next"))
        return Page(map(PhoneNumber, reply["lines"]), following, reply.get("total"))


class Slow:
    """A carrier whose pages take PAGE_S, but for the first; or as long as it is told."""

    def __init__(self) -> None:
        self.page_s = PAGE_S
        self.last: Reply | None = None
        self.listings = 0

    def __call__(self, asked: Asked) -> Reply:
        page = int(asked.params.get("cursor", 1))
        self.listings += page == 1
        if page > 1:
            time.sleep(self.page_s)
        if page == PAGES and self.last:
            return self.last
        following = str(page + 1) if page < PAGES else None
        return Reply({"lines": [f"+1202555014{page}"], "next": following, "total": PAGES})


def lookup_of(account: Provider, last_known_good_s: float = 600) -> Lookup:
    directory = Directory({"acme": account}, {1: Portal(("acme",))})
    return Lookup(Fixed(directory), DEADLINE_S, last_known_good_s)


def cursors(url: str) -> Cursors:
    return Cursors(Cursors.Options(base_url=url), "acme")


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """What a first call imports and reads is no part of a page's time."""
    with Carrier(lambda _: Reply({"lines": []})) as carrier:
        cursors(carrier.url).ask(Query())


def in_time(ask: Callable[[], Result], wanted: str) -> Result:
    for _ in range(300):
        result = ask()
        if not result.failure and result.source == wanted:
            return result
        time.sleep(0.02)
    return result


def test_it_goes_on_and_stands_in_whole() -> None:
    slow = Slow()
    with Carrier(slow) as carrier:
        lookup = lookup_of(cursors(carrier.url))
        first = lookup.look_up(1, 1)
        assert first.failure
        assert "longer than a request may wait, and goes on" in str(first.failure)
        began = time.monotonic()
        again = lookup.look_up(1, 1)
        assert again.failure
        assert time.monotonic() - began < PAGE_S, "it is known by now, and not waited for"
        whole = in_time(lambda: lookup.look_up(1, 1), "last-known-good")
        assert len(whole.numbers) == PAGES
        assert whole.outcomes[0].age_s is not None
        assert slow.listings == 2, "the one that was broken off, and the one that went on"


class Paced(Cursors):
    """Of a carrier that is quick, and takes few requests a second."""

    pace = 2, PAGE_S


def test_a_listing_at_the_carrier_s_pace_goes_on_too() -> None:
    slow = Slow()
    slow.page_s = 0
    with Carrier(slow) as carrier:
        lookup = lookup_of(Paced(Paced.Options(base_url=carrier.url), "acme"))
        first = lookup.look_up(1, 1)
        assert isinstance(first.failure, Unfinished)
        later = in_time(lambda: lookup.look_up(1, 1), "last-known-good")
        assert len(later.numbers) == PAGES
        assert slow.listings == 2


def test_the_time_to_retry_is_true() -> None:
    with Carrier(Slow()) as carrier:
        lookup = lookup_of(cursors(carrier.url))
        failure = lookup.look_up(1, 1).failure
        assert failure
        assert failure.retry_after_s
        assert PAGES * PAGE_S / 2 < failure.retry_after_s < 4 * PAGES * PAGE_S
        time.sleep(math.ceil(failure.retry_after_s))  # as the header has it
        assert len(lookup.look_up(1, 1).numbers) == PAGES


def test_it_is_listed_again_when_asked_for_and_older_than_it_took() -> None:
    slow = Slow()
    with Carrier(slow) as carrier:
        lookup = lookup_of(cursors(carrier.url))
        lookup.look_up(1, 1)
        assert in_time(lambda: lookup.look_up(1, 1), "last-known-good").numbers
        for _ in range(500):
            if slow.listings > 2:
                break
            assert len(lookup.look_up(1, 1).numbers) == PAGES
            time.sleep(0.02)
        assert slow.listings == 3


def test_once_it_is_quick_again_answers_are_live() -> None:
    slow = Slow()
    with Carrier(slow) as carrier:
        lookup = lookup_of(cursors(carrier.url))
        lookup.look_up(1, 1)
        slow.page_s = 0
        assert len(in_time(lambda: lookup.look_up(1, 1), "live").numbers) == PAGES


@pytest.mark.parametrize("last", [Reply({}, 500), Reply({}, 401), Reply(b"<html>")])
def test_a_part_is_never_the_whole(last: Reply) -> None:
    slow = Slow()
    slow.last = last
    with Carrier(slow) as carrier:
        lookup = lookup_of(cursors(carrier.url))
        for _ in range(40):
            result = lookup.look_up(1, 1)
            assert result.failure
            assert not result.numbers
            time.sleep(0.05)


def test_a_listing_that_stops_coming_is_given_up() -> None:
    slow = Slow()
    with Carrier(slow) as carrier:
        lookup = lookup_of(cursors(carrier.url))
        assert isinstance(lookup.look_up(1, 1).failure, Unfinished)
        slow.page_s = 3.5
        for _ in range(300):
            failure = lookup.look_up(1, 1).failure
            if slow.listings > 2:
                break
            time.sleep(0.02)
        assert failure
        assert slow.listings > 2, "after it, a request tries again"


def test_without_last_known_good_it_does_not_go_on() -> None:
    slow = Slow()
    with Carrier(slow) as carrier:
        lookup = lookup_of(cursors(carrier.url), last_known_good_s=0)
        assert lookup.look_up(1, 1).failure
        time.sleep(0.1)
        assert slow.listings == 1


def hang(_: Asked) -> Reply:
    time.sleep(DEADLINE_S + 0.2)
    return Reply({})


def test_an_account_of_which_nothing_came_is_no_long_one() -> None:
    with Carrier(hang) as carrier:
        failure = lookup_of(cursors(carrier.url)).look_up(1, 1).failure
        assert failure
        assert not isinstance(failure, Unfinished)


class ByNumber(Cursors):
    """Numbers can be asked for one by one, which is quick."""

    narrows = frozenset({"numbers"})

    def first_page(self, query: Query) -> Request:
        return Request("lines", {"number": query.numbers[0] if query.numbers else None})


def test_a_rule_that_needs_less_is_answered_live() -> None:
    slow = Slow()

    def answer(asked: Asked) -> Reply:
        number = asked.params.get("number")
        return Reply({"lines": [number]}) if number else slow(asked)

    with Carrier(answer) as carrier:
        account = ByNumber(ByNumber.Options(base_url=carrier.url), "acme")
        portal = Portal(("acme",), rules={7: Rule(numbers=("+12025550143",))})
        lookup = Lookup(Fixed(Directory({"acme": account}, {1: portal})), DEADLINE_S, 600)
        assert lookup.look_up(1, 1).failure
        for _ in range(3):
            result = lookup.look_up(1, 7)
            assert not result.failure
            assert [number.e164 for number in result.numbers] == ["+12025550143"]
        assert lookup.look_up(1, 1).failure


def test_listings_that_fail_in_the_background_open_the_circuit() -> None:
    slow = Slow()
    slow.last = Reply({}, 429, {"Retry-After": "30"})
    with Carrier(slow) as carrier:
        lookup = lookup_of(cursors(carrier.url))
        assert lookup.look_up(1, 1).failure
        for _ in range(300):
            failure = lookup.look_up(1, 1).failure
            if isinstance(failure, RateLimited):
                break
            time.sleep(0.02)
        assert "circuit open" in str(failure)
        assert failure
        assert 20 < (failure.retry_after_s or 0) <= 30
        assert slow.listings == 2, "it is left alone until then"


def test_one_listing_an_account_in_all_workers(tmp_path: Any) -> None:
    slow, shared = Slow(), SQLiteAnswers(tmp_path, 600)
    with Carrier(slow) as carrier:
        workers = [lookup_of(cursors(carrier.url)) for _ in range(2)]
        for worker in workers:
            worker.share(shared)
            assert worker.look_up(1, 1).failure
        time.sleep(0.1)
        assert slow.listings == 3, "each worker's own that was broken off, and one that goes on"
        for worker in workers:
            whole = in_time(partial(worker.look_up, 1, 1), "last-known-good")
            assert len(whole.numbers) == PAGES
        late, began = lookup_of(cursors(carrier.url)), time.monotonic()
        late.share(shared)
        assert len(late.look_up(1, 1).numbers) == PAGES
        assert time.monotonic() - began < DEADLINE_S, "a worker that is new need not wait for it"
