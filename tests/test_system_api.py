"""The management API on real servers: docs/api.md's examples, edits in force, two writers."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from tests.support.asking import SECRET
from tests.support.postgres import KEY, new_database
from tests.support.server import ROOT, Server, environ, serving

ADMIN = "admin-token-of-tests"
DOCS = Path(__file__).parent.parent / "docs" / "api.md"
NUMBERS = [{"number": "+12025550143", "name": "A"}, {"number": "+12025550144", "name": "B"}]
IN_FORCE_S = 5.0


@pytest.fixture
def settings(postgres_server: str) -> dict[str, str]:
    return {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DATABASE_URL": new_database(postgres_server, f"a{time.monotonic_ns()}"),
        "ENCRYPTION_KEYS": KEY,
        "ADMIN_TOKENS": ADMIN,
        "WEB_CONCURRENCY": "2",
    }


@pytest.fixture
def server(settings: dict[str, str]) -> Iterator[Server]:
    with serving(settings) as running:
        yield running


class Writer:
    """Somebody who changes things by the API, and waits when asked to."""

    def __init__(self, server: Server) -> None:
        self._url = f"{server.url}/api/v1"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {ADMIN}"

    def ask(
        self, method: str, path: str, body: object = None, tag: str | None = None
    ) -> requests.Response:
        headers = {"If-Match": tag} if tag else {}
        while True:
            answer = self._session.request(
                method, self._url + path, json=body, headers=headers, timeout=60
            )
            if answer.status_code not in (429, 503):
                return answer
            time.sleep(0.01)

    def put(self, path: str, body: object) -> str:
        answer = self.ask("PUT", path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.headers["ETag"]


def seen(server: Server, user_id: int = 5) -> list[str]:
    body = json.dumps({"appId": 1, "portalId": 62515, "userId": user_id}).encode()
    url = server.url + PATH
    headers = signed_headers("v3", SECRET, "POST", url, body, time.time_ns() // 1_000_000)
    headers["Content-Type"] = "application/json"
    answer = requests.post(url, body, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return [one["friendlyName"] for one in answer.json()["phoneNumbers"]]


def test_the_examples_in_the_docs_do_what_they_say(server: Server) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    (script,) = re.findall(r"```sh\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    environ = {**os.environ, "URL": server.url, "TOKEN": ADMIN, "NO_PROXY": "127.0.0.1"}
    command = ["bash", "-euc", script.replace("\n\ncurl", "\n\necho; curl")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert answers[1] == {"outcome": "ok", "numbers": 2, "usable": 2}
    assert answers[5]["results"][0]["portal"]["user"] == {"1001": {"names": ["Front*"]}}
    (number,) = answers[6]["phoneNumbers"]
    assert number["friendlyName"] == "Front desk"
    assert [one["name"] for one in answers[6]["leftOut"]] == ["Support"]
    assert len(answers[7]["results"]) == 3
    assert answers[-1]["openapi"] == "3.1.0"


def test_an_edit_is_in_force_in_all_processes_within_five_seconds(
    server: Server, settings: dict[str, str]
) -> None:
    writer = Writer(server)
    writer.put("/accounts/desk", {"provider": "static", "numbers": NUMBERS})
    writer.put("/portals/62515", {"accounts": ["desk"]})
    with serving(settings) as other:
        for name in ("A", "B"):
            for _ in range(8):
                seen(server), seen(other)
            writer.put("/portals/62515/rules/users/5", {"names": [name]})
            edited = time.monotonic()
            while time.monotonic() < edited + IN_FORCE_S:
                for one in (server, other):
                    began = time.monotonic()
                    assert seen(one) == [name] or began < edited + IN_FORCE_S
            for _ in range(20):
                assert seen(server) == seen(other) == [name]


def test_two_writers_lose_no_change_of_each_other(server: Server) -> None:
    Writer(server).put("/portals/62515", {"accounts": [], "user": {}})
    conflicts: list[int] = []
    own = 25

    def add(first: int) -> None:
        writer = Writer(server)
        for user_id in range(first, first + own):
            while True:
                found = writer.ask("GET", "/portals/62515")
                table = found.json()
                rules = {**table.get("user", {}), str(user_id): {}}
                answer = writer.ask(
                    "PUT", "/portals/62515", {**table, "user": rules}, found.headers["ETag"]
                )
                if answer.status_code == 200:
                    break
                assert answer.status_code == 412
                conflicts.append(user_id)

    writers = [threading.Thread(target=add, args=[first]) for first in (1_000, 2_000)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert len(Writer(server).ask("GET", "/portals/62515").json()["user"]) == 2 * own
    assert conflicts  # else nobody was in anybody's way


def test_the_vendor_s_demo_is_all_right() -> None:
    command = [sys.executable, "-m", "examples.demo_vendor"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ({}), capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.count("ok   ") == 9
