"""DATABASE_URL as platforms write it, and what is said where it does not serve."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from helpdesk_numbers.database.engine import connect, read_url
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError
from tests.support.https import HOST
from tests.support.postgres import KEY, new_database, postgres
from tests.support.server import free_port
from tests.support.tls import tls_in_front


def faults(url: str) -> tuple[str, ...]:
    settings = {"HUBSPOT_CLIENT_SECRET": "x", "DATABASE_URL": url, "ENCRYPTION_KEYS": KEY}
    with pytest.raises(ConfigurationError) as raised:
        Service(settings).directory  # noqa: B018
    assert "sesame" not in str(raised.value.faults)
    return tuple(raised.value.faults)


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgres://u:p@h:5432/d?sslmode=require", "postgresql+psycopg"),
        ("postgresql://u:p@h/d", "postgresql+psycopg"),
        ("sqlite:////tmp/x.db", "sqlite+pysqlite"),
    ],
)
def test_urls_are_read_as_platforms_write_them(given: str, driver: str) -> None:
    assert read_url(given).drivername == driver


@pytest.mark.parametrize("given", ["mysql://u:sesame@h/d", "u:sesame", "postgres:sesame"])
def test_another_url_is_a_fault_without_its_password(given: str) -> None:
    (fault,) = faults(given)
    assert fault.startswith("DATABASE_URL: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("postgres://u:sesame", "not a database's URL"),
        ("postgres://u:p@sesame@h/d", "an @ in the user's name or password as %40"),
        ("postgres://u:p@q?sesame=1@h/d", "an @ in the user's name or password as %40"),
        ("postgres://u:sesame@h/d?schema=public", "knows no option schema: take it out"),
        ("postgres://u:sesame@127.0.0.1:{port}/d", "Connection refused"),
        ("postgres://u:sesame@no.such.host.invalid/d", "no.such.host.invalid"),
        ("sqlite:////no/such/folder/x.db", "unable to open database file"),
    ],
)
def test_what_is_wrong_is_said_without_a_password(given: str, said: str) -> None:
    (fault,) = faults(given.format(port=free_port()))
    assert said in fault


def greet(client: socket.socket) -> None:
    """https://www.postgresql.org/docs/current/protocol-message-formats.html: SSLRequest"""
    client.recv(8)
    client.sendall(b"S")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        yield new_database(url, "by_tls")


@pytest.fixture(scope="module")
def by_tls(database: str, certificate: Path) -> Iterator[str]:
    """The URL of the database by TLS, with a certificate that nobody here trusts."""
    given = make_url(database)

    def reach() -> socket.socket:
        if isinstance(folder := given.query.get("host"), str):
            inner = socket.socket(socket.AF_UNIX)
            inner.connect(f"{folder}/.s.PGSQL.{given.port or 5432}")
            return inner
        return socket.create_connection((given.host or "localhost", given.port or 5432))

    with tls_in_front(reach, certificate, greet) as port:
        front = given.set(drivername="postgres", host="127.0.0.1", port=port, query={})
        yield front.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=require",
        "sslmode=require&pgbouncer=true",
        "sslmode=require&options=-c%20statement_timeout%3D5s",
        f"sslmode=verify-full&sslrootcert={{certificate}}&host={HOST}&hostaddr=127.0.0.1",
    ],
)
def test_a_url_may_ask_for_tls(by_tls: str, certificate: Path, query: str) -> None:
    engine = connect(f"{by_tls}?{query.format(certificate=certificate)}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_a_certificate_is_verified_if_the_url_asks_for_it(by_tls: str, certificate: Path) -> None:
    (fault,) = faults(f"{by_tls}?sslmode=verify-full&sslrootcert={certificate}")
    assert "127.0.0.1" in fault


def test_neon_is_told_the_endpoint(certificate: Path) -> None:
    """As a client's first packet: https://neon.com/docs/connect/connection-errors"""
    told, inner = socket.socketpair()
    with told, tls_in_front(lambda: inner, certificate, greet) as port:
        url = f"postgres://u@127.0.0.1:{port}/d?sslmode=require&options=endpoint%3Dep-cool-1"
        asking = threading.Thread(target=faults, args=(url,))
        asking.start()
        told.settimeout(30)
        packet = told.recv(1000)
        told.close()
        asking.join()
    assert b"\0options\0endpoint=ep-cool-1\0" in packet
