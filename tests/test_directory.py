"""The directory: which accounts serve a portal, and what each user may see."""

import copy
import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpdesk_numbers.directory.file import DirectoryFile, SingleAccount
from helpdesk_numbers.directory.model import DirectoryRefused, Rule
from helpdesk_numbers.directory.toml import parse, read_account
from helpdesk_numbers.lookup.lookup import Lookup
from providers.base.options import Faults, Problems
from providers.base.provider import Provider
from tests.support.accounts import Fixed

TOKEN = "token-of-acme"
ENVIRON = {"ACME_TOKEN": TOKEN, "DESK_NUMBER": "+12025550100", "EMPTY": ""}
TWILIO = """
[accounts.acme-us]
provider = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = "env:ACME_TOKEN"
country = "US"
"""
DESKS = """
[accounts.front-desk]
provider = "static"
country = "US"
numbers = [
    { number = "+1 202 555 0143", name = "Support East", owners = ["anna@acme.example"] },
    { number = "+1 202 555 0144", name = "support west" },
    { number = "+1 202 555 0145", name = "Sales", owners = ["Anna@ACME.example", "1007"] },
]
[accounts.back-office]
provider = "static"
country = "US"
numbers = [
    { number = "env:DESK_NUMBER", name = "Support [night]", owners = ["anna@acme.example"] },
    { number = "+1 202 555 0101", name = "" },
]
"""
EAST, WEST, SALES = "+12025550143", "+12025550144", "+12025550145"
NIGHT, NAMELESS = "+12025550100", "+12025550101"
ALL = [EAST, WEST, SALES, NIGHT, NAMELESS]
PORTAL = '[portals.62515]\naccounts = ["front-desk", "back-office"]\n'


def seen(text: str, user_id: int = 1001, portal_id: int = 62515) -> list[str]:
    """What the user sees."""
    lookup = Lookup(Fixed(parse(DESKS + text, ENVIRON)), 5)
    return [one.e164 for one in lookup.look_up(portal_id, user_id).numbers]


def faults(text: str) -> list[str]:
    """What is wrong with the directory, seen to show neither secret nor number."""
    with pytest.raises(Faults) as caught:
        parse(text, ENVIRON)
    assert TOKEN not in str(caught.value)
    assert "55501" not in str(caught.value)
    return list(caught.value.faults)


# Rules


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("", ALL),
        ('numbers = ["+12025550143"]', [EAST]),
        ('numbers = ["(202) 555-0144", "env:DESK_NUMBER"]', [WEST, NIGHT]),
        ('numbers = ["+12025550199"]', []),
        ("numbers = []", []),
        ('names = ["Sales"]', [SALES]),
        ('names = ["support*"]', [EAST, WEST, NIGHT]),
        ('names = ["SUPPORT ????"]', [EAST, WEST]),
        ('names = ["*[night]", "sale[rst]"]', [NIGHT]),
        ('names = ["Support"]', []),
        ('names = ["*"]', ALL),
        ('names = [""]', [NAMELESS]),
        ("names = []", []),
        ('owner = "anna@acme.example"', [EAST, SALES, NIGHT]),
        ('owner = "ANNA@acme.EXAMPLE"', [EAST, SALES, NIGHT]),
        ('owner = "1007"', [SALES]),
        ('owner = "100"', []),
        ('owner = ""', []),
        ('accounts = ["back-office"]', [NIGHT, NAMELESS]),
        ('accounts = ["back-office", "front-desk"]', ALL),
        ("accounts = []", []),
        ('names = ["support*"]\nowner = "anna@acme.example"', [EAST, NIGHT]),
        ('names = ["support*"]\naccounts = ["front-desk"]', [EAST, WEST]),
        ('numbers = ["+12025550143"]\nnames = ["sales"]', []),
        ('numbers = ["+12025550143"]\naccounts = ["back-office"]', []),
        (
            'numbers = ["+12025550143", "+12025550145"]\nnames = ["s*"]\n'
            'owner = "anna@acme.example"\naccounts = ["front-desk"]',
            [EAST, SALES],
        ),
    ],
)
@pytest.mark.parametrize("users", ["", 'users = "all"\n', 'users = "none"\n'])
def test_a_users_rule_is_what_the_user_sees(users: str, rule: str, expected: list[str]) -> None:
    assert seen(f"{PORTAL}{users}[portals.62515.user.1001]\n{rule}") == expected


