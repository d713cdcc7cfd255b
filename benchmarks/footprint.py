"""What a deployment feels: the time to start, and memory."""

from benchmarks.bars import Bar, ratio, summary
from benchmarks.load import count_loop, signed
from benchmarks.servers import bare, carrier, fixed, ours

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
            2.0, ratio(times["ours"], times["bare"]),
            detail=f"ours {summary(times['ours'])}, bare {summary(times['bare'])} s",
        )
    ]  # fmt: skip


def memory() -> list[Bar]:
    """Master and two workers, what they share counted once (PSS)."""
    with carrier() as theirs, ours(theirs.url, 200) as server:
        at_start = server.pss_mb()
        halves: list[float] = []
        asks = signed(server.url, 200)
        run = count_loop(server.url, asks, 64, REQUESTS, lambda: halves.append(server.pss_mb()))
        run.check()
        (half,), full = halves, server.pss_mb()
    detail = f"{at_start:.1f} MB at the start, {half:.1f} after {REQUESTS // 2:,} requests"
    return [
        Bar(f"memory after {REQUESTS:,} requests (PSS)", 110, full, "MB", detail=detail),
        Bar(f"growth over the last {REQUESTS // 2:,}", 2, full - half, "MB"),
    ]
