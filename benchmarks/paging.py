"""Large accounts: ten pages of 1,000 at Twilio, and carriers of small pages."""

import os
import time

import requests
from msgspec.structs import fields

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
from providers import Deadline, Query, load
from providers.testing.carrier import Asked, Carrier, Reply

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


def side_by_side() -> list[Bar]:
    """Small pages of which the first says how many there are, against one after another; a lookup
    has 4 seconds."""
    return [
        _pages("plivo", "1,000 numbers at Plivo, 20 a page, 150 ms", 50, 20, 0.15),
        _pages("vonage", "2,500 numbers at Vonage, 100 a page, 400 ms", 25, 100, 0.4),
    ]


def _pages(provider: str, what: str, pages: int, size: int, page_s: float) -> Bar:
    def answer(asked: Asked) -> Reply:
        time.sleep(page_s)
        offset = (
            int(asked.params.get("offset", 0)) or (int(asked.params.get("index", 1)) - 1) * size
        )
        digits = [f"1202555{n:04}" for n in range(offset, offset + size)]
        following = offset + size if offset + size < pages * size else None
        link = f"{asked.path}?limit={size}&offset={following}" if following else None
        return Reply(
            {
                "count": pages * size,
                "numbers": [{"msisdn": one, "features": ["VOICE"]} for one in digits],
                "objects": [{"number": one, "voice_enabled": True} for one in digits],
                "meta": {"next": link, "total_count": pages * size},
            }
        )

    secrets = {
        "auth_id": "MA" + "X" * 18,
        "auth_token": TOKEN,
        "api_key": "key",
        "api_secret": TOKEN,
    }
    kind = load(provider)
    with Carrier(answer) as theirs:
        known = {field.name for field in fields(kind.Options)}
        given = {name: value for name, value in secrets.items() if name in known}
        account = kind(kind.Options(**given, base_url=theirs.url), provider)  # type: ignore[call-arg] # its own
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            assert len(account.ask(Query(deadline=Deadline(30)))) == pages * size
            took.append(time.perf_counter() - began)
    in_turn = [pages * page_s] * ROUNDS
    return Bar(
        f"{what}: time against one page after another",
        min(4 / (pages * page_s), 0.5), ratio(took, in_turn),
        detail=f"{summary(took)} of {pages * page_s:.1f} s",
    )  # fmt: skip
