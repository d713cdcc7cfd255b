"""PostgreSQL and Redis stopped, hanging or emptied while portals are asked."""

import threading
from collections.abc import Callable

from benchmarks.bars import Bar
from benchmarks.load import Ask, count_loop, open_loop, signed
from benchmarks.portals import filled
from benchmarks.servers import Running, carrier, ours, sid, with_settings
from tests.support.postgres import postgres_to_stop
from tests.support.valkey import valkey_to_stop

BUSY, IDLE = 50, 250
"""Portals that are asked once a second, and those whose turn comes every five seconds: later than
what was read of them is taken for granted."""

RATE = 100
"""Requests a second: half of them for busy portals."""

WELL_S, AWAY_S = 20.0, 60.0
FAILING, SHARED = 20, 100
"""Accounts that hang while Redis is away, of so many."""

CARRIER_S = 0.04


def postgres_away() -> list[Bar]:
    """Portals that are known, with the database well and away."""
    bars = []
    for what in ("stopped", "hanging"):
        with postgres_to_stop() as database, carrier(CARRIER_S) as theirs:
            settings = filled(database.url, theirs.url, BUSY + IDLE)
            with with_settings(settings) as server:
                count_loop(server.url, signed(server.url, BUSY + IDLE), 8, BUSY + IDLE).check()
                well = open_loop(server.url, _busy_and_idle(server), RATE, WELL_S).check()
                (database.stop if what == "stopped" else database.hang)()
                away = open_loop(server.url, _busy_and_idle(server), RATE, AWAY_S)
                if what == "hanging":
                    database.go_on()
        p99 = away.percentile(99), well.percentile(99)
        bars += [
            Bar(
                f"PostgreSQL {what} for {AWAY_S:.0f} s: known portals' p99 against before",
                1.5, p99[0] / p99[1],
                detail=f"p99 {p99[0]:.1f} and {p99[1]:.1f}, most {max(away.times_ms['']):,.0f} and"
                f" {max(well.times_ms['']):,.0f} ms",
            ),
            Bar("the same: requests that failed", 0, away.answers - away.statuses[""][200],
                detail=f"statuses {dict(away.statuses[''])}"),
        ]  # fmt: skip
    return bars


def redis_away() -> list[Bar]:
    """A fifth of the accounts hang, so that Redis is asked for what others know."""
    bars = []
    with valkey_to_stop() as redis, carrier(CARRIER_S) as theirs:
        settings = {"REDIS_URL": redis.url, "WEB_CONCURRENCY": "2"}
        with ours(theirs.url, SHARED, **settings) as server:
            asks = signed(server.url, SHARED)
            open_loop(server.url, asks, RATE, 5).check()
            theirs.hang(*(sid(index) for index in range(FAILING)))
            outages: dict[str, Callable[[], object]] = {
                "is emptied": lambda: redis.client().flushdb(),
                "hangs": redis.hang,
                "goes on": redis.go_on,
                "is stopped": redis.stop,
                "is there again": redis.start,
            }
            for what, outage in outages.items():
                threading.Timer(2, outage).start()
                run = open_loop(server.url, signed(server.url, SHARED), RATE, 15)
                statuses = dict(run.statuses[""])
                bars.append(
                    Bar(
                        f"Redis {what} under load: requests that failed",
                        0, run.answers - statuses.get(200, 0),
                        detail=f"statuses {statuses}, p99 {run.percentile(99):.0f} ms",
                    )
                )  # fmt: skip
    return bars


def _busy_and_idle(server: Running) -> list[Ask]:
    """Each busy portal five times, each other one once."""
    busy, idle = signed(server.url, BUSY), signed(server.url, IDLE, first=BUSY)
    return [ask for index in range(IDLE) for ask in (busy[index % BUSY], idle[index])]
