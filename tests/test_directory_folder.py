"""DIRECTORY as a folder: its files are one directory, and a faulty one stays as it was."""

import os
from copy import copy
from pathlib import Path

import pytest

from helpdesk_numbers.directory import file as file_module
from helpdesk_numbers.directory.file import DirectoryFile
from helpdesk_numbers.directory.model import DirectoryRefused
from providers.base.options import Faults


def account(name: str, number: str = "+12025550143") -> str:
    return f'[accounts.{name}]\nprovider = "static"\nnumbers = [{{ number = "{number}" }}]\n'


def portal(portal_id: int, *accounts: str) -> str:
    return f"[portals.{portal_id}]\naccounts = {list(accounts)}\n".replace("'", '"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.toml").write_text(account("a") + portal(1, "a"))
    (tmp_path / "b.toml").write_text(account("b") + portal(2, "b"))
    (tmp_path / "notes.md").write_text("no TOML")
    (tmp_path / ".a.toml.swp").write_text("[")
    (tmp_path / ".hidden.toml").write_text("[")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def seen(source: DirectoryFile) -> dict[int, list[str]]:
    portals = source.current().portals
    return {portal_id: list(portal.accounts) for portal_id, portal in portals.items()}


def test_its_files_are_one_directory(folder: Path) -> None:
    (folder / "c.toml").write_text(portal(3, "a", "b"))
    source = DirectoryFile({}, str(folder))
    assert seen(source) == {1: ["a"], 2: ["b"], 3: ["a", "b"]}
    assert source.refused == 0


def test_an_edit_a_new_file_and_one_that_goes_count_at_the_next_request(folder: Path) -> None:
    source = DirectoryFile({}, str(folder))
    before = source.current().accounts["b"]
    write(folder / "a.toml", account("a") + portal(11, "a"))
    assert seen(source) == {11: ["a"], 2: ["b"]}
    (folder / "c.toml").write_text(portal(3, "b"))
    assert seen(source) == {11: ["a"], 2: ["b"], 3: ["b"]}
    (folder / "a.toml").unlink()
    assert seen(source) == {2: ["b"], 3: ["b"]}
    assert source.current().accounts["b"] is before, "what did not change keeps its connections"


@pytest.mark.parametrize(
    "faulty", ["[", account("a") + portal(1, "nobody"), portal(1, "a") + "[accounts.a]\n"]
)
def test_a_faulty_file_stays_as_it_was_and_blocks_no_other(folder: Path, faulty: str) -> None:
    source = DirectoryFile({}, str(folder))
    write(folder / "a.toml", faulty)
    assert seen(source) == {1: ["a"], 2: ["b"]}
    assert source.refused >= 1
    write(folder / "b.toml", account("b") + portal(22, "b"))
    assert seen(source) == {1: ["a"], 22: ["b"]}
    write(folder / "a.toml", account("a") + portal(12, "a"))
    assert seen(source) == {12: ["a"], 22: ["b"]}
    assert source.refused == 0


@pytest.mark.parametrize("emptied", ["", "\n# all gone\n"])
def test_a_file_that_is_emptied_stays_as_it_was(folder: Path, emptied: str) -> None:
    source = DirectoryFile({}, str(folder))
    write(folder / "a.toml", emptied)
    assert seen(source) == {1: ["a"], 2: ["b"]}
    assert list(source.faults) == ["a.toml: it is empty, and was not"]
    (folder / "a.toml").unlink()
    assert seen(source) == {2: ["b"]}


def worker(source: DirectoryFile) -> DirectoryFile:
    """As a fork has it: what it takes up is its own, what was newest is shared."""
    forked = copy(source)
    forked._merged = copy(source._merged)
    return forked


def test_a_worker_that_missed_an_edit_beside_a_standing_fault_gives_nothing_back(
    folder: Path,
) -> None:
    master = DirectoryFile({}, str(folder))
    quick, late = worker(master), worker(master)
    write(folder / "a.toml", "[")
    assert seen(quick) == seen(late) == {1: ["a"], 2: ["b"]}
    write(folder / "b.toml", account("b") + portal(22, "b"))
    assert seen(quick) == {1: ["a"], 22: ["b"]}
    write(folder / "b.toml", "[[")
    assert seen(quick) == {1: ["a"], 22: ["b"]}
    with pytest.raises(DirectoryRefused):  # it knows portal 2 alone, which was taken away
        late.current()
    write(folder / "b.toml", account("b") + portal(22, "b"))
    assert seen(late) == seen(quick) == {1: ["a"], 22: ["b"]}


def test_a_new_file_with_a_fault_is_left_out(folder: Path) -> None:
    source = DirectoryFile({}, str(folder))
    (folder / "c.toml").write_text(portal(3, "nobody"))
    assert seen(source) == {1: ["a"], 2: ["b"]}
    assert source.refused == 1


@pytest.mark.parametrize("twice", [account("a"), portal(1, "b")])
def test_the_same_account_or_portal_in_two_files_is_a_fault(folder: Path, twice: str) -> None:
    source = DirectoryFile({}, str(folder))
    (folder / "c.toml").write_text(twice)
    assert seen(source) == {1: ["a"], 2: ["b"]}
    assert source.refused == 1
    with pytest.raises(Faults, match=r"(accounts\.a|portals\.1): it is in a\.toml and in c\.toml"):
        DirectoryFile({}, str(folder))


def test_at_the_start_every_fault_is_named_with_its_file(folder: Path) -> None:
    (folder / "c.toml").write_text(portal(3, "nobody"))
    (folder / "d.toml").write_text("[")
    with pytest.raises(Faults) as error:
        DirectoryFile({}, str(folder))
    texts = "\n".join(error.value.faults)
    assert "portals.3.accounts[0]: no account 'nobody'" in texts
    assert "(in c.toml)" in texts
    assert "d.toml is not TOML" in texts


def test_a_folder_of_many_files_is_looked_at_now_and_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_module, "MANY", 1)
    source = DirectoryFile({}, str(folder))
    monkeypatch.setattr(file_module, "MANY_S", 3600)
    write(folder / "a.toml", account("a") + portal(11, "a"))
    assert 1 in seen(source)
    monkeypatch.setattr(file_module, "MANY_S", 0)
    assert 11 in seen(source)
