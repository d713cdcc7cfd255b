"""Requests a second and the time that we add to the carrier's own.

All servers of a comparison are up at the same time and asked in turn, a few seconds each, so that
whatever else the machine does disturbs them alike.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median

import requests

from benchmarks.bars import Bar, difference, ratio, summary
from benchmarks.baselines import Missing, bare, by_hand, express, least
from benchmarks.load import closed_loop, signed
from benchmarks.servers import DELAY_S, Carrier, Running, carrier, fixed, ours
from helpdesk_numbers.webhook import PATH

ROUNDS = 5
SECONDS = 2.0
ACCOUNTS = 200


@dataclass
class Measured:
    """One server's rounds."""

    rates: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)


def fixed_list() -> list[Bar]:
    """A list from the directory, against Flask's least, and what of it the task itself takes."""
    with fixed() as server, least() as task, bare() as other:
        measured = in_turn({"ours": server, "least": task, "bare": other}, 1, 16)
    mine, task_alone, baseline = (measured[name].rates for name in ("ours", "least", "bare"))
    return [
        Bar(
            "fixed list, signed: requests/s against `bare`",
            0.90, ratio(mine, baseline), least=True, detail=_rates(measured),
            instead=Bar("against `least`", 0.97, ratio(mine, task_alone), least=True),
        )
    ]  # fmt: skip


def many_accounts() -> list[Bar]:
    """Accounts at random: little to share but connections."""
    with carrier() as theirs, _with_peers(theirs, ACCOUNTS) as (servers, missing):
        _check_alike(servers)
        many = in_turn(servers, ACCOUNTS, 64)
        few = in_turn(servers, ACCOUNTS, 8)
    added = {name: [ms - DELAY_S * 1000 for ms in own.medians_ms] for name, own in few.items()}
    name = "the same at 8 callers: median above the carrier's 80 ms, less that of `express`"
    eight = difference(added["ours"], added["express"]) if not missing else None
    detail = "; ".join(f"{name} {summary(ms, 'ms')}" for name, ms in added.items())
    return [
        *_against_peers("carrier at 80 ms, 64 callers, 200 accounts", many, 1.1, 1.6, missing),
        Bar(name, 1, eight, "ms", detail=missing or detail),
    ]


def one_account() -> list[Bar]:
    """Everybody asks for the same account at once."""
    with (
        carrier() as theirs,
        _with_peers(theirs, 1, WEB_THREADS="256") as (servers, missing),
    ):
        measured = in_turn(servers, 1, 256, theirs)
    calls = measured["ours"].calls
    name = "256 callers on one account, WEB_THREADS=256"
    return [
        *_against_peers(name, measured, 1.5, 3, missing),
        Bar(
            "the same: carrier calls per 80 ms",
            1, median(calls) * DELAY_S, detail=f"{summary(calls)} calls/s",
        ),
    ]  # fmt: skip


@contextmanager
def _with_peers(
    theirs: Carrier, accounts: int, **settings: str
) -> Iterator[tuple[dict[str, Running], str]]:
    """Ours and who do the same as it, by name, and why `express` is not among them."""
    missing = ""
    with ExitStack() as stack:
        servers = {
            "ours": stack.enter_context(ours(theirs.url, accounts, **settings)),
            "by-hand": stack.enter_context(by_hand(theirs.url, accounts, **settings)),
        }
        try:
            plain = stack.enter_context(express(theirs.url, accounts))
            tuned = stack.enter_context(express(theirs.url, accounts, PEER_CONNECTIONS="256"))
            servers |= {"express": plain, "express-tuned": tuned}
        except Missing as reason:
            missing = str(reason)
        yield servers, missing


def _check_alike(servers: Mapping[str, Running]) -> None:
    """Raise unless all servers answer the same request with the same numbers."""
    answers = {}
    for name, server in servers.items():
        head, _, body = signed(server.url, 1)[0].wire.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        answers[name] = requests.post(server.url + PATH, body, headers=headers, timeout=10).json()
    if any(answer != answers["ours"] for answer in answers.values()):
        raise RuntimeError(f"the servers answer differently: {answers}")


def in_turn(
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


def _against_peers(
    name: str, measured: Mapping[str, Measured], express: float, by_hand: float, missing: str
) -> list[Bar]:
    """A bar for each peer; the last tells what each server reached."""
    bars = {"express": express, "express-tuned": express, "by-hand": by_hand}
    return [
        Bar(
            f"{name}: requests/s against `{peer}`",
            limit,
            ratio(measured["ours"].rates, measured[peer].rates) if peer in measured else None,
            least=True,
            detail=_rates(measured) if peer == "by-hand" else "" if peer in measured else missing,
        )
        for peer, limit in bars.items()
    ]


def _rates(measured: Mapping[str, Measured]) -> str:
    return "; ".join(
        f"{name} {summary(own.rates)} requests/s, {median(own.cpu_us):,.0f} µs of processor each"
        for name, own in measured.items()
    )
