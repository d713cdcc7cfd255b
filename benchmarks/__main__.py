"""`make bench`: all benchmarks, the table of bars on the terminal and in RESULTS.md.

Names of benchmarks as arguments run these alone, and leave RESULTS.md as it is.
"""

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tabulate import tabulate

from benchmarks import failures, footprint, paging, throughput
from benchmarks.bars import Bar, Benchmark
from tests.support.server import ROOT

BENCHMARKS: tuple[Benchmark, ...] = (
    throughput.fixed_list,
    throughput.many_accounts,
    throughput.one_account,
    paging.large_account,
    failures.one_in_ten,
    failures.all_hang,
    footprint.start,
    footprint.memory,
)
PACKAGES = ("gunicorn", "flask", "werkzeug", "requests", "urllib3", "twilio", "phonenumbers")
COLUMNS = ("what", "bar", "measured", "")


def main(names: list[str]) -> int:
    """Run them; returns the exit status: 1 if a bar was missed."""
    chosen = [one for one in BENCHMARKS if not names or one.__name__ in names]
    if names and len(chosen) < len(names):
        print(f"benchmarks: {', '.join(one.__name__ for one in BENCHMARKS)}")
        return 2
    started = time.monotonic()
    bars: list[Bar] = []
    for benchmark in chosen:
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
    return 0 if all(bar.met for bar in bars) else 1


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

Machine: {_processor()}, {os.cpu_count()} cores shared with the load generator and the carrier,
{platform.system()} {platform.release()}. Python {platform.python_version()}; {packages}.
Commit: {_commit()}.
"""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")


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
