"""A large account: 10,000 numbers in ten pages of 1,000, the most that Twilio gives at a time."""

import time
from statistics import median

import requests

from benchmarks.bars import Bar, ratio, summary
from benchmarks.load import closed_loop, count_loop, signed
from benchmarks.servers import PARENT_SID, TOKEN, carrier, ours, sid, trusted

NUMBERS = 10_000
ROUNDS = 5


def _bare_paging(url: str) -> float:
    """Seconds to fetch and decode all pages with `requests`, and nothing else."""
    started = time.perf_counter()
    with requests.Session() as session:
        session.trust_env = False
        session.verify = trusted()
        session.auth = (PARENT_SID, TOKEN)
        link: str | None = f"/2010-04-01/Accounts/{sid(0)}/IncomingPhoneNumbers.json?PageSize=1000"
        count = 0
        while link:
            page = session.get(url + link, timeout=10).json()
            count += len(page["incoming_phone_numbers"])
            link = page["next_page_uri"]
    assert count == NUMBERS
    return time.perf_counter() - started


def large_account() -> list[Bar]:
    """The whole answer against the pages alone: of a worker's first request, and of later ones."""
    first, warm, paging = [], [], []
    with carrier(0.08, NUMBERS) as theirs:
        _bare_paging(theirs.url)  # the carrier makes its pages
        for _ in range(ROUNDS):
            paging.append(_bare_paging(theirs.url))
            with ours(theirs.url, 1, WEB_CONCURRENCY="1") as server:
                asks = signed(server.url, 1)
                first.append(count_loop(server.url, asks, 1, 1).check().times_ms[""][0] / 1000)
                warm.append(closed_loop(server.url, asks, 1, 4).check().percentile(50) / 1000)
    return [
        Bar(
            "10,000 numbers, 80 ms a page: time against bare paging, first time",
            1.25, ratio(first, paging),
            detail=f"ours {summary(first)}, paging {summary(paging)} s",
        ),
        Bar(
            "the same, once warm",
            1.10, ratio(warm, paging), detail=f"ours {summary(warm)}, {median(paging):.3g} s",
        ),
    ]  # fmt: skip
