"""The connection to the database that DATABASE_URL names."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from .deadline import keep

CONNECT_S = 3
"""How long PostgreSQL has for accepting a connection."""

POOL_SIZE, OVERFLOW = 5, 8
"""Connections that a process keeps, as many as threads ask for portals; and how many more there may
be for a while: one for each operation of the management API that it works on at a time. What asks
a carrier or HubSpot holds none meanwhile, but all of them may read an account at one moment."""

SQLITE_WAIT_S = 10.0
"""How long SQLite waits for others' changes."""

LOCK_S = 5
"""How long a change waits for those that are made just now."""


class OutcomeUnknown(SQLAlchemyError):
    """The connection broke off while a change was committed."""

    def __init__(self) -> None:
        super().__init__("the connection broke off while a change was committed")


def read_url(given: str) -> URL:
    """Return a URL of DATABASE_URL's two kinds for our driver; `postgres://`, as Heroku writes it,
    is read too, and Prisma's `pgbouncer=true`, which Supabase shows, is left out.

    Raises ValueError, without the URL, which may hold a password.
    """
    try:
        url = make_url(given.strip())
    except (ArgumentError, ValueError):  # the latter shows what is no port
        raise ValueError("not a database's URL") from None
    if url.drivername.startswith("sqlite"):
        return url.set(drivername="sqlite+pysqlite")
    if "@" in f"{url.host}{url.query}":
        raise ValueError("write an @ in the user's name or password as %40")
    url = url.set(drivername="postgresql+psycopg").difference_update_query(["pgbouncer"])
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    if unknown := sorted(set(url.query) - known):
        raise ValueError(f"PostgreSQL knows no option {unknown[0]}: take it out of the URL")
    return url


def connect(given: str) -> Engine:
    """Return the engine, which connects when it is first used.

    Raises ValueError as `read_url` does.
    """
    url = read_url(given)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": SQLITE_WAIT_S})
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
        "tcp_user_timeout": 25_000,  # ms, for what was sent: no keepalives go out meanwhile
    }
    engine = create_engine(
        url,
        connect_args=arguments,
        pool_size=POOL_SIZE,
        max_overflow=OVERFLOW,
        pool_timeout=CONNECT_S,
    )
    keep(engine)
    return engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Begin to read: all that is read is of one moment, whatever is changed meanwhile."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def locked(engine: Engine, number: int, wait_s: float = 0) -> Iterator[Connection]:
    """Begin a transaction that one process has at a time, by a lock of this number; it is kept
    unless an error is raised. `wait_s` is how long it waits for another's, 0 for ever.

    SQLite has one lock for all, and waits as long as `connect` says.

    Raises OutcomeUnknown if the connection broke off while it was committed.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # of the transaction, so that pgbouncer cannot hand it to another session
            connection.execute(text(f"SET LOCAL lock_timeout = '{wait_s}s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({number})"))
        yield connection
        try:
            connection.commit()  # else leaving the connection rolls it back
        except DBAPIError as error:
            if error.connection_invalidated:
                raise OutcomeUnknown from error
            raise


def _set_up_sqlite(connection: object, _: object) -> None:
    import sqlite3  # which nobody needs who has PostgreSQL

    cursor = connection.cursor()  # type: ignore[attr-defined] # DB-API's
    for pragma in ("foreign_keys = ON", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    give_up_at = time.monotonic() + SQLITE_WAIT_S
    while True:  # the first connections to a new file lock each other out, and none is waited for
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
    cursor.close()
