"""REDIS_URL: what it may say, what `flask check` finds there, TLS, and what is without it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import here
from tests.support.server import ROOT, environ, free_port
from tests.support.tls import tls_in_front
from tests.support.valkey import Valkey, valkey

SETTINGS = {
    "HUBSPOT_CLIENT_SECRET": "a-secret-of-tests",
    "DIRECTORY_TOML": """
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143" }]
[portals.62515]
accounts = ["desk"]
""",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as made:
        yield made


@pytest.fixture(scope="module")
def tls(server: Valkey, certificate: Path) -> Iterator[int]:
    """The port of the same server by TLS, with a certificate that nobody here trusts."""

    def reach() -> socket.socket:
        return socket.create_connection((server.host, server.port))

    with tls_in_front(reach, certificate) as port:
        yield port


def found(url: str, *arguments: str) -> dict[str, Any]:
    done = here(SETTINGS | {"REDIS_URL": url}, "check", "--json", *arguments)
    assert "pass-word" not in done.stdout + done.stderr
    (finding,) = [one for one in json.loads(done.stdout) if one["check"] == "Redis"]
    assert isinstance(finding, dict)
    return finding


def test_check_says_whether_redis_answers(server: Valkey) -> None:
    assert found(server.url)["ok"]
    away = found(f"redis://:pass-word@127.0.0.1:{free_port()}")
    assert away["ok"] is False
    assert "correct REDIS_URL" in away["remedy"]
    assert "offline" in found(server.url, "--offline")["text"]


def test_a_wrong_password_is_told_without_it(server: Valkey) -> None:
    assert found(f"redis://:pass-word@{server.host}:{server.port}")["ok"] is False


def test_tls_is_verified_unless_the_url_says_otherwise(tls: int, certificate: Path) -> None:
    url = f"rediss://127.0.0.1:{tls}"
    assert "ssl_cert_reqs=none" in found(url)["remedy"]
    assert found(f"{url}?ssl_cert_reqs=none")["ok"]
    assert not found(f"{url}?ssl_ca_certs={certificate}")["ok"], "it is another host's"
    assert found(f"{url}?ssl_ca_certs={certificate}&ssl_check_hostname=false")["ok"]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://:pass-word@there", "not redis://HOST:PORT"),
        ("redis://", "not redis://HOST:PORT"),
        ("redis://:pass-word@there:65536", "REDIS_URL"),
        ("redis://:pass-word@there?cert_reqs=none", "other options"),
        ("redis://:pass-word@there/cache", "number of a database"),
    ],
)
def test_a_malformed_url_is_named_but_not_shown(url: str, fault: str) -> None:
    done = here(SETTINGS | {"REDIS_URL": url}, "check", "--offline")
    assert done.returncode == 1
    assert fault in done.stdout
    assert "pass-word" not in done.stdout + done.stderr


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1"])
def test_redis_is_imported_with_its_url_alone(url: str) -> None:
    code = (
        "import sys, threading, app; from helpdesk_numbers.service import service_of_process as s\n"
        "app.create_app(); folder = s().share_answers(); folder and folder.remove()\n"
        "print({'redis', 'cryptography'} & sys.modules.keys(), threading.active_count())"
    )
    settings = environ(SETTINGS | {"REDIS_URL": url})
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ("redis" in ran.stdout) == bool(url)
    assert ran.stdout.split()[-1] == "1"
    assert url or ran.stdout.startswith("set()")
