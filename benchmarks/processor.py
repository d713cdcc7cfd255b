"""What a live request costs the processor now, against the last commit before the rebuilding."""

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
ROUNDS = 7
REQUESTS = 400


def live_request() -> list[Bar]:
    """From the signed request to the carrier, by TLS, and back; no server of ours takes part."""
    name = f"processor time of a live request in process, against commit {BEFORE}"
    before = _checkout_of(BEFORE)
    if before is None:
        return [Bar(name, 0.40, None, detail=f"git or commit {BEFORE} is missing")]
    old, new = [], []
    with carrier(0) as theirs:
        for _ in range(ROUNDS):
            old.append(_request_us(before, theirs.url))
            new.append(_request_us(ROOT, theirs.url))
    detail = f"now {summary(new)}, then {summary(old)} µs"
    return [Bar(name, 0.40, ratio(new, old), detail=detail)]


def _checkout_of(commit: str) -> Path | None:
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


def _request_us(checkout: Path, carrier_url: str) -> float:
    script = ROOT / "benchmarks" / "in_process.py"
    ran = subprocess.run(
        [*on_server_core(), sys.executable, "-P", str(script), carrier_url, str(REQUESTS)],
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
