"""The connection to the database that DATABASE_URL names."""

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

CONNECT_S = 3
"""How long PostgreSQL has for accepting a connection."""

POOL_SIZE = 5
"""Connections that a process keeps; as many as threads ask the database."""


def read_url(text: str) -> URL:
    """Return a URL of DATABASE_URL's two kinds for our driver; `postgres://`, as Heroku writes it,
    is read too.

    Raises ValueError, without the URL, which may hold a password.
    """
    try:
        url = make_url(text.strip())
    except ArgumentError:
        raise ValueError("not a database's URL") from None
    kind = "sqlite+pysqlite" if url.drivername.startswith("sqlite") else "postgresql+psycopg"
    return url.set(drivername=kind)


def connect(text: str) -> Engine:
    """Return the engine, which connects when it is first used.

    Raises ValueError as `read_url` does.
    """
    url = read_url(text)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": 10})
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    # Behind pgbouncer in transaction mode a prepared statement may be another connection's:
    # https://www.psycopg.org/psycopg3/docs/advanced/prepare.html#using-prepared-statements-with-pgbouncer
    arguments = {
        "prepare_threshold": None,
        "connect_timeout": CONNECT_S,
        # A host that is gone says nothing: https://www.postgresql.org/docs/current/libpq-connect.html
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    return create_engine(
        url, connect_args=arguments, pool_size=POOL_SIZE, max_overflow=0, pool_timeout=CONNECT_S
    )


def _set_up_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined] # DB-API's
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
