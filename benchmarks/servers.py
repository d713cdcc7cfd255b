"""Ours, the baselines and the carrier, as real processes on free ports of 127.0.0.1."""

import atexit
import json
import os
import runpy
import signal
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
from unittest.mock import patch

import certifi
import requests

from benchmarks.load import APP_ID, FIRST_PORTAL, SECRET, signed
from tests.support.server import ROOT, environ, free_port, procfile

PARENT_SID = "AC" + "f" * 32
TOKEN = "a-token-of-benchmarks"
WORKERS = 2
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True)
class Running:
    """A server that is up, and the seconds from the start of its process to its first answer."""

    url: str
    process: "subprocess.Popen[bytes]"
    started_in_s: float

    def pss_mb(self) -> float:
        """The memory of master and workers in MB, what they share counted once."""
        pids = [self.process.pid, *_children(self.process.pid)]
        return sum(_pss_kib(pid) for pid in pids) / 1024

    def cpu_s(self) -> float:
        """Processor time of the workers so far."""
        return sum(_cpu_s(pid) for pid in _children(self.process.pid))


def sid(index: int) -> str:
    """The SID of account number `index`."""
    return f"AC{index:032x}"


@contextmanager
def fixed() -> Iterator[Running]:
    """Ours, with a list of ten numbers in the directory: no carrier is asked.

    An account at Twilio, for nobody, sees to it that all is imported that is in a real deployment.
    """
    listed = ", ".join(
        f'{{ number = "+120255501{index:02}", name = "Line {index}" }}' for index in range(10)
    )
    text = (
        f'[accounts.desk]\nprovider = "static"\nnumbers = [{listed}]\n'
        f'[accounts.main]\nprovider = "twilio"\naccount_sid = "{sid(0)}"\nauth_token = "{TOKEN}"\n'
        f'[portals.{FIRST_PORTAL}]\naccounts = ["desk"]\n'
    )
    with _ours({"DIRECTORY_TOML": text}) as running:
        yield running


@contextmanager
def ours(carrier: str, accounts: int, **settings: str) -> Iterator[Running]:
    """Ours, with a portal for each account, all of them sub-accounts of one at Twilio."""
    tables = [
        f'[accounts.a{index}]\nprovider = "twilio"\naccount_sid = "{sid(index)}"\n'
        f'parent_account_sid = "{PARENT_SID}"\nauth_token = "{TOKEN}"\nbase_url = "{carrier}"\n'
        f'[portals.{FIRST_PORTAL + index}]\naccounts = ["a{index}"]\n'
        for index in range(accounts)
    ]
    with _ours({"DIRECTORY_TOML": "".join(tables), **settings}) as running:
        yield running


@contextmanager
def _ours(settings: Mapping[str, str]) -> Iterator[Running]:
    given = {"HUBSPOT_CLIENT_SECRET": SECRET, "HUBSPOT_APP_ID": str(APP_ID), **settings}
    with _gunicorn(procfile(), given) as running:
        yield running


@contextmanager
def bare() -> Iterator[Running]:
    """The baseline `bare`."""
    with _baseline("benchmarks.bare:app", {}) as running:
        yield running


@contextmanager
def least() -> Iterator[Running]:
    """`least.py`."""
    with _baseline("benchmarks.least:app", {"LEAST_SECRET": SECRET}) as running:
        yield running


@contextmanager
def by_hand(carrier: str, accounts: int, **settings: str) -> Iterator[Running]:
    """The baseline `by-hand`, with the same accounts as `ours`."""
    sids = {FIRST_PORTAL + index: sid(index) for index in range(accounts)}
    given = {
        "BY_HAND_SECRET": SECRET,
        "BY_HAND_SID": PARENT_SID,
        "BY_HAND_TOKEN": TOKEN,
        "BY_HAND_CARRIER": carrier,
        "BY_HAND_ACCOUNTS": json.dumps(sids),
        **settings,
    }
    with _baseline("benchmarks.by_hand:app", given) as running:
        yield running


@contextmanager
def _baseline(app: str, settings: Mapping[str, str]) -> Iterator[Running]:
    with tempfile.NamedTemporaryFile("w", suffix=".py") as conf:
        conf.write(_plain_configuration(settings))
        conf.flush()
        with _gunicorn(["gunicorn", "--config", conf.name, app], settings) as running:
            yield running


def _plain_configuration(settings: Mapping[str, str]) -> str:
    """gunicorn.conf.py's values alone: the baselines start without a line of our code."""
    needed = {"HUBSPOT_CLIENT_SECRET": SECRET, "PROVIDER": "static", "STATIC_NUMBERS": "[]"}
    with patch.dict(os.environ, environ({**needed, "HUBSPOT_PORTAL_IDS": "1", **settings})):
        values = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    plain = {
        name: value
        for name, value in values.items()
        if not name.startswith("_") and isinstance(value, int | float | str) and name != "bind"
    }
    return "".join(f"{name} = {value!r}\n" for name, value in plain.items())


@contextmanager
def _gunicorn(command: list[str], settings: Mapping[str, str]) -> Iterator[Running]:
    port = free_port()
    given = environ({"PORT": str(port), "WEB_CONCURRENCY": str(WORKERS), **settings})
    given = {name: value for name, value in given.items() if name.lower() not in PROXIES}
    given |= {"PYTHONPATH": str(ROOT), "REQUESTS_CA_BUNDLE": trusted()}
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)
        try:
            _wait(process, port)
            yield Running(url, process, time.perf_counter() - started)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode()[-2000:])
            raise
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once the server has answered the webhook's route, whatever it says."""
    url = f"http://127.0.0.1:{port}"
    wire = signed(url, 1, first=-1)[0].wire
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(wire)
                if connection.recv(1):
                    return
        except OSError:
            time.sleep(0.002)
    raise RuntimeError("the server did not start")


@cache
def _folder() -> Path:
    """A folder that is removed at the end."""
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    return Path(made.name)


@cache
def certificate() -> str:
    """The file of the carrier's key and certificate, made for this run."""
    made = _folder() / "carrier.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-days", "2", "-subj", "/CN=carrier",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made, "-out", made],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return str(made)


@cache
def trusted() -> str:
    """The certificates that everybody trusts by default, and the carrier's: as many as usual."""
    made = _folder() / "trusted.pem"
    made.write_text(Path(certifi.where()).read_text() + Path(certificate()).read_text())
    return str(made)


@dataclass(frozen=True)
class Carrier:
    """The carrier's process, and what it is told and asked."""

    url: str

    def calls(self) -> int:
        """Pages asked for so far."""
        answer: dict[str, int] = requests.get(
            f"{self.url}/calls", timeout=10, verify=trusted()
        ).json()
        return answer["calls"]

    def hang(self, *sids: str) -> None:
        """Let these accounts hang and no others; `*` is all of them."""
        requests.get(f"{self.url}/hang?{','.join(sids)}", timeout=10, verify=trusted())


@contextmanager
def carrier(delay_s: float = 0.08, numbers: int = 10) -> Iterator[Carrier]:
    """A carrier whose accounts have so many numbers each, and which takes so long for a page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.carrier", str(delay_s), str(numbers), certificate()],
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


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _pss_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
