"""A large account: 10,000 numbers in ten pages of 1,000, the most that Twilio gives at a time."""

import os
import time

import requests

from benchmarks.bars import Bar, ratio, summary
from benchmarks.load import closed_loop, count_loop, signed
from benchmarks.servers import (
    LOAD_CORE,
    PARENT_SID,
    SERVER_CORE,
    TOKEN,
    carrier,
    ours,
    sid,
    trusted,
)

NUMBERS = 10_000
ROUNDS = 5


def large_account() -> list[Bar]:
    """The whole answer against the pages alone: of a worker's first request, and of later ones."""
    first, warm, paging, warm_paging = [], [], [], []
    with carrier(numbers=NUMBERS) as theirs:
        _bare_paging(theirs.url)  # the carrier makes its pages
        for _ in range(ROUNDS):
            cold_s, warm_s = _bare_paging(theirs.url)
            paging.append(cold_s)
            warm_paging.append(warm_s)
            with ours(theirs.url, 1) as server:
                asks = signed(server.url, 1)
                first.append(count_loop(server.url, asks, 1, 1).check().times_ms[""][0] / 1000)
                warm.append(closed_loop(server.url, asks, 1, 3).check().percentile(50) / 1000)
    return [
        Bar(
            "10,000 numbers, 80 ms a page: time against bare paging, first time",
            1.15, ratio(first, paging),
            detail=f"ours {summary(first)}, paging {summary(paging)} s",
        ),
        Bar(
            "the same, once warm",
            1.05, ratio(warm, warm_paging),
            detail=f"ours {summary(warm)}, paging {summary(warm_paging)} s",
        ),
    ]  # fmt: skip


def _bare_paging(url: str) -> tuple[float, float]:
    """Seconds to fetch and decode all pages with `requests`, and nothing else, on the core that
    servers have: the first time, and again on the same connection."""
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        began = time.perf_counter()
        with requests.Session() as session:
            session.trust_env = False
            session.verify = trusted()
            session.auth = (PARENT_SID, TOKEN)
            _page_through(session, url)
            between = time.perf_counter()
            _page_through(session, url)
        return between - began, time.perf_counter() - between
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})


def _page_through(session: requests.Session, url: str) -> None:
    link: str | None = f"/2010-04-01/Accounts/{sid(0)}/IncomingPhoneNumbers.json?PageSize=1000"
    count = 0
    while link:
        page = session.get(url + link, timeout=10).json()
        count += len(page["incoming_phone_numbers"])
        link = page["next_page_uri"]
    assert count == NUMBERS
