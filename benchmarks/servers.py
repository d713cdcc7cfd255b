"""Ours and the carrier, as real processes on free ports of 127.0.0.1, each on the core it has."""

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import certifi
import requests

from benchmarks.load import APP_ID, FIRST_PORTAL, SECRET, signed
from tests.support.server import ROOT, Server, procfile, started

PARENT_SID = "AC" + "f" * 32
TOKEN = "a-token-of-benchmarks"
DELAY_S = 0.08
"""What the carrier takes for a page, unless told otherwise."""

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
"""Servers have the one; this process, which makes the load, and the carrier have the other."""

PROXIES = {name: "" for word in ("http", "https", "all", "no")
           for name in (f"{word}_proxy", f"{word}_proxy".upper())}  # fmt: skip


@dataclass(frozen=True)
class Running(Server):
    """A server that is up, and the seconds from the start of its process to its first answer."""

    started_in_s: float

    def pss_mb(self) -> float:
        """The memory of all its processes in MB, what they share counted once."""
        pids = [self.process.pid, *children(self.process.pid)]
        return sum(_pss_kib(pid) for pid in pids) / 1024

    def cpu_s(self) -> float:
        """Processor time so far of its workers, or of itself where it has none."""
        return sum(_cpu_s(pid) for pid in children(self.process.pid) or [self.process.pid])


def sid(index: int) -> str:
    """The SID of account number `index`."""
    return f"AC{index:032x}"


def fixed_directory() -> str:
    """A directory with a list of ten numbers: no carrier is asked.

    An account at Twilio, for nobody, sees to it that all is imported that is in a real deployment.
    """
    listed = ", ".join(
        f'{{ number = "+120255501{index:02}", name = "Line {index}" }}' for index in range(10)
    )
    return (
        f'[accounts.desk]\nprovider = "static"\nnumbers = [{listed}]\n'
        f'[accounts.main]\nprovider = "twilio"\naccount_sid = "{sid(0)}"\nauth_token = "{TOKEN}"\n'
        f'[portals.{FIRST_PORTAL}]\naccounts = ["desk"]\n'
    )


def directory(carrier: str, accounts: int) -> str:
    """A directory with a portal for each account, all of them sub-accounts of one at Twilio."""
    return "".join(
        f'[accounts.a{index}]\nprovider = "twilio"\naccount_sid = "{sid(index)}"\n'
        f'parent_account_sid = "{PARENT_SID}"\nauth_token = "{TOKEN}"\nbase_url = "{carrier}"\n'
        f'[portals.{FIRST_PORTAL + index}]\naccounts = ["a{index}"]\n'
        for index in range(accounts)
    )


@contextmanager
def fixed() -> Iterator[Running]:
    """Ours, with `fixed_directory`."""
    with with_settings({"DIRECTORY_TOML": fixed_directory()}) as server:
        yield server


@contextmanager
def ours(carrier: str, accounts: int, **settings: str) -> Iterator[Running]:
    """Ours, with a `directory` of so many accounts."""
    with with_settings({"DIRECTORY_TOML": directory(carrier, accounts), **settings}) as server:
        yield server


@contextmanager
def with_settings(settings: Mapping[str, str]) -> Iterator[Running]:
    """Ours, with these settings."""
    required = {"HUBSPOT_CLIENT_SECRET": SECRET, "HUBSPOT_APP_ID": str(APP_ID)}
    with running(procfile(), {**required, **settings}) as server:
        yield server


@contextmanager
def running(command: list[str], settings: Mapping[str, str]) -> Iterator[Running]:
    """A server on its core, up and answering; of one worker unless told otherwise."""
    trust = {"REQUESTS_CA_BUNDLE": trusted(), "NODE_EXTRA_CA_CERTS": certificate()}
    # Python keeps what it has compiled, as it does in a deployment, but not in the checkout.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(scratch() / "compiled")}
    own = {"PYTHONPATH": str(ROOT), "WEB_CONCURRENCY": "1"}
    environ = {**PROXIES, **trust, **compiled, **own, **settings}
    began = time.perf_counter()
    with started([*on_server_core(), *command], environ) as server:
        try:
            _wait_until_up(server)
            took_s = time.perf_counter() - began
            yield Running(server.url, server.process, server.log, took_s)
        except BaseException:
            sys.stderr.write(server.output()[-2000:])
            raise


def on_server_core() -> list[str]:
    """What to put before a command that is to run on the servers' core."""
    return ["taskset", "--cpu-list", str(SERVER_CORE)]


def _wait_until_up(server: Server) -> None:
    """Return once the server has answered the webhook's route, whatever it says."""
    wire = signed(server.url, 1, first=-1)[0].wire
    port = int(server.url.rpartition(":")[2])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(wire)
                if connection.recv(1):
                    return
        except OSError:
            time.sleep(0.002)
    raise RuntimeError("the server did not start")


@cache
def scratch() -> Path:
    """A folder that is removed at the end."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def certificate() -> str:
    """The file of the carrier's key and certificate, made for this run."""
    path = scratch() / "carrier.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-days", "2", "-subj", "/CN=carrier",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", path],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return str(path)


@cache
def trusted() -> str:
    """The certificates that everybody trusts by default, and the carrier's: as many as usual."""
    path = scratch() / "trusted.pem"
    path.write_text(Path(certifi.where()).read_text() + Path(certificate()).read_text())
    return str(path)


@dataclass(frozen=True)
class Carrier:
    """The carrier's process, and what it is told and asked."""

    url: str

    def calls(self) -> int:
        """Pages asked for so far."""
        answer: dict[str, int] = self._get("/calls").json()
        return answer["calls"]

    def hang(self, *sids: str) -> None:
        """Let these accounts hang and no others; `*` is all of them."""
        self._get(f"/hang?{','.join(sids)}")

    def _get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=10, verify=trusted())


@contextmanager
def carrier(delay_s: float = DELAY_S, numbers: int = 10) -> Iterator[Carrier]:
    """A carrier whose accounts have so many numbers each, and which takes so long for a page."""
    arguments = [str(delay_s), str(numbers), certificate()]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.carrier", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Carrier(json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def children(pid: int) -> list[int]:
    """The ids of its child processes: a server's workers."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _pss_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
