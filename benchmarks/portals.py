"""Portals in a database: what many of them cost, against a file and against having no database."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.bars import Bar, difference, ratio, summary
from benchmarks.load import APP_ID, FIRST_PORTAL, SECRET, count_loop, signed
from benchmarks.processor import WITHOUT_USERS, checkout_of
from benchmarks.servers import (
    PARENT_SID,
    TOKEN,
    Running,
    carrier,
    directory,
    fixed,
    fixed_directory,
    running,
    scratch,
    sid,
    with_settings,
)
from benchmarks.throughput import in_turn
from helpdesk_numbers.database import rows, schema
from helpdesk_numbers.database.encryption import Encryption
from helpdesk_numbers.database.engine import connect
from tests.support.postgres import KEY, new_database, postgres
from tests.support.server import ROOT, environ, procfile

FEW, MANY, ASKED = 10, 100_000, 10_000
IN_FILE, FRESH = 5_000, 200
"""Portals of the file that the first time is compared with; those asked in a round."""

ROUNDS = 7


def many_portals() -> list[Bar]:
    """A hundred thousand portals and accounts against ten, and against a file."""
    with postgres() as url, carrier(0) as theirs:
        few = filled(new_database(url, "few"), theirs.url, FEW)
        many = filled(new_database(url, "many"), theirs.url, MANY)
        starts: dict[str, list[float]] = {"few": [], "many": []}
        for _ in range(ROUNDS):
            for name, settings in (("few", few), ("many", many)):
                with with_settings(settings) as server:
                    starts[name].append(server.started_in_s)
        with with_settings(many) as server:
            sizes = [_size_after(server, first, ASKED) for first in (MANY - 100, 0, ASKED)]
        in_file = {"DIRECTORY": _written(directory(theirs.url, IN_FILE))}
        with with_settings(many) as database, with_settings(in_file) as file:
            for server in (database, file):
                count_loop(server.url, signed(server.url, FRESH), 1, FRESH).check()
            times: dict[str, list[float]] = {"database": [], "file": []}
            for index in range(1, ROUNDS + 1):
                for name, server in (("database", database), ("file", file)):
                    asks = signed(server.url, FRESH, first=index * FRESH)
                    times[name].append(
                        count_loop(server.url, asks, 1, FRESH).check().percentile(50)
                    )
    return [
        Bar(
            f"{MANY:,} portals in PostgreSQL: start to the first answer against {FEW}",
            1.2, ratio(starts["many"], starts["few"]),
            detail=f"{summary(starts['many'])} and {summary(starts['few'])} s",
        ),
        Bar(
            f"the same: a worker's growth by {ASKED:,} of them asked",
            60, sizes[1] - sizes[0], "MB",
            detail=f"{sizes[0]:.1f} MB of master and worker after 100 of them",
        ),
        Bar(f"the same: by {ASKED:,} more", 5, sizes[2] - sizes[1], "MB"),
        Bar(
            "the same: a portal asked for the first time, median above a file's",
            6, difference(times["database"], times["file"]), "ms",
            detail=f"{summary(times['database'])} and {summary(times['file'])} ms",
        ),
    ]  # fmt: skip


def fixed_list_in_database() -> list[Bar]:
    """A warm portal, whose numbers are in the directory."""
    with postgres() as url:
        settings = settings_for(new_database(url, "fixed"))
        flask(settings, "directory", "import", _written(fixed_directory()), "--apply")
        with with_settings(settings) as database, fixed() as file:
            measured = in_turn({"database": database, "file": file}, 1, 16)
    rates = {name: own.rates for name, own in measured.items()}
    return [
        Bar(
            "fixed list, portal in the database: requests/s against the file",
            0.95, ratio(rates["database"], rates["file"]), least=True,
            detail=f"{summary(rates['database'])} and {summary(rates['file'])} requests/s",
        )
    ]  # fmt: skip


def import_and_export() -> list[Bar]:
    """Ten thousand portals and accounts by the commands, in and out and in again."""
    text = _written(directory("https://127.0.0.1:1", 10_000))
    imports, exports, wrong = list[float](), list[float](), 0
    with postgres() as url:
        for index in range(3):
            settings = settings_for(new_database(url, f"in{index}"))
            began = time.perf_counter()
            flask(settings, "directory", "import", text, "--apply")
            imports.append(time.perf_counter() - began)
            began = time.perf_counter()
            out = flask(settings, "directory", "export", "--with-secrets")
            exports.append(time.perf_counter() - began)
            said = flask(settings, "directory", "import", _written(out))
            wrong += said.strip() != "Nothing to change."
    return [
        Bar("import of 10,000 portals and accounts", 20, median(imports), "s",
            detail=summary(imports, "s")),
        Bar("export of them", 5, median(exports), "s", detail=summary(exports, "s")),
        Bar("the same: round trips that changed anything", 0, wrong),
    ]  # fmt: skip


def without_database() -> list[Bar]:
    """Where there is none, against a commit that knew none: it costs nothing."""
    names = (
        f"without a database: requests/s against {WITHOUT_USERS}",
        "the same: memory",
        "the same: start to the first answer",
    )
    checkout = checkout_of(WITHOUT_USERS)
    if checkout is None:
        missing = f"git or commit {WITHOUT_USERS} is missing"
        return [Bar(name, 1, None, detail=missing) for name in names]
    starts: dict[str, list[float]] = {"before": [], "now": []}
    for _ in range(2 * ROUNDS):
        for name in starts:
            with fixed() if name == "now" else _fixed_of(checkout) as server:
                starts[name].append(server.started_in_s)
    sizes: dict[str, list[float]] = {"before": [], "now": []}
    with fixed() as now, _fixed_of(checkout) as before:
        measured = in_turn({"now": now, "before": before}, 1, 16)
        sizes["now"].append(now.pss_mb())
        sizes["before"].append(before.pss_mb())
    rates = {name: own.rates for name, own in measured.items()}
    of = (
        (0.98, rates, True, "requests/s"),
        (1.02, sizes, False, "MB"),
        (1.02, starts, False, "s"),
    )
    return [
        Bar(name, limit, ratio(found["now"], found["before"]), least=least,
            detail=f"{summary(found['now'])} and {summary(found['before'])} {unit}")
        for name, (limit, found, least, unit) in zip(names, of, strict=True)
    ]  # fmt: skip


@contextmanager
def _fixed_of(checkout: Path) -> Iterator[Running]:
    """What `fixed` is, of another checkout."""
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_APP_ID": str(APP_ID),
        "DIRECTORY_TOML": fixed_directory(),
        "PYTHONPATH": str(checkout),
    }
    with running(["env", "-C", str(checkout), *procfile()], settings) as server:
        yield server


def _size_after(server: Running, first: int, count: int) -> float:
    """The memory of it once so many portals more were asked for."""
    count = min(count, MANY - first)
    count_loop(server.url, signed(server.url, count, first=first), 16, count).check()
    return server.pss_mb()


def settings_for(url: str) -> dict[str, str]:
    """The settings for a database."""
    return {"DATABASE_URL": url, "ENCRYPTION_KEYS": KEY}


def filled(url: str, carrier_url: str, count: int) -> dict[str, str]:
    """The settings for a database with so many portals, each with its account at Twilio."""
    engine, encryption = connect(url), Encryption([KEY])
    schema.upgrade(engine)
    accounts = {
        f"a{index}": {
            "provider": "twilio",
            "account_sid": sid(index),
            "parent_account_sid": PARENT_SID,
            "auth_token": TOKEN,
            "base_url": carrier_url,
        }
        for index in range(count)
    }
    portals = {FIRST_PORTAL + index: {"accounts": [f"a{index}"]} for index in range(count)}
    with engine.begin() as connection:
        rows.put_accounts(connection, encryption, accounts)
        rows.put_portals(connection, encryption, portals)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()
    return settings_for(url)


def _written(text: str) -> str:
    """The path of a file with this text."""
    path = scratch() / f"{time.monotonic_ns()}.toml"
    path.write_text(text)
    return str(path)


def flask(settings: dict[str, str], *arguments: str) -> str:
    """What the command said."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env=environ({"HUBSPOT_CLIENT_SECRET": SECRET, **settings}),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
