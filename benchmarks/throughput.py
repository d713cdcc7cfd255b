"""Requests a second and the time that we add to the carrier's own.

Ours and the baseline are up at the same time and asked in turn, a few seconds each, so that
whatever else the machine does disturbs both alike.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from benchmarks.bars import Bar, ratio, summary
from benchmarks.load import closed_loop, signed
from benchmarks.servers import (
    WORKERS,
    Carrier,
    Running,
    bare,
    by_hand,
    carrier,
    fixed,
    least,
    ours,
)

ROUNDS = 5
SECONDS = 2.5
DELAY_S = 0.08
ACCOUNTS = 200


@dataclass
class Measured:
    """One server's rounds."""

    rates: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)


def _in_turn(
    servers: Mapping[str, Running], portals: int, callers: int, theirs: Carrier | None = None
) -> dict[str, Measured]:
    """Each server under the same load, in turn; the first round only warms up."""
    measured = {name: Measured() for name in servers}
    for count in range(ROUNDS + 1):
        for name, server in servers.items():
            asks = random.Random(count).choices(signed(server.url, portals), k=2000)
            cpu_s, calls = server.cpu_s(), theirs.calls() if theirs else 0
            run = closed_loop(server.url, asks, callers, SECONDS).check()
            if count:
                own = measured[name]
                own.rates.append(run.rate)
                own.medians_ms.append(run.percentile(50))
                own.cpu_us.append((server.cpu_s() - cpu_s) / run.answers * 1e6)
                own.calls.append((theirs.calls() - calls) / run.seconds if theirs else 0)
    return measured


def _said(measured: Mapping[str, Measured]) -> str:
    return "; ".join(
        f"{name} {summary(own.rates)} requests/s, {median(own.cpu_us):.0f} µs of processor each"
        for name, own in measured.items()
    )


def fixed_list() -> list[Bar]:
    """A list from the directory, against Flask's least, and what of it the task itself takes."""
    with fixed() as mine, least() as possible, bare() as other:
        found = _in_turn({"ours": mine, "least": possible, "bare": other}, 1, 16)
    limit = ratio(found["least"].rates, found["bare"].rates)
    return [
        Bar(
            "fixed list, signed: requests/s against `bare`",
            0.90, ratio(found["ours"].rates, found["bare"].rates), least=True,
            detail=f"`least` reaches {limit:.2f}; {_said(found)}",
        )
    ]  # fmt: skip


def many_accounts() -> list[Bar]:
    """Accounts at random: little to share but connections."""
    with (
        carrier(DELAY_S) as theirs,
        ours(theirs.url, ACCOUNTS) as mine,
        by_hand(theirs.url, ACCOUNTS) as other,
    ):
        servers = {"ours": mine, "by-hand": other}
        found = _in_turn(servers, ACCOUNTS, 64)
        few = _in_turn(servers, ACCOUNTS, 8)
    added = {name: [ms - DELAY_S * 1000 for ms in own.medians_ms] for name, own in few.items()}
    return [
        Bar(
            "carrier at 80 ms, 64 callers, 200 accounts: requests/s against `by-hand`",
            1.6, ratio(found["ours"].rates, found["by-hand"].rates), least=True,
            detail=_said(found),
        ),
        Bar(
            "the same at 8 callers: median above the carrier's 80 ms",
            8, median(added["ours"]), "ms",
            detail="; ".join(f"{name} {summary(ms, 'ms')}" for name, ms in added.items()),
        ),
    ]  # fmt: skip


def one_account() -> list[Bar]:
    """Everybody asks for the same account at once."""
    with (
        carrier(DELAY_S) as theirs,
        ours(theirs.url, 1) as mine,
        ours(theirs.url, 1, WEB_THREADS="64") as more,
        by_hand(theirs.url, 1) as other,
    ):
        servers = {"ours": mine, "ours with WEB_THREADS=64": more, "by-hand": other}
        found = _in_turn(servers, 1, 256, theirs)
    calls = found["ours"].calls
    return [
        Bar(
            "256 callers on one account: carrier calls per 80 ms and worker",
            1, median(calls) * DELAY_S / WORKERS, detail=f"{summary(calls)} calls/s",
        ),
        Bar(
            "the same: requests/s against `by-hand`",
            3, ratio(found["ours"].rates, found["by-hand"].rates), least=True, detail=_said(found),
        ),
        Bar(
            "the same with WEB_THREADS=64, by-hand at its 32",
            3, ratio(found["ours with WEB_THREADS=64"].rates, found["by-hand"].rates), least=True,
        ),
    ]  # fmt: skip
