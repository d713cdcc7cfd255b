"""Carriers that hang: what the others notice, and how soon everybody has an answer."""

from statistics import median

from benchmarks.bars import Bar, ratio, summary
from benchmarks.load import Ask, closed_loop, open_loop, signed
from benchmarks.servers import carrier, ours, sid

ACCOUNTS = 200
RATE = 100
"""Requests a second, over all accounts: a tenth of them for accounts that hang."""


def _mixed(url: str) -> list[Ask]:
    """A request for each account, those to hang (every tenth) under a label of their own."""
    asks = signed(url, ACCOUNTS, "others")
    asks[::10] = [Ask("hanging", ask.wire) for ask in asks[::10]]
    return asks


def one_in_ten() -> list[Bar]:
    """From the moment on when a tenth of the accounts hang: before the breakers open, and after."""
    without, hanging = [], []
    with carrier() as theirs:
        for _ in range(3):
            with ours(theirs.url, ACCOUNTS) as server:
                open_loop(server.url, _mixed(server.url), RATE, 4).check()
                run = open_loop(server.url, _mixed(server.url), RATE, 12).check()
                without.append(run.percentile(99, "others"))
                theirs.hang(*(sid(index) for index in range(0, ACCOUNTS, 10)))
                run = open_loop(server.url, _mixed(server.url), RATE, 24).check(200, 503)
                hanging.append(run.percentile(99, "others"))
                theirs.hang()
    return [
        Bar(
            "one account in ten hangs: the others' p99 against the same run without it",
            1.25, ratio(hanging, without),
            detail=f"with {summary(hanging)}, without {summary(without)} ms"
            f" ({RATE} requests/s, 200 accounts, 24 s from the start of the hang)",
        )
    ]  # fmt: skip


def all_hang() -> list[Bar]:
    """Every carrier hangs; half of the portals were asked for before, the others never."""
    known, unknown = [], []
    with carrier() as theirs, ours(theirs.url, 10) as server:
        closed_loop(server.url, signed(server.url, 5), 16, 2).check()
        theirs.hang("*")
        asks = signed(server.url, 5, "known") + signed(server.url, 5, "unknown", first=5)
        closed_loop(server.url, asks, 16, 20).check(200, 503)  # until the breakers are open
        for _ in range(3):
            run = closed_loop(server.url, asks, 16, 6).check(200, 503)
            known.append(run.percentile(99, "known"))
            unknown.append(run.percentile(99, "unknown"))
    return [
        Bar(
            "every carrier hangs, breaker open: p99 of the answers",
            50, max(median(known), median(unknown)), "ms",
            detail=f"last known good {summary(known)}, 503 {summary(unknown)} ms (16 callers)",
        )
    ]  # fmt: skip
