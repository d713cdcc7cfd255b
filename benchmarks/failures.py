"""Carriers that are slow or hang: who is answered, how soon, and what the others notice."""

from statistics import median

from benchmarks.bars import Bar, ratio, summary
from benchmarks.load import Ask, Run, at_once, closed_loop, open_loop, signed
from benchmarks.servers import carrier, ours, sid

ACCOUNTS = 200
RATE = 100
"""Requests a second, over all accounts: a tenth of them for accounts that hang."""

SLOW = ((2.5, 20), (2.5, 100), (3.3, 60))
"""Seconds that a carrier takes which is well, and how many ask it at once."""

HANGING, GOOD = 150, 50
"""Portals, each asked once a second, whose only account hangs, and those whose account is well."""

HANGING_DELAY_S = 0.04
"""What the carrier takes for those that are well."""


def one_in_ten() -> list[Bar]:
    """From the moment on when a tenth of the accounts hang: before the breakers open, and after."""
    without, hanging = [], []
    with carrier() as theirs:
        for _ in range(3):
            with ours(theirs.url, ACCOUNTS) as server:
                open_loop(server.url, _mixed(server.url), RATE, 4).check()
                run = open_loop(server.url, _mixed(server.url), RATE, 10).check()
                without.append(run.percentile(99, "others"))
                theirs.hang(*(sid(index) for index in range(0, ACCOUNTS, 10)))
                run = open_loop(server.url, _mixed(server.url), RATE, 20).check(200, 503)
                hanging.append(run.percentile(99, "others"))
                theirs.hang()
    return [
        Bar(
            "one account in ten hangs: the others' p99 against the same run without it",
            1.25, ratio(hanging, without),
            detail=f"with {summary(hanging)}, without {summary(without)} ms"
            f" ({RATE} requests/s, {ACCOUNTS} accounts, 20 s from the start of the hang)",
        )
    ]  # fmt: skip


def _mixed(url: str) -> list[Ask]:
    """A request for each account, those to hang (every tenth) under a label of their own."""
    asks = signed(url, ACCOUNTS, "others")
    asks[::10] = [Ask("hanging", ask.wire) for ask in asks[::10]]
    return asks


def all_hang() -> list[Bar]:
    """Every carrier hangs; half of the portals were asked for before, the others never."""
    known, unknown = [], []
    with carrier() as theirs, ours(theirs.url, 10) as server:
        closed_loop(server.url, signed(server.url, 5), 16, 2).check()
        theirs.hang("*")
        asks = signed(server.url, 5, "known") + signed(server.url, 5, "unknown", first=5)
        closed_loop(server.url, asks, 16, 20).check(200, 503)  # until the breakers are open
        for _ in range(3):
            run = closed_loop(server.url, asks, 16, 5).check(200, 503)
            known.append(run.percentile(99, "known"))
            unknown.append(run.percentile(99, "unknown"))
    return [
        Bar(
            "every carrier hangs, breaker open: p99 of the answers",
            50, max(median(known), median(unknown)), "ms",
            detail=f"last known good {summary(known)}, 503 {summary(unknown)} ms (16 callers)",
        )
    ]  # fmt: skip


def slow_carrier() -> list[Bar]:
    """Users of one portal ask at once, of whose account nobody knows anything yet."""
    bars, listings = [], []
    for delay_s, callers in SLOW:
        with carrier(delay_s) as theirs, ours(theirs.url, 1, WEB_CONCURRENCY="2") as server:
            asks = [signed(server.url, 1, user=1000 + index)[0] for index in range(callers)]
            run = at_once(server.url, asks)
            listings.append(theirs.calls())
        bars.append(
            Bar(
                f"a carrier that is well and takes {delay_s} s, {callers} callers: answered",
                callers, run.statuses[""][200], f"of {callers}", least=True,
                detail=f"statuses {dict(run.statuses[''])}, last answer after {run.seconds:.2f} s",
            )
        )  # fmt: skip
    detail = f"with two workers, {', '.join(map(str, listings))} listings in all"
    return [*bars, Bar("the same: listings a worker", 1, max(listings) / 2, detail=detail)]


def hanging_portals() -> list[Bar]:
    """Most portals' accounts hang; the others are asked at a steady rate meanwhile."""
    name = f"{HANGING} portals' accounts hang, each asked once a second"
    bars = []
    for known, when in ((True, "after answering well"), (False, "from the start on")):
        run = _beside_hanging(known)
        statuses, times = run.statuses["good"], run.times_ms["good"]
        detail = (
            f"p99 {run.percentile(99, 'good'):,.0f}, most {max(times):,.0f} ms; of those that"
            f" hang, median {run.percentile(50, 'hanging'):,.0f},"
            f" most {max(run.times_ms['hanging']):,.0f} ms"
        )
        bars += [
            Bar(
                f"{name}, {when}: the others' median",
                100, run.percentile(50, "good"), "ms", detail=detail,
            ),
            Bar(
                "the same: others not answered 200",
                0, len(times) - statuses[200], detail=f"statuses {dict(statuses)}",
            ),
        ]  # fmt: skip
    return bars


def _beside_hanging(known: bool) -> Run:
    """40 s from the moment on when they hang. `known`: all have answered a few times before."""
    with (
        carrier(HANGING_DELAY_S) as theirs,
        ours(theirs.url, HANGING + GOOD, WEB_CONCURRENCY="2") as server,
    ):
        hanging = iter(signed(server.url, HANGING, "hanging"))
        good = signed(server.url, GOOD, "good", first=HANGING)
        asks = [ask for one in good for ask in (next(hanging), next(hanging), next(hanging), one)]
        if known:
            open_loop(server.url, asks, HANGING + GOOD, 4).check()
        theirs.hang(*(sid(index) for index in range(HANGING)))
        return open_loop(server.url, asks, HANGING + GOOD, 40)
