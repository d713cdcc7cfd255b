"""`make bench`: all benchmarks, the table of bars on the terminal and in RESULTS.md.

Names of benchmarks as arguments run these alone, and leave RESULTS.md as it is.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tabulate import tabulate

from benchmarks import (
    away,
    edits,
    failures,
    footprint,
    paging,
    portals,
    processor,
    throughput,
    users,
)
from benchmarks.bars import Bar, Benchmark
from benchmarks.baselines import EXPRESS
from benchmarks.servers import LOAD_CORE, SERVER_CORE
from tests.support.server import ROOT

BENCHMARKS: tuple[Benchmark, ...] = (
    throughput.fixed_list,
    throughput.many_accounts,
    throughput.one_account,
    processor.live_request,
    processor.without_users,
    paging.large_account,
    paging.side_by_side,
    users.own_numbers,
    users.both_cold,
    users.hubspot_away,
    failures.one_in_ten,
    failures.all_hang,
    failures.slow_carrier,
    failures.hanging_portals,
    portals.many_portals,
    portals.fixed_list_in_database,
    portals.import_and_export,
    portals.without_database,
    edits.edits_in_force,
    away.postgres_away,
    away.redis_away,
    footprint.start,
    footprint.memory,
    footprint.product_lines,
)
PACKAGES = ("gunicorn", "flask", "werkzeug", "pycurl", "requests", "twilio", "phonenumbers")
COLUMNS = ("what", "bar", "measured", "")


def main(names: list[str]) -> int:
    """Run them; returns the exit status: 1 if a bar was missed."""
    known = [benchmark.__name__ for benchmark in BENCHMARKS]
    if set(names) - set(known):
        print(f"benchmarks: {', '.join(known)}")
        return 2
    os.sched_setaffinity(0, {LOAD_CORE})
    started = time.monotonic()
    bars: list[Bar] = []
    for benchmark in BENCHMARKS:
        if names and benchmark.__name__ not in names:
            continue
        print(f"{benchmark.__name__} ...", file=sys.stderr, flush=True)
        bars += benchmark()
    took_s = time.monotonic() - started
    table = tabulate([bar.row()[:4] for bar in bars], COLUMNS, disable_numparse=True)
    print(f"{table}\n\n{took_s / 60:.1f} minutes")
    for bar in bars:
        if bar.detail:
            print(f"- {bar.name}: {bar.detail}")
    if not names:
        (Path(__file__).parent / "RESULTS.md").write_text(report(bars, took_s), "utf-8")
    return 1 if any(bar.verdict == "MISSED" for bar in bars) else 0


def report(bars: list[Bar], took_s: float) -> str:
    """RESULTS.md."""
    rows = [bar.row() for bar in bars]
    table = tabulate([row[:4] for row in rows], COLUMNS, "github", disable_numparse=True)
    details = "\n".join(f"* {row[0]}: {row[4]}." for row in rows if row[4])
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"""# Results

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, in {took_s / 60:.1f} minutes. README.md
says how to read it.

{table}

Medians of the rounds, with the least and the most:

{details}

Machine: {_processor()}; the server on core {SERVER_CORE}, load generator and carrier on core
{LOAD_CORE}, of {os.cpu_count()}. {platform.system()} {platform.release()}. Python
{platform.python_version()}; {packages}; {_node()}.
Commit: {_commit()}.
"""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


def _node() -> str:
    """Node's version, and those of its packages that benchmarks/express pins."""
    if not shutil.which("node"):
        return "no Node"
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    pins = json.loads((EXPRESS / "package.json").read_text("utf-8"))["dependencies"]
    return ", ".join(f"{name} {pin}" for name, pin in {"Node": node.stdout.strip(), **pins}.items())


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "*.py") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
