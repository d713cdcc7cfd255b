"""What one worker took up from the directory file stays in force for those that come after it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from helpdesk_numbers.directory.file import DirectoryFile, TextInForce
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


def seen(server: Server, times: int = 12) -> set[int]:
    """How many numbers the answers have, asked for often enough to meet all workers."""
    return {len(ask_server(server.url).json()["phoneNumbers"]) for _ in range(times)}


def test_numbers_taken_away_stay_away_whatever_becomes_of_the_workers(
    server: Server, file: Path
) -> None:
    assert seen(server) == {1}
    file.write_text(NOBODY)
    assert seen(server) == {0}
    file.write_text(FAULTY)
    assert seen(server) == {0}
    for _ in range(2):
        kill(server, workers(server)[0])
        assert seen(server) == {0}
    before = server.output().count("Booting worker")
    reload(server)
    wait_for_worker(server, before + 2)
    assert seen(server) == {0}
    kill(server, *workers(server))
    assert seen(server) == {0}
    assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 503
    file.write_text(DESK)
    assert seen(server) == {1}


def test_a_worker_that_missed_an_edit_has_it_when_the_next_is_faulty(
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
    assert seen(server) == {0}
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


def test_a_text_that_another_process_takes_up_late_replaces_an_older_one(file: Path) -> None:
    """It may still be reading it when this process finds the next one faulty."""
    source = DirectoryFile({}, str(file))
    read_at_ns = time.monotonic_ns()
    file.write_text(FAULTY)
    assert source.current().portals[62515].users == "all"
    source._in_force.put(NOBODY, read_at_ns)
    assert source.current().portals[62515].users == "none"
    assert source.refused


def test_without_a_nameless_file_a_process_goes_by_itself(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    source = DirectoryFile({}, str(file))
    file.write_text(NOBODY)
    assert source.current().portals[62515].users == "none"
    file.write_text(FAULTY)
    assert source.current().portals[62515].users == "none"


@pytest.mark.parametrize("memfd", [True, False])
def test_of_several_texts_the_one_read_last_is_kept(
    memfd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any length, and in little more room than the longest three."""
    if not memfd:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    kept = TextInForce()
    assert kept.later_than(0) is None
    for read_at_ns, length in enumerate([5, 9, 1, 0, 7000, 7001, 7002, 3, 6999, 1], start=10):
        text = "é" * length
        kept.put(text, read_at_ns)
        kept.put("read earlier", read_at_ns - 1)
        assert kept.later_than(read_at_ns - 1) == (text, read_at_ns)
        assert kept.later_than(read_at_ns) is None
    assert kept._file
    assert os.fstat(kept._file.fileno()).st_size < 3 * 2 * 7002 + 100
