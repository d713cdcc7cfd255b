"""What a live request costs the processor now, and a start, against earlier commits."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.bars import Bar, ratio, summary
from benchmarks.servers import PROXIES, carrier, on_server_core, scratch, trusted
from tests.support.server import ROOT

BEFORE = "f7c104e"
"""The last before the rebuilding."""

WITHOUT_USERS = "e5173ee"
"""The last that asked nobody who a user is."""

ROUNDS = 7
REQUESTS = 400


def live_request() -> list[Bar]:
    """From the signed request to the carrier, by TLS, and back; no server of ours takes part."""
    name = f"processor time of a live request in process, against commit {BEFORE}"
    before = checkout_of(BEFORE)
    if before is None:
        return [Bar(name, 0.40, None, detail=f"git or commit {BEFORE} is missing")]
    old, new = [], []
    with carrier(0) as theirs:
        for _ in range(ROUNDS):
            old.append(_request_us(before, theirs.url))
            new.append(_request_us(ROOT, theirs.url))
    detail = f"now {summary(new)}, then {summary(old)} µs"
    return [Bar(name, 0.40, ratio(new, old), detail=detail)]


def without_users() -> list[Bar]:
    """A portal whose rules do not depend on who is asking, against a commit without such rules."""
    name = f"no rule needs HubSpot: requests for a second of processor time against {WITHOUT_USERS}"
    start = "the same: start of the app"
    before = checkout_of(WITHOUT_USERS)
    if before is None:
        missing = f"git or commit {WITHOUT_USERS} is missing"
        return [Bar(each, 0.98, None, least=True, detail=missing) for each in (name, start)]
    old, new, old_start, new_start = [], [], [], []
    with carrier(0) as theirs:
        for _ in range(2 * ROUNDS):
            old.append(_request_us(before, theirs.url))
            new.append(_request_us(ROOT, theirs.url))
            old_start.append(_request_us(before, theirs.url, 0))
            new_start.append(_request_us(ROOT, theirs.url, 0))
    requests = f"now {summary(new)}, then {summary(old)} µs"
    starts = f"now {summary(new_start)}, then {summary(old_start)} ms of processor time"
    return [
        Bar(name, 0.98, ratio(old, new), least=True, detail=requests),
        Bar(start, 0.98, ratio(old_start, new_start), least=True, detail=starts),
    ]


def checkout_of(commit: str) -> Path | None:
    """That commit's files in a folder, or None if they cannot be had."""
    command = ["git", "archive", "--format=tar", commit]
    try:
        archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    folder = scratch() / commit
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def _request_us(checkout: Path, carrier_url: str, count: int = REQUESTS) -> float:
    """Microseconds for a request; of 0 requests, the milliseconds that the app takes to start."""
    script = ROOT / "benchmarks" / "in_process.py"
    ran = subprocess.run(
        [*on_server_core(), sys.executable, "-P", str(script), carrier_url, str(count)],
        cwd=checkout,
        env={
            **os.environ,
            **PROXIES,
            "PYTHONPATH": str(checkout),
            "REQUESTS_CA_BUNDLE": trusted(),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # its log
        text=True,
        check=True,
    )
    return float(ran.stdout)
