"""The load generator: many callers on kept-alive connections, in one asyncio process.

Answers are only looked at as far as a status and a length, so that the generator takes little of
the processors that it shares with the server.
"""

import asyncio
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers

SECRET = "a-secret-of-benchmarks"
APP_ID = 54321
FIRST_PORTAL = 70000


@dataclass(frozen=True)
class Ask:
    """A request as it goes over the wire, and what its answers are counted under."""

    label: str
    wire: bytes


def signed(url: str, portals: int, label: str = "", first: int = 0, user: int = 1001) -> list[Ask]:
    """One request a portal, signed now, thus good for five minutes."""
    asks = []
    for portal in range(FIRST_PORTAL + first, FIRST_PORTAL + first + portals):
        body = json.dumps({"appId": APP_ID, "portalId": portal, "userId": user}).encode()
        now_ms = time.time_ns() // 1_000_000
        headers = {
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **signed_headers("v3", SECRET, "POST", url + PATH, body, now_ms),
        }
        lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        asks.append(Ask(label, "\r\n".join([*lines, "", ""]).encode() + body))
    return asks


@dataclass
class Run:
    """What came of it, each under the label of what was asked. Times are in milliseconds."""

    seconds: float = 0.0
    times_ms: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    @property
    def answers(self) -> int:
        """How many there were."""
        return sum(map(len, self.times_ms.values()))

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    def percentile(self, percent: float, label: str = "") -> float:
        """The time within which so many in a hundred answers came."""
        times = sorted(self.times_ms[label])
        return times[min(len(times), math.ceil(len(times) * percent / 100)) - 1]

    def check(self, *expected: int) -> "Run":
        """Itself, if every answer had an expected status (200 if none is given)."""
        for label, statuses in self.statuses.items():
            if set(statuses) - set(expected or (200,)):
                raise RuntimeError(f"unexpected statuses: {label} {dict(statuses)}")
        return self


class _Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.missing: int | None = None
        self.status = 0
        self.done: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def send(self, wire: bytes) -> "asyncio.Future[int]":
        """The answer's status, to be waited for. 0: the connection broke."""
        self.done = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            self.done.set_result(0)
        else:
            self.transport.write(wire)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.missing is None:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.received[:end]).lower()
            self.status = int(head[9:12])
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self.missing = end + 4 + int(length)
        if len(self.received) >= self.missing:
            self.received.clear()
            self.missing = None
            self.finish(self.status)

    def connection_lost(self, error: Exception | None) -> None:
        self.finish(0)

    def finish(self, status: int) -> None:
        if self.done and not self.done.done():
            self.done.set_result(status)


async def _connect(url: str) -> _Caller:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(_Caller, parts.hostname or "", parts.port or 80)
    return caller


def closed_loop(url: str, asks: Sequence[Ask], callers: int, seconds: float) -> Run:
    """`callers` at a time, each asking anew once it has its answer."""
    return asyncio.run(_closed_loop(url, itertools.cycle(asks), callers, seconds))


def count_loop(
    url: str,
    asks: Sequence[Ask],
    callers: int,
    count: int,
    halfway: Callable[[], None] = lambda: None,
) -> Run:
    """The same, until `count` requests have been answered; calls `halfway` after half of them."""

    def following() -> Iterator[Ask]:
        for index, ask in enumerate(itertools.islice(itertools.cycle(asks), count)):
            if index == count // 2:
                halfway()
            yield ask

    return asyncio.run(_closed_loop(url, following(), callers, 600))


async def _closed_loop(url: str, following: Iterator[Ask], callers: int, seconds: float) -> Run:
    run = Run()
    connected = await asyncio.gather(*(_connect(url) for _ in range(callers)))
    started = time.perf_counter()
    until = started + seconds

    async def call(caller: _Caller) -> None:
        for ask in following:
            sent = time.perf_counter()
            if sent >= until:
                break
            status = await caller.send(ask.wire)
            _note(run, ask, status, time.perf_counter() - sent)
            if not status:
                caller = await _connect(url)
        caller.transport.abort()

    await asyncio.gather(*map(call, connected))
    run.seconds = time.perf_counter() - started
    return run


def open_loop(url: str, asks: Sequence[Ask], per_second: float, seconds: float) -> Run:
    """Requests at a fixed rate, however long the answers take; times count from when one was due.

    This is what callers do who know nothing of each other: they do not wait for a slow answer to
    another.
    """
    return asyncio.run(_open_loop(url, asks, per_second, seconds))


def at_once(url: str, asks: Sequence[Ask]) -> Run:
    """All of them in the same moment, each on a connection of its own; returns with the last."""
    return asyncio.run(_at_once(url, asks))


async def _at_once(url: str, asks: Sequence[Ask]) -> Run:
    run = Run()
    connected = await asyncio.gather(*(_connect(url) for _ in asks))
    started = time.perf_counter()

    async def call(caller: _Caller, ask: Ask) -> None:
        status = await caller.send(ask.wire)
        _note(run, ask, status, time.perf_counter() - started)
        caller.transport.abort()

    await asyncio.gather(*map(call, connected, asks))
    run.seconds = time.perf_counter() - started
    return run


async def _open_loop(url: str, asks: Sequence[Ask], per_second: float, seconds: float) -> Run:
    run = Run()
    idle = list(await asyncio.gather(*(_connect(url) for _ in range(32))))
    started = time.perf_counter()

    async def call(ask: Ask, due: float) -> None:
        while idle and idle[-1].transport.is_closing():  # nobody used it for too long
            idle.pop()
        caller = idle.pop() if idle else await _connect(url)
        status = await caller.send(ask.wire)
        _note(run, ask, status, time.perf_counter() - due)
        if status:
            idle.append(caller)

    tasks = []
    for index, ask in enumerate(itertools.cycle(asks)):
        due = started + index / per_second
        if due >= started + seconds:
            break
        await asyncio.sleep(due - time.perf_counter())
        tasks.append(asyncio.create_task(call(ask, due)))
    await asyncio.gather(*tasks)
    run.seconds = time.perf_counter() - started
    for caller in idle:
        caller.transport.abort()
    return run


def _note(run: Run, ask: Ask, status: int, took_s: float) -> None:
    run.statuses.setdefault(ask.label, Counter())[status] += 1
    run.times_ms.setdefault(ask.label, []).append(took_s * 1000)
