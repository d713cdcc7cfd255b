"""What a deployment feels, and a reader: the time to start, memory, and the length of the code."""

from pathlib import Path

from benchmarks.bars import Bar, ratio, summary
from benchmarks.baselines import bare
from benchmarks.load import count_loop, signed
from benchmarks.servers import carrier, fixed, ours
from tests.support.server import ROOT

ROUNDS = 7
REQUESTS = 10_000


def start() -> list[Bar]:
    """From the start of the process to the first answered request, Twilio's client included."""
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS):
        for name, begin in (("ours", fixed), ("bare", bare)):
            with begin() as server:
                times[name].append(server.started_in_s)
    return [
        Bar(
            "start of the process to the first answered request, against `bare`",
            1.7, ratio(times["ours"], times["bare"]),
            detail=f"ours {summary(times['ours'])}, bare {summary(times['bare'])} s",
        )
    ]  # fmt: skip


def memory() -> list[Bar]:
    """Master and two workers, what they share counted once (PSS)."""
    with carrier() as theirs, ours(theirs.url, 200, WEB_CONCURRENCY="2") as server:
        at_start = server.pss_mb()
        halves: list[float] = []
        asks = signed(server.url, 200)
        run = count_loop(server.url, asks, 64, REQUESTS, lambda: halves.append(server.pss_mb()))
        run.check()
        (half,), full = halves, server.pss_mb()
    detail = f"{at_start:.1f} MB at the start, {half:.1f} after {REQUESTS // 2:,} requests"
    return [
        Bar(
            f"memory of master and two workers after {REQUESTS:,} requests (PSS)",
            85, full, "MB", detail=detail,
        ),
        Bar(f"growth over the last {REQUESTS // 2:,}", 2, full - half, "MB"),
    ]  # fmt: skip


def product_lines() -> list[Bar]:
    """All of the code that is deployed: no tests, benchmarks, docs or kit for tests."""
    files = [ROOT / "app.py", ROOT / "gunicorn.conf.py"]
    for folder in ("helpdesk_numbers", "hubspot", "providers"):
        files += (ROOT / folder).rglob("*.py")
    lengths = {
        path.relative_to(ROOT): len(path.read_text("utf-8").splitlines())
        for path in files
        if not path.is_relative_to(ROOT / "providers" / "testing")
    }
    lookup = {p: n for p, n in lengths.items() if p.is_relative_to("helpdesk_numbers/lookup")}
    return [
        Bar("product lines", 6_300, sum(lengths.values()), detail=f"{len(lengths)} files"),
        Bar("the longest file", 300, max(lengths.values()), detail=_longest(lengths, 300)),
        Bar("the longest in lookup/", 160, max(lookup.values()), detail=_longest(lookup, 160)),
    ]


def _longest(lengths: dict[Path, int], limit: int) -> str:
    """The files above the limit, or the longest."""
    above = sorted(lengths, key=lambda path: -lengths[path])
    shown = [path for path in above if lengths[path] > limit] or above[:1]
    return ", ".join(f"{path} {lengths[path]}" for path in shown)
