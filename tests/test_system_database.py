"""The directory in a database, on real servers: edits, a database that is away, two instances."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from tests.support.asking import SECRET
from tests.support.commands import here
from tests.support.postgres import KEY, new_database, postgres, postgres_to_stop
from tests.support.server import Server, serving

IN_FORCE_S = 5.0
BUSY_MACHINE_S = 3.0


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with postgres() as url:
        yield url


SETTINGS = {
    "HUBSPOT_CLIENT_SECRET": SECRET,
    "ENCRYPTION_KEYS": KEY,
    "WEB_CONCURRENCY": "2",
    "LAST_KNOWN_GOOD": "600",
}


@pytest.fixture
def settings(server_url: str) -> dict[str, str]:
    return SETTINGS | {"DATABASE_URL": new_database(server_url, f"s{time.monotonic_ns()}")}


def directory(*names: str) -> str:
    numbers = ", ".join(
        f'{{ number = "+1202555014{name}", name = "Line {name}" }}' for name in names
    )
    return (
        f'[accounts.desk]\nprovider = "static"\nnumbers = [{numbers}]\n'
        '[portals.62515]\naccounts = ["desk"]\n[portals.7]\naccounts = ["desk"]\nusers = "none"\n'
    )


def put(settings: dict[str, str], folder: Path, text: str) -> float:
    """Import it; when that was done."""
    (folder / "d.toml").write_text(text)
    done = here(settings, "directory", "import", str(folder / "d.toml"), "--apply")
    assert done.returncode == 0, done.stderr
    return time.monotonic()


def ask(server: Server, portal_id: int = 62515) -> requests.Response:
    body = json.dumps({"appId": 1, "portalId": portal_id, "userId": 5}).encode()
    url = server.url + PATH
    headers = signed_headers("v3", SECRET, "POST", url, body, time.time_ns() // 1_000_000)
    headers["Content-Type"] = "application/json"
    return requests.post(url, body, headers=headers, timeout=20)


def names(server: Server) -> list[str]:
    answer = ask(server)
    assert answer.status_code == 200, answer.text
    return [one["friendlyName"][-1] for one in answer.json()["phoneNumbers"]]


def test_an_edit_is_in_force_in_all_processes_of_two_instances_within_five_seconds(
    settings: dict[str, str], tmp_path: Path
) -> None:
    put(settings, tmp_path, directory("0"))
    with serving(settings) as one, serving(settings) as other:
        for edit in ("1", "2", "3"):
            edited = put(settings, tmp_path, directory(edit))
            while time.monotonic() < edited + IN_FORCE_S:
                for server in (one, other):
                    began = time.monotonic()
                    found = names(server)
                    assert found == [edit] or began < edited + IN_FORCE_S
                time.sleep(0.05)
            for _ in range(20):
                assert names(one) == names(other) == [edit]


@pytest.mark.parametrize("how", ["stopped", "hanging"])
def test_while_the_database_is_away_known_portals_are_answered(how: str, tmp_path: Path) -> None:
    with postgres_to_stop() as database:
        settings = SETTINGS | {"DATABASE_URL": database.url, "WEB_CONCURRENCY": "1"}
        put(settings, tmp_path, directory("0"))
        with serving(settings) as server:
            assert names(server) == ["0"]
            assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 200
            (database.stop if how == "stopped" else database.hang)()
            try:
                time.sleep(5.1)  # what is known is looked at again from now on
                slowest = 0.0
                for _ in range(50):
                    began = time.monotonic()
                    assert names(server) == ["0"]
                    slowest = max(slowest, time.monotonic() - began)
                assert slowest < 2 + BUSY_MACHINE_S
                answer = ask(server, 99)
                assert answer.status_code == 503
                assert answer.json()["category"] == "DIRECTORY_UNAVAILABLE"
                assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 503
            finally:
                (database.start if how == "stopped" else database.go_on)()
            deadline = time.monotonic() + 30
            while ask(server, 99).status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 200
