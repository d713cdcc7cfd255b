"""Clients without any secret who would hold up a server, and what a caller notices of them.

    python -m tests.support.strangers [SECONDS]

runs the bar: all kinds, each alone and all at once, against two workers, and prints what happened.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tests.support.asking import SECRET, ask_server
from tests.support.server import Server, serving

Attack = Callable[[str, int], Coroutine[None, None, None]]

HEAD = (
    b"POST /hubspot/phone-numbers HTTP/1.1\r\nHost: x.example\r\nContent-Type: application/json\r\n"
)


@asynccontextmanager
async def connected(
    host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, cut off at the end."""
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def mute(host: str, port: int) -> None:
    """Connect, and say nothing."""
    async with connected(host, port) as (reader, _):
        await reader.read()


async def half_head(host: str, port: int) -> None:
    """Send a header a second, and never the last."""
    async with connected(host, port) as (_, writer):
        writer.write(HEAD)
        for number in range(1000):
            await asyncio.sleep(1)
            writer.write(b"X-Slow-%d: 1\r\n" % number)
            await writer.drain()


async def half_body(host: str, port: int) -> None:
    """Send a byte of the body a second, and never the last."""
    async with connected(host, port) as (_, writer):
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n{")
        for _ in range(1000):
            await asyncio.sleep(1)
            writer.write(b" ")
            await writer.drain()


async def lingering(host: str, port: int) -> None:
    """Ask for the connection to be closed, and keep our side open."""
    async with connected(host, port) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n")
        await reader.read()
        await asyncio.sleep(5)


async def never_reading(host: str, port: int) -> None:
    """Send requests without end, and read no answer."""
    async with connected(host, port) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined] # asyncio would read ahead
        while True:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x.example\r\n\r\n" * 100)
            await writer.drain()


async def endless_body(host: str, port: int) -> None:
    """Promise a terabyte, and go on sending it whatever the answer is."""
    async with connected(host, port) as (_, writer):
        writer.write(HEAD + b"Content-Length: 1000000000000\r\n\r\n")
        while True:
            await asyncio.sleep(0.5)
            writer.write(b"x" * 100)
            await writer.drain()


KINDS: Mapping[Attack, int] = {
    mute: 900,
    half_head: 300,
    half_body: 100,
    lingering: 80,
    never_reading: 80,
    endless_body: 200,
}
"""Each kind, and how many of it the bar has at once."""


@contextmanager
def attacking(server: Server, attacks: Mapping[Attack, int]) -> Iterator[None]:
    """Keep up so many of each attack; who is thrown out comes again."""
    port, stop = int(server.url.rpartition(":")[2]), threading.Event()

    async def again_and_again(attack: Attack) -> None:
        while not stop.is_set():
            with suppress(OSError):
                await attack("127.0.0.1", port)
            await asyncio.sleep(0.1)

    async def attack_all() -> None:
        tasks = [
            asyncio.create_task(again_and_again(attack))
            for attack, count in attacks.items()
            for _ in range(count)
        ]
        while not stop.is_set():
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(attack_all(),))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def times_beside(server: Server, seconds: float) -> list[tuple[int, float]]:
    """Status and seconds of a signed request each 0.3 s."""
    until, answers = time.monotonic() + seconds, []
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            status = ask_server(server.url).status_code
        except OSError:
            status = 0
        answers.append((status, time.monotonic() - began))
        time.sleep(max(0, 0.3 - answers[-1][1]))
    return answers


def descriptors(server: Server) -> int:
    """How many files and sockets all processes of the server have open."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in processes(server))


def threads(server: Server) -> int:
    """How many threads all processes of the server have."""
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in processes(server))


def processes(server: Server) -> list[int]:
    """The master's and the workers' ids."""
    master = server.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [master, *map(int, children)]


SETTINGS = {
    "HUBSPOT_CLIENT_SECRET": SECRET,
    "DIRECTORY": "examples/directory.toml",
    "WEB_CONCURRENCY": "2",
}


def main(seconds: float) -> None:
    """Run the bar."""
    rows: list[Mapping[Attack, int]] = [{attack: count} for attack, count in KINDS.items()]
    for attacks in [*rows, KINDS]:
        with serving(SETTINGS) as server:
            time.sleep(1)
            before = processes(server), descriptors(server), threads(server)
            with attacking(server, attacks):
                time.sleep(1)
                answers = times_beside(server, seconds)
            time.sleep(12)
            after = processes(server), descriptors(server), threads(server)
            names = " + ".join(f"{count} {attack.__name__}" for attack, count in attacks.items())
            failed = sum(status != 200 for status, _ in answers)
            slowest = max(took for _, took in answers)
            print(
                f"{names}: {len(answers)} requests, {failed} failed, slowest {slowest:.2f} s;"
                f" same processes: {before[0] == after[0]}; descriptors {before[1]} -> {after[1]},"
                f" threads {before[2]} -> {after[2]}",
                flush=True,
            )


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 60)
