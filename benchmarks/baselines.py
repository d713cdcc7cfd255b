"""What ours is measured against, started alike: `bare`, `least`, `by-hand` and `express`."""

import json
import os
import runpy
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

from benchmarks.load import FIRST_PORTAL, SECRET
from benchmarks.servers import PARENT_SID, TOKEN, Running, running, sid
from tests.support.server import ROOT, environ

EXPRESS = ROOT / "benchmarks" / "express"


class Missing(Exception):
    """Something that a baseline needs is not on this machine; the text says what."""


@contextmanager
def bare() -> Iterator[Running]:
    """The baseline `bare`."""
    with _gunicorn("benchmarks.bare:app", {}) as server:
        yield server


@contextmanager
def least() -> Iterator[Running]:
    """`least.py`."""
    with _gunicorn("benchmarks.least:app", {"LEAST_SECRET": SECRET}) as server:
        yield server


@contextmanager
def by_hand(carrier: str, accounts: int, **settings: str) -> Iterator[Running]:
    """The baseline `by-hand`, with the same accounts as `ours`."""
    with _gunicorn("benchmarks.by_hand:app", _peer(carrier, accounts) | settings) as server:
        yield server


@contextmanager
def express(carrier: str, accounts: int, **settings: str) -> Iterator[Running]:
    """The baseline `express`, with the same accounts as `ours`.

    Its packages are installed at the first run, beside it.

    Raises:
        Missing: there is no Node, or its packages could not be installed.
    """
    node = _node_with_packages()
    peer = {**_peer(carrier, accounts), "NODE_ENV": "production", **settings}
    with running([node, str(EXPRESS / "server.mjs")], peer) as server:
        yield server


def _peer(carrier: str, accounts: int) -> dict[str, str]:
    return {
        "PEER_SECRET": SECRET,
        "PEER_SID": PARENT_SID,
        "PEER_TOKEN": TOKEN,
        "PEER_CARRIER": carrier,
        "PEER_ACCOUNTS": json.dumps(
            {FIRST_PORTAL + index: sid(index) for index in range(accounts)}
        ),
    }


def _node_with_packages() -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Missing("node or npm is missing")
    installed = EXPRESS / "node_modules" / ".package-lock.json"  # npm's own note of what it did
    wanted = EXPRESS / "package.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund"]
        installing = subprocess.run(
            command, cwd=EXPRESS, capture_output=True, text=True, check=False
        )
        if installing.returncode:
            raise Missing(
                f"npm install failed in benchmarks/express (status {installing.returncode})"
            )
        installed.touch()
    return node


@contextmanager
def _gunicorn(app: str, settings: Mapping[str, str]) -> Iterator[Running]:
    with tempfile.NamedTemporaryFile("w", suffix=".py") as conf:
        conf.write(_plain_configuration(settings))
        conf.flush()
        with running(["gunicorn", "--config", conf.name, app], settings) as server:
            yield server


def _plain_configuration(settings: Mapping[str, str]) -> str:
    """gunicorn.conf.py's values alone: the baselines run without a line of our code.

    So they have gunicorn's own worker with threads, which it takes where it is told of threads.
    """
    required = {"HUBSPOT_CLIENT_SECRET": SECRET, "PROVIDER": "static", "STATIC_NUMBERS": "[]",
                "HUBSPOT_PORTAL_IDS": "1", "WEB_CONCURRENCY": "1"}  # fmt: skip
    with patch.dict(os.environ, environ({**required, **settings})):
        values = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    plain = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float | str)
        and not name.startswith("_")
        and name != "bind"
        and not str(value).startswith("helpdesk_numbers.")
    }
    return "".join(f"{name} = {value!r}\n" for name, value in plain.items())
