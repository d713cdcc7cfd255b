"""What the workers of an instance share of an account's answers, and what becomes of the file."""

import os
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpdesk_numbers import scratch, shared_file
from helpdesk_numbers.lookup.shared import Kept
from helpdesk_numbers.lookup.sqlite import SQLiteAnswers
from helpdesk_numbers.lookup.stale import LastKnownGood
from helpdesk_numbers.scratch import ScratchFolder, memory_folder
from providers import Secret, load
from providers.base.errors import Refused, Unreachable
from providers.base.provider import PhoneNumber, Provider, Query, UnreadNumber

EAST = PhoneNumber("+12025550143", "East", "7", owners=("anna@acme.example",))
WEST = PhoneNumber("+12025550144")
Workers = tuple[LastKnownGood, LastKnownGood]


def account(key: str = "a-key") -> Provider:
    """As each worker makes it of the same directory."""
    kind = load("telnyx")
    return kind(kind.Options(api_key=Secret(key)), "acme")  # type: ignore[call-arg] # its own


@pytest.fixture
def shared(tmp_path: Path) -> SQLiteAnswers:
    return SQLiteAnswers(tmp_path, 60)


@pytest.fixture
def workers(shared: SQLiteAnswers) -> Workers:
    made = LastKnownGood(60), LastKnownGood(60)
    for worker in made:
        worker.shared = shared
    return made


def in_time(found: Callable[[], object]) -> object:
    """What is found once the writer has written, or what is found instead."""
    for _ in range(500):
        if value := found():
            return value
        time.sleep(0.01)
    return found()


def answer_of(worker: LastKnownGood, query: Query | None = None, key: str = "a-key") -> object:
    worker._looked_at.clear()  # a second has passed
    found = worker.find(account(key), query or Query())
    return found and found[0]


def test_one_workers_answer_stands_in_for_another(workers: Workers) -> None:
    asked, other = workers
    asked.record(account(), Query(), [EAST, WEST], time.monotonic())
    assert in_time(lambda: answer_of(other)) == [EAST, WEST]
    assert answer_of(other, Query(numbers=("+12025550143",))) == [EAST, WEST]
    found = other.find(account(), Query())
    assert found
    assert 0 <= found[1] < 30


def test_whatever_a_carrier_gave_is_shared_as_it_is(workers: Workers) -> None:
    odd: list[PhoneNumber] = [
        PhoneNumber(12025550143, None, 7, None, None),  # type: ignore[arg-type] # a reader's slip
        PhoneNumber("+12025550143", "Sales \ud83d", owners=("7",)),
        UnreadNumber("", fault="[3]: KeyError 'id'"),
    ]
    asked, other = workers
    asked.record(account(), Query(), odd, time.monotonic())
    asked.record(account("b"), Query(), [EAST], time.monotonic())
    assert in_time(lambda: answer_of(other, key="b")) == [EAST], "the writer lives"
    found = answer_of(other)
    assert found is None or [str(one) for one in found][2] == str(odd[2])  # type: ignore[attr-defined]


def test_other_credentials_are_another_account(workers: Workers) -> None:
    asked, other = workers
    asked.record(account(), Query(), [EAST], time.monotonic())
    assert in_time(lambda: answer_of(other)) == [EAST]
    assert answer_of(other, key="another") is None


def test_a_refusal_counts_in_all_workers_at_once(workers: Workers) -> None:
    asked, other = workers
    acme, same = account(), account()
    asked.record(acme, Query(), [EAST], time.monotonic())
    other.record(same, Query(), [EAST], time.monotonic())
    asked.record(acme, Query(), Refused("answered 401", 401), time.monotonic())
    assert other.find(same, Query()) is None
    assert asked.find(acme, Query()) is None


def test_what_began_before_a_refusal_is_not_shared_after_it(
    workers: Workers, shared: SQLiteAnswers
) -> None:
    asked, other = workers
    began = time.monotonic()
    other.record(account(), Query(), Refused("answered 401", 401), began)
    shared.put(account(), Query(), Kept([EAST], began, time.monotonic()))
    asked.record(account(), Query(), [WEST], time.monotonic())
    assert in_time(lambda: answer_of(other)) == [WEST]