@pytest.mark.parametrize(
    ("users", "expected"), [("", ALL), ('users = "all"', ALL), ('users = "none"', [])]
)
def test_users_without_a_rule(users: str, expected: list[str]) -> None:
    text = f'{PORTAL}{users}\n[portals.62515.user.1001]\nnames = ["Sales"]'
    assert seen(text, user_id=1002) == expected


def test_a_portal_that_is_not_listed_sees_nothing() -> None:
    assert seen(PORTAL, portal_id=62516) == []


def test_each_portal_has_its_own_accounts_and_rules() -> None:
    text = f"""{PORTAL}[portals.62515.user.1001]\nnames = ["Sales"]
        [portals.7]\naccounts = ["back-office"]"""
    assert seen(text) == [SALES]
    assert seen(text, portal_id=7) == [NIGHT, NAMELESS]


def test_accounts_are_listed_in_the_portals_order() -> None:
    text = '[portals.62515]\naccounts = ["back-office", "front-desk"]'
    assert seen(text) == [NIGHT, NAMELESS, EAST, WEST, SALES]


@pytest.mark.parametrize(
    ("text", "user_id", "why"),
    [
        ("[portals.7]\naccounts = []", 1, "portal not in the directory"),
        (PORTAL + 'users = "none"', 1, 'user without a rule, and users = "none"'),
        (PORTAL, 1, "user without a rule: all numbers"),
        (PORTAL + "[portals.62515.user.1]\nnumbers = []", 1, "user's rule allows no number"),
        (PORTAL + "[portals.62515.user.1]\nnames = ['a']", 1, "user's rule"),
    ],
)
def test_the_reason_is_said(text: str, user_id: int, why: str) -> None:
    assert parse(DESKS + text, ENVIRON).grants(62515, user_id)[1] == why


def test_national_numbers_of_a_rule_are_read_by_the_accounts_country() -> None:
    text = PORTAL + "[portals.62515.user.1]\nnumbers = ['202-555-0143']"
    assert parse(DESKS + text, ENVIRON).portals[62515].rules[1] == Rule(numbers=(EAST,))
    mixed = DESKS.replace('"US"', '"GB"', 1) + text
    assert faults(mixed) == ["portals.62515.user.1.numbers[0]: not a phone number"]


def test_env_values_come_from_the_environment() -> None:
    text = TWILIO + '[portals.62515]\naccounts = ["acme-us"]'
    account = parse(text, ENVIRON).accounts["acme-us"]
    assert getattr(account.options, "auth_token", None) == TOKEN
    assert (account.account, account.options.country) == ("acme-us", "US")
    assert TOKEN not in repr(account.options)


# Live reload


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "directory.toml"
    path.write_text(DESKS + PORTAL)
    return path


def write(path: Path, text: str) -> None:
    """As an editor does, and later than before even on a coarse clock."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_an_edited_file_is_taken_up(file: Path) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    lookup = Lookup(source, 5)
    assert len(lookup.look_up(62515, 1).numbers) == 5
    write(file, DESKS + '[portals.62515]\naccounts = ["front-desk"]')
    assert len(lookup.look_up(62515, 1).numbers) == 3
    write(file, DESKS + "[portals.7]\naccounts = []")
    assert lookup.look_up(62515, 1).numbers == []


def test_a_file_replaced_by_another_is_taken_up(file: Path, tmp_path: Path) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    stat = file.stat()
    other = tmp_path / "other.toml"
    other.write_text((DESKS + PORTAL).replace("62515", "62516"))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(file)
    assert set(source.current().portals) == {62516}


def remove(path: Path) -> None:
    path.unlink()


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def not_utf8(path: Path) -> None:
    path.write_bytes(DESKS.encode("utf-16"))


def writing(text: str) -> Callable[[Path], None]:
    return lambda path: write(path, text)


BREAK: dict[str, Callable[[Path], None]] = {
    "not TOML": writing(f"[accounts\ntoken = '{TOKEN}' # +12025550143"),
    "a fault": writing(DESKS + PORTAL + "user.1001.numbers = ['+120255501430000000']"),
    "empty": writing(""),
    "half written": writing(DESKS),
    "deleted": remove,
    "a folder": make_a_folder,
    "not UTF-8": not_utf8,
    "an endless number": writing("a = " + "9" * 100_000),
}


@pytest.mark.parametrize("kind", BREAK)
def test_a_broken_file_is_refused_once_and_the_old_one_stays(
    file: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    before = source.current()
    BREAK[kind](file)
    with caplog.at_level(logging.INFO, "helpdesk_numbers"):
        for _ in range(5):
            assert source.current() is before
    assert [record.message for record in caplog.records] == ["directory_refused"]
    logged = vars(caplog.records[0])["faults"]
    assert len(logged) == source.refused
    assert TOKEN not in str(logged)
    assert "55501" not in str(logged)


def test_a_file_put_right_is_taken_up_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    file.unlink()
    source.current()
    caplog.clear()
    write(file, (DESKS + PORTAL).replace("62515", "7"))
    with caplog.at_level(logging.INFO, "helpdesk_numbers"):
        assert set(source.current().portals) == {7}
    assert source.refused == 0
    assert [record.message for record in caplog.records] == ["directory_loaded"]


def test_a_broken_file_is_a_fault_at_the_start(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Faults, match=r"none\.toml: cannot be read \(No such file or directory\)"):
        DirectoryFile(ENVIRON, str(tmp_path / "none.toml"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(Faults, match=r"it has no \*\.toml"):
        DirectoryFile(ENVIRON, str(tmp_path / "empty"))
    file.write_bytes(b"\xff")
    with pytest.raises(Faults, match=r"directory\.toml: cannot be read \(it is not UTF-8\)"):
        DirectoryFile(ENVIRON, str(file))
    write(file, "[")
    with pytest.raises(Faults, match=r"directory\.toml is not TOML: "):
        DirectoryFile(ENVIRON, str(file))
    write(file, "")
    with pytest.raises(Faults, match="portals: there are none"):
        DirectoryFile(ENVIRON, str(file))


def fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on as a process would that was forked now."""
    pid = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: pid)


