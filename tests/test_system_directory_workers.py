"""What any worker took up from the directory file, no other undoes: it rather answers 503."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.asking import SECRET, ask_server
from tests.support.server import Server, serving
from tests.test_system_gunicorn import reload, wait_for_worker

DESK = """
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Front desk" }]
[portals.62515]
accounts = ["desk"]
"""
NOBODY = DESK + 'users = "none"\n'
FAULTY = DESK + 'users = "some"\n'
REFUSED = "DIRECTORY_REFUSED"
# Reading so many takes long enough for others to ask meanwhile.
MANY = "".join(f'[portals.{number}]\naccounts = ["desk"]\n' for number in range(1, 3000))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "directory.toml"
    path.write_text(DESK + MANY)
    return path


@pytest.fixture
def server(file: Path) -> Iterator[Server]:
    settings = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY": str(file), "WEB_CONCURRENCY": "2"}
    with serving(settings) as running:
        wait_for_worker(running, 2)
        yield running


def workers(server: Server) -> list[int]:
    children = subprocess.check_output(["pgrep", "-P", str(server.process.pid)], text=True)
    return [int(pid) for pid in children.split()]


def kill(server: Server, *pids: int) -> None:
    before = server.output().count("Booting worker")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for_worker(server, before + len(pids))


def seen(server: Server, times: int = 12) -> set[int | str]:
    """How many numbers the answers have, or their category, of enough to meet all workers."""
    answers = [ask_server(server.url) for _ in range(times)]
    assert {answer.headers.get("Retry-After") for answer in answers if not answer.ok} <= {"5"}
    return {
        len(answer.json()["phoneNumbers"]) if answer.ok else answer.json()["category"]
        for answer in answers
    }


def test_numbers_taken_away_stay_away_whatever_becomes_of_the_workers(
    server: Server, file: Path
) -> None:
    assert seen(server) == {1}
    file.write_text(NOBODY)
    assert seen(server) == {0}
    file.write_text(FAULTY)
    assert seen(server) <= {0, REFUSED}  # refused by a worker that happened to miss the edit
    kill(server, workers(server)[0])
    assert seen(server) <= {0, REFUSED}
    kill(server, *workers(server))
    assert seen(server) == {REFUSED}
    before = server.output().count("Booting worker")
    reload(server)
    wait_for_worker(server, before + 2)
    assert seen(server) == {REFUSED}
    ready = requests.get(f"{server.url}/readyz", timeout=10)
    assert (ready.status_code, ready.json()["category"]) == (503, REFUSED)
    file.write_text(DESK)
    assert seen(server) == {1}
    assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 200


def test_a_faulty_edit_leaves_in_force_what_all_workers_have_even_the_idle(
    server: Server, file: Path
) -> None:
    file.write_text(FAULTY)
    assert seen(server) == {1}
    assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 503


def test_a_worker_that_missed_an_edit_refuses_when_the_next_is_faulty(
    server: Server, file: Path
) -> None:
    assert seen(server) == {1}
    busy, asleep = workers(server)
    os.kill(asleep, signal.SIGSTOP)
    file.write_text(NOBODY)
    assert seen(server, 1) == {0}
    file.write_text(FAULTY)
    os.kill(busy, signal.SIGSTOP)
    os.kill(asleep, signal.SIGCONT)
    assert seen(server) == {REFUSED}
    os.kill(busy, signal.SIGCONT)


def test_no_request_to_a_new_worker_sees_the_directory_of_the_start(
    server: Server, file: Path
) -> None:
    file.write_text(NOBODY + MANY)
    for pid in workers(server):
        os.kill(pid, signal.SIGSTOP)  # so that all requests wait for the new ones
    with ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(seen, server, 1) for _ in range(24)]
        time.sleep(0.5)
        kill(server, *workers(server))
        assert [one.result() for one in asked] == [{0}] * 24