def test_what_was_under_way_when_another_worker_was_refused_is_forgotten(workers: Workers) -> None:
    asked, other = workers
    same, began = account(), time.monotonic()
    asked.record(account(), Query(), Refused("answered 401", 401), time.monotonic())
    other.record(same, Query(), [EAST], began)
    assert answer_of(other) is None
    assert other.find(same, Query()) is None


def test_a_refusal_is_told_once_the_file_is_free_again(
    workers: Workers, shared: SQLiteAnswers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_file, "PAUSE_S", 0)
    asked, other = workers
    acme, same = account(), account()
    other.record(same, Query(), [EAST], time.monotonic())
    assert in_time(lambda: answer_of(asked)) == [EAST]
    with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as busy:
        busy.execute("BEGIN IMMEDIATE")
        asked.record(acme, Query(), Refused("answered 401", 401), time.monotonic())
    assert asked.find(acme, Query()) is None
    assert other.find(same, Query()) is None


def test_an_answer_of_another_worker_grows_old_from_its_own_end(
    shared: SQLiteAnswers,
) -> None:
    clock = time.monotonic()
    worker = LastKnownGood(60, lambda: clock)
    worker.shared = shared
    shared.put(account(), Query(), Kept([EAST], clock - 50, clock - 40))
    assert in_time(lambda: answer_of(worker)) == [EAST]
    acme = account()
    worker._looked_at.clear()
    found = worker.find(acme, Query())
    assert found
    assert found[1] == 40, "its age counts from the end of the call, not from its beginning"
    clock += 21
    assert worker.find(acme, Query()) is None


def test_the_file_takes_no_more_than_a_quarter_of_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = SimpleNamespace(f_bavail=100, f_frsize=1024)
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    assert SQLiteAnswers(tmp_path, 60)._max_bytes == 25 * 1024


def test_no_answer_is_older_than_may_be(tmp_path: Path) -> None:
    shared, worker = SQLiteAnswers(tmp_path, 60), LastKnownGood(60)
    worker.shared = shared
    now = time.monotonic()
    shared.put(account(), Query(), Kept([EAST], now - 62, now - 61))
    shared.put(account(), Query(owner="7"), Kept([WEST], now, now))
    assert in_time(lambda: answer_of(worker, Query(owner="7"))) == [WEST]
    assert answer_of(worker) is None


def test_a_broken_file_costs_only_the_sharing(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(shared_file.log, "warning", lambda *words: told.append(words))
    asked, _ = workers
    (tmp_path / "answers.sqlite").write_bytes(
        b"this is no database at all, but for its length" * 99
    )
    acme = account()
    asked.record(acme, Query(), [EAST], time.monotonic())
    asked.record(acme, Query(), Unreachable("away"), time.monotonic())
    assert asked.find(acme, Query()) is not None
    assert len(told) == 1


def test_one_worker_at_a_time_has_the_lease(shared: SQLiteAnswers) -> None:
    assert shared.lease(account(), 0, 60)
    assert not shared.lease(account(), 59, 119)
    assert shared.lease(account(), 60, 120)
    shared.release(account())
    assert shared.lease(account(), 61, 121)


# The folder


def test_only_this_user_may_read_it_and_it_goes_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "memory_folder", lambda: str(tmp_path))
    folder = ScratchFolder()
    SQLiteAnswers(folder.path, 60).refuse(account(), 0)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert (folder.path / "answers.sqlite").exists()
    other = ScratchFolder()
    assert folder.path.exists(), "a living instance's is left alone"
    folder.remove()
    other.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_instance_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "memory_folder", lambda: str(tmp_path))
    killed = ScratchFolder()
    os.close(killed._lock)  # as its end does
    following = ScratchFolder()
    assert list(tmp_path.iterdir()) == [following.path]
    following.remove()


def test_without_room_in_memory_the_temporary_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not scratch._has_room("/dev/full")
    assert not scratch._has_room("/proc")
    monkeypatch.setattr(scratch, "ROOM", 1 << 60)
    assert memory_folder() is None