def test_a_process_that_inherits_the_directory_reads_the_file_only_if_it_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    inherited = source.current()
    fork(monkeypatch)
    assert source.current() is inherited
    write(file, "[")
    assert source.current() is inherited, "it saw that the file was this one"
    fork(monkeypatch)
    write(file, (DESKS + PORTAL).replace("62515", "7"))
    assert set(source.current().portals) == {7}


@pytest.mark.parametrize("kind", BREAK)
def test_a_process_that_inherits_the_directory_of_a_broken_file_has_none_until_it_is_good(
    file: Path, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    BREAK[kind](file)
    fork(monkeypatch)
    for _ in range(3):
        with pytest.raises(DirectoryRefused, match=r"has \d+ fault"):
            source.current()
    assert [record.message for record in caplog.records] == ["directory_refused"]
    if file.is_dir():
        file.rmdir()
    write(file, DESKS + PORTAL)
    good = source.current()
    write(file, "[")
    assert source.current() is good, "it read this one itself"


def test_no_thread_of_a_new_process_sees_the_directory_that_it_inherits(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    many = [f'[portals.{number}]\naccounts = ["front-desk"]\n' for number in range(1, 1000)]
    write(file, DESKS + "".join(many))  # which takes long enough to read for all to ask meanwhile
    fork(monkeypatch)
    with ThreadPoolExecutor(8) as pool:
        current = [pool.submit(source.current) for _ in range(8)]
        assert {len(directory.result().portals) for directory in current} == {999}


def test_a_request_after_an_edit_waits_for_who_reads_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    reading, go_on = threading.Event(), threading.Event()

    def slowly(path: Path, _: str) -> str:
        reading.set()
        assert go_on.wait(30)
        return path.read_bytes().decode()

    monkeypatch.setattr(Path, "read_text", slowly)
    write(file, (DESKS + PORTAL).replace("62515", "7"))
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(source.current)
        assert reading.wait(30)
        others = [pool.submit(source.current) for _ in range(3)]
        time.sleep(0.1)
        assert not any(other.done() for other in others)
        go_on.set()
        assert [set(asked.result().portals) for asked in (first, *others)] == [{7}] * 4


def test_a_file_that_is_edited_while_it_is_read_is_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    texts, read_text = iter(["half of it"]), Path.read_text

    def read(path: Path, encoding: str) -> str:
        for half in texts:
            write(file, (DESKS + PORTAL).replace("62515", "8"))  # the rest comes meanwhile
            return half
        return read_text(path, encoding)

    monkeypatch.setattr(Path, "read_text", read)
    write(file, (DESKS + PORTAL).replace("62515", "7"))
    assert set(source.current().portals) == {8}
    assert not source.refused


def test_who_reads_an_edit_slowly_does_not_undo_what_another_process_took_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by ten thousand steps of tests/support/tenancy.py."""
    slow = DirectoryFile(ENVIRON, str(file))
    quick = copy.copy(slow)  # as a forked process has it: `_newest` alone is shared
    quick._lock = threading.Lock()
    write(file, (DESKS + PORTAL).replace("62515", "7"))

    def slowly(path: Path, _: str) -> str:
        text = path.read_bytes().decode()
        monkeypatch.undo()
        write(file, (DESKS + PORTAL).replace("62515", "8"))
        assert set(quick.current().portals) == {8}
        return text

    monkeypatch.setattr(Path, "read_text", slowly)
    slow.current()
    write(file, "[")
    assert set(quick.current().portals) == {8}
    assert set(slow.current().portals) == {8}


def test_a_file_that_could_not_be_read_is_tried_again_without_another_edit(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    before = source.current()
    write(file, (DESKS + PORTAL).replace("62515", "7"))
    with monkeypatch.context() as patch:

        def fails(*_: object) -> str:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        patch.setattr(Path, "read_text", fails)
        for _ in range(3):
            assert source.current() is before
        assert source.refused == 1
    assert [record.message for record in caplog.records] == ["directory_refused"]
    assert set(source.current().portals) == {7}
    assert source.refused == 0


def test_a_file_put_back_is_taken_up_again(file: Path, tmp_path: Path) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    file.rename(tmp_path / "away.toml")
    assert source.current()
    assert source.refused
    (tmp_path / "away.toml").rename(file)
    assert source.current()
    assert not source.refused


def test_a_process_that_inherits_a_refusal_refuses(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    write(file, "[")
    assert source.current()
    fork(monkeypatch)
    with pytest.raises(DirectoryRefused):
        source.current()


def test_accounts_that_did_not_change_stay_the_same(file: Path) -> None:
    write(file, TWILIO + DESKS + PORTAL)
    source = DirectoryFile(ENVIRON, str(file))
    before = dict(source.current().accounts)
    write(file, TWILIO + DESKS.replace("Sales", "Verkauf") + PORTAL + "users = 'none'")
    after = source.current().accounts
    assert after["acme-us"] is before["acme-us"]
    assert after["back-office"] is before["back-office"]
    assert after["front-desk"] is not before["front-desk"]
    write(file, TWILIO.replace("AC0", "AC1").replace("acme-us", "acme") + DESKS + PORTAL)
    assert set(source.current().accounts) == {"acme", "front-desk", "back-office"}


def test_threads_may_ask_while_the_file_is_edited(file: Path) -> None:
    source = DirectoryFile(ENVIRON, str(file))
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                assert source.current().portals
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for portal_id in range(1, 30):
        write(file, (DESKS + PORTAL).replace("62515", str(portal_id)))
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert set(source.current().portals) == {29}


def test_a_directory_given_as_text_is_read_once() -> None:
    source = DirectoryFile(ENVIRON, None, DESKS + PORTAL)
    assert source.current() is source.current()
    assert set(source.current().portals) == {62515}


# One account from the environment


def one_account(environ: dict[str, str], provider: str = "static") -> tuple[Provider | None, str]:
    problems = Problems()
    return read_account(environ, provider, problems), "\n".join(problems.lines)


def test_one_account_serves_only_the_portals_listed() -> None:
    account, _ = one_account({"STATIC_NUMBERS": '[{"number": "+12025550143"}]'})
    assert account
    lookup = Lookup(SingleAccount(account, (62515, 7)), 5)
    for portal_id, expected in ((62515, 1), (7, 1), (62516, 0), (1, 0)):
        assert len(lookup.look_up(portal_id, 1001).numbers) == expected


def test_one_account_has_its_providers_name_and_options() -> None:
    environ = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_COUNTRY": "US"}
    account, _ = one_account(environ, "twilio")
    assert account
    assert (account.account, account.name, account.options.country) == ("twilio", "twilio", "US")
    assert TOKEN not in repr(account.options)


@pytest.mark.parametrize(
    ("environ", "provider", "fault"),
    [
        ({}, "static", "STATIC_NUMBERS: missing"),
        ({}, "twillio", "PROVIDER: no provider 'twillio' (did you mean 'twilio'?)"),
        ({"TWILIO_ACCOUNT_SID": "AC1"}, "twilio", "TWILIO_AUTH_TOKEN: give it, or api_key"),
        ({"TWILIO_AUTH_TOKEN": TOKEN}, "twilio", "TWILIO_ACCOUNT_SID: missing"),
        ({"STATIC_NUMBERS": '[{"number": "x"}]'}, "static", "STATIC_NUMBERS[0].number: not a"),
    ],
)
def test_a_fault_of_the_one_account_names_its_variable(
    environ: dict[str, str], provider: str, fault: str
) -> None:
    account, found = one_account(environ, provider)
    assert account is None
    assert found.startswith(fault)
    assert TOKEN not in found
