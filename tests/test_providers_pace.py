"""Where a carrier takes few requests a second, pages are asked for at its pace."""

import time
from typing import ClassVar

import pytest

from providers import Page, Query, RateLimited, Request, Secret, Unreachable
from providers.base import paging
from providers.base.pace import Pace
from providers.base.provider import Deadline
from providers.testing import Carrier, Reply
from tests.test_providers_contract import Larkline


def test_some_requests_go_at_once_and_then_one_at_a_time() -> None:
    pace = Pace(2, 1.0)
    assert [pace.reserve(10.0, 60) for _ in range(5)] == [0, 0, 1, 2, 3]
    assert pace.reserve(13.5, 60) == 0.5
    assert [pace.reserve(20.0, 60) for _ in range(3)] == [0, 0, 1]  # no more than a burst is saved


def test_what_would_have_to_wait_too_long_takes_nobody_s_turn() -> None:
    pace = Pace(1, 1.0)
    assert pace.reserve(10.0, 0.5) == 0
    assert [pace.reserve(10.0, 0.5), pace.reserve(10.0, 1.0)] == [None, 1]


def test_who_cannot_be_served_in_time_waits_for_the_deadline_and_no_longer() -> None:
    """As a page that is too slow does, so that the listing goes on in the background."""
    pace, deadline = Pace(1, 60.0), Deadline(0.1)
    pace.wait(deadline)
    with pytest.raises(Unreachable, match="not all pages"):
        pace.wait(deadline)
    assert not deadline.left()


NOTHING = Reply({"lines": [], "links": {}})


class Paced(Larkline):
    pace: ClassVar[tuple[int, float] | None] = (2, 0.1)

    def first_page(self, query: Query) -> Request:
        return Request("lines", {"page": 1})

    def read_page(self, reply: Larkline.Reply) -> Page:
        return Page(map(self.read_number, reply.lines), paging.count_up("page", 5))


def account(carrier: Carrier) -> Paced:
    return Paced(Paced.Options(account_id="7", api_key=Secret("k"), base_url=carrier.url))


def test_pages_come_at_the_carrier_s_pace_and_listings_share_it() -> None:
    with Carrier(lambda _: NOTHING) as carrier:
        paced, began = account(carrier), time.monotonic()
        assert [paced.ask(Query()), paced.ask(Query())] == [[], []]
        assert len(carrier.asked) == 10
        assert time.monotonic() - began >= 8 * 0.1


def test_a_page_that_came_too_soon_is_asked_for_again() -> None:
    """Another worker may have taken its turn."""
    refusals = [Reply({}, 429)] * 2
    with Carrier(lambda _: refusals.pop() if refusals else NOTHING) as carrier:
        assert account(carrier).ask(Query()) == []
        assert len(carrier.asked) == 7


@pytest.mark.parametrize(("headers", "asked"), [({}, 3), ({"Retry-After": "7"}, 1)])
def test_a_carrier_that_keeps_refusing_is_left_alone(headers: dict[str, str], asked: int) -> None:
    with Carrier(lambda _: Reply({}, 429, headers)) as carrier:
        with pytest.raises(RateLimited):
            account(carrier).ask(Query())
        assert len(carrier.asked) == asked
