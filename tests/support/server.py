"""The real server, as the Procfile starts it, on a free port."""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from msgspec.structs import fields

import providers
from helpdesk_numbers.settings import Settings

ROOT = Path(__file__).parent.parent.parent
OURS = ("GUNICORN_", *map(providers.prefix, providers.BUILT_IN))
SETTINGS = {field.name.upper() for field in fields(Settings)}


@dataclass(frozen=True)
class Server:
    """A running server: its URL, its process, and the file that it writes to."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def output(self) -> str:
        """All that it has written so far. A worker's lines come a moment later."""
        text, before = self.log.read_text(), None
        while text != before:
            time.sleep(0.1)
            text, before = self.log.read_text(), text
        return text


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environ(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without the service's own variables, and `settings`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS) and k not in SETTINGS}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, **settings}


def procfile() -> list[str]:
    """The Procfile's web process."""
    return shlex.split((ROOT / "Procfile").read_text().partition("web:")[2])


@contextmanager
def serving(settings: Mapping[str, str], descriptors: int | None = None) -> Iterator[Server]:
    """The service, up and answering, and stopped with SIGTERM afterwards.

    `descriptors`: so many files and sockets are all that each of its processes may have.

    It has one worker unless told otherwise: another might still be starting when the first answers,
    and miss the SIGTERM.
    """
    command = procfile()
    if descriptors:
        command = ["sh", "-c", f"ulimit -n {descriptors} && exec {shlex.join(command)}"]
    with started(command, {"WEB_CONCURRENCY": "1", **settings}) as server:
        _wait_until_up(server)
        yield server


@contextmanager
def started(command: list[str], settings: Mapping[str, str]) -> Iterator[Server]:
    """A server that starts on a free port (`PORT`), and is stopped with SIGTERM afterwards."""
    port = int(settings.get("PORT") or free_port())
    with tempfile.NamedTemporaryFile("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ({"PORT": str(port), **settings}),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Server(f"http://127.0.0.1:{port}", process, Path(log.name))
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(timeout=30)


def _wait_until_up(server: Server) -> None:
    for _ in range(1500):
        if server.process.poll() is not None:
            break
        try:
            if requests.get(f"{server.url}/healthz", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.02)
    raise RuntimeError(f"the server did not start:\n{server.output()}")
