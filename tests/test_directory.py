"""The directory: which accounts serve a portal, and what each user may see."""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.base import Provider
from providers.directory import Directory, OneAccount, Rule, Source, parse, read_account
from providers.lookup import Lookup
from providers.options import Faults

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


class Fixed:
    """A directory that stays as it is."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def current(self) -> Directory:
        return self._directory


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
        ('names = ["*[[]night]", "sale[rst]"]', [SALES, NIGHT]),
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


# Faults


NONE = "portals: there are none, so nobody would see a number"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [NONE]),
        ("# nothing yet", [NONE]),
        (DESKS, [NONE]),
        (DESKS + "[portals]", [NONE]),
        (DESKS + "[portals.62515]", ["portals.62515.accounts: missing"]),
        ("[portals.62515]\naccounts = []\n[extra]", ["extra: no such table"]),
        (
            "[portals.62515]\naccounts = []\n[acounts.a]",
            ["acounts: no such table (did you mean 'accounts'?)"],
        ),
        ("accounts = 7\n[portals.1]\naccounts = []", ["accounts: not a table"]),
        ("portals = [1]", ["portals: not a table"]),
        ("[portals]\n62515 = ['acme']", ["portals.62515: not a table"]),
        ("[accounts]\na = 'x'\n[portals.1]\naccounts = []", ["accounts.a: not a table"]),
        ("[accounts.a]\n[portals.1]\naccounts = []", ["accounts.a.provider: missing"]),
        (
            "[accounts.a]\nprovider = 7\n[portals.1]\naccounts = []",
            ["accounts.a.provider: missing"],
        ),
        (
            "[accounts.a]\nprovider = 'twillio'\n[portals.1]\naccounts = []",
            ["accounts.a.provider: no provider 'twillio' (did you mean 'twilio'?)"],
        ),
        (
            TWILIO.replace("auth_token", "auth_tokn") + "[portals.1]\naccounts = ['acme-us']",
            ["accounts.acme-us.auth_tokn: no such option (did you mean 'auth_token'?)"],
        ),
        (
            TWILIO.replace("ACME_TOKEN", "ACME_TOKN") + "[portals.1]\naccounts = ['acme-us']",
            ["accounts.acme-us.auth_token: the environment variable ACME_TOKN is not set"],
        ),
        (
            TWILIO.replace("ACME_TOKEN", "EMPTY") + "[portals.1]\naccounts = ['acme-us']",
            ["accounts.acme-us.auth_token: the environment variable EMPTY is not set"],
        ),
        (
            TWILIO.replace('"US"', '"USA"') + "[portals.1]\naccounts = ['acme-us']",
            ["accounts.acme-us.country: not an ISO 3166-1 alpha-2 code in capitals, such as US"],
        ),
        (
            DESKS + "[portals.1]\naccounts = ['frontdesk']",
            ["portals.1.accounts[0]: no account 'frontdesk' (did you mean 'front-desk'?)"],
        ),
        (
            DESKS + "[portals.1]\naccounts = 'front-desk'",
            ["portals.1.accounts: expected a list, got text"],
        ),
        (
            DESKS + "[portals.1]\naccounts = []\nusers = 'some'",
            ["portals.1.users: expected one of all, none"],
        ),
        (DESKS + "[portals.1]\naccounts = []\nuser = 7", ["portals.1.user: expected a table"]),
        (
            DESKS + "[portals.1]\naccounts = []\nuser.1001 = 'all'",
            ["portals.1.user.1001: not a table"],
        ),
        (
            DESKS + "[portals.1]\naccounts = []\nusres = 'all'",
            ["portals.1.usres: no such option (did you mean 'users'?)"],
        ),
        (
            PORTAL + DESKS + "[portals.62515.user.1001]\nnumbers = ['desk', '+12025550143', '5']",
            [
                "portals.62515.user.1001.numbers[0]: not a phone number",
                "portals.62515.user.1001.numbers[2]: not a phone number",
            ],
        ),
        (
            PORTAL + DESKS + "[portals.62515.user.1001]\nnumbers = [12025550143]",
            ["portals.62515.user.1001.numbers[0]: expected text, got a whole number"],
        ),
        (
            PORTAL + DESKS + "[portals.62515.user.1001]\nnumbers = '+12025550143'",
            ["portals.62515.user.1001.numbers: expected a list"],
        ),
        (
            PORTAL + DESKS + "[portals.62515.user.1001]\nnames = 'Sales'",
            ["portals.62515.user.1001.names: expected a list"],
        ),
        (
            PORTAL + DESKS + "[portals.62515.user.1001]\nowner = ['anna@acme.example']",
            ["portals.62515.user.1001.owner: expected text"],
        ),
        (
            PORTAL + DESKS + "[portals.62515.user.1001]\nnumber = ['+12025550143']",
            ["portals.62515.user.1001.number: no such option (did you mean 'numbers'?)"],
        ),
        (
            DESKS + "[portals.1]\naccounts = ['front-desk']\n[portals.1.user.7]\n"
            "accounts = ['front-desk', 'back-office']",
            ["portals.1.user.7.accounts[1]: no account 'back-office'"],
        ),
    ],
)
def test_a_fault_names_its_place(text: str, expected: list[str]) -> None:
    found = faults(text)
    assert len(found) == len(expected)
    for fault, beginning in zip(found, expected, strict=True):
        assert fault.startswith(beginning)


@pytest.mark.parametrize("portal_id", ["0", "-5", "1.5", "acme", "٣", "9223372036854775808", "''"])
def test_ids_are_hubspots(portal_id: str) -> None:
    key = f'"{portal_id.strip(chr(39))}"'
    what = "not an id of HubSpot's, which are positive integers"
    bare = portal_id.strip("'")
    assert faults(f"[portals.{key}]\naccounts = []") == [f"portals.{bare}: {what}"]
    text = f"[portals.1]\naccounts = []\n[portals.1.user.{key}]"
    assert faults(text) == [f"portals.1.user.{bare}: {what}"]


def test_all_faults_come_at_once() -> None:
    text = f"""{TWILIO.replace("auth_token", "token")}
        [accounts.other]\nprovider = "twillio"
        [portals.62515]\naccounts = ["acme-us", "nobody"]
        [portals.62515.user.1001]\nnumbers = ["sales"]
        [portals.first]\naccounts = ["acme"]"""
    places = {fault.partition(":")[0] for fault in faults(text)}
    assert places == {
        "accounts.acme-us.token",
        "accounts.other.provider",
        "portals.62515.accounts[1]",
        "portals.62515.user.1001.numbers[0]",
        "portals.first",
        "portals.first.accounts[0]",
    }


def test_no_fault_hides_another() -> None:
    text = f"""{TWILIO.replace("auth_token", "auth_tokn").replace("ACME_TOKEN", "ACME_TOKN")}
        contry = "US"
        [accounts.desk]\nprovider = "static"
        numbers = [{{ number = "+12025550143" }}, {{ number = "env:NONE", name = 7 }}]
        [portals.62515]\naccounts = ["acme-us", "nobody"]\nusers = 7
        [portals.62515.user.1001]\nnames = 7\naccounts = ["desk"]\nnumbers = ["env:NONE", 8, 9]
        [portals.62515.user]\n1002 = "all"\n1003.owner = 7"""
    assert {fault.partition(": ")[0] for fault in faults(text)} == {
        "accounts.acme-us.auth_tokn",
        "accounts.acme-us.contry",
        "accounts.desk.numbers[1].name",
        "accounts.desk.numbers[1].number",
        "portals.62515.accounts[1]",
        "portals.62515.users",
        "portals.62515.user.1001.accounts[0]",
        "portals.62515.user.1001.names",
        "portals.62515.user.1001.numbers[0]",
        "portals.62515.user.1001.numbers[1]",
        "portals.62515.user.1001.numbers[2]",
        "portals.62515.user.1002",
        "portals.62515.user.1003.owner",
    }
    assert len(faults(text)) == 14, "auth_tokn has two"


def test_a_faulty_account_does_not_make_its_national_numbers_faulty() -> None:
    text = f"""{TWILIO.replace("auth_token", "auth_tokn")}
        [portals.1]\naccounts = ["acme-us"]\n[portals.1.user.7]\nnumbers = ["202-555-0143"]"""
    assert [fault.partition(":")[0] for fault in faults(text)] == ["accounts.acme-us.auth_tokn"]


def test_numbers_that_need_a_country_say_so() -> None:
    text = DESKS.replace('country = "US"\n', "", 1) + "[portals.1]\naccounts = []"
    text = text.replace("+1 202 555 0144", "(202) 555-0144").replace("+1 202 555 0145", "x")
    hint = "not a phone number (one in national form needs the option country)"
    assert faults(text) == [
        f"accounts.front-desk.numbers[{index}].number: {hint}" for index in (1, 2)
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f'{TWILIO}[portals.62515\naccounts = ["acme-us"]', "line 7"),
        (f"{TWILIO}{TWILIO}", "line 8"),
        (f'a = 1\nb = "{TOKEN}\nc = "+12025550143"', "line 2"),
        (f'a = "{TOKEN}"\na = "{TOKEN}"\n', "line 2"),
        ('{"accounts": {}}', "line 1"),
    ],
)
def test_broken_toml_is_a_fault_with_its_line(text: str, where: str) -> None:
    found = faults(text)
    assert len(found) == 1
    assert found[0].startswith("the directory is not TOML: ")
    assert where in found[0]


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 100_000])
def test_toml_beyond_all_bounds_is_a_fault(text: str) -> None:
    assert faults(text)[0].startswith("the directory is not TOML: ")


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
    source = Source(ENVIRON, str(file))
    lookup = Lookup(source, 5)
    assert len(lookup.look_up(62515, 1).numbers) == 5
    write(file, DESKS + '[portals.62515]\naccounts = ["front-desk"]')
    assert len(lookup.look_up(62515, 1).numbers) == 3
    write(file, DESKS + "[portals.7]\naccounts = []")
    assert lookup.look_up(62515, 1).numbers == []


def test_a_file_replaced_by_another_is_taken_up(file: Path, tmp_path: Path) -> None:
    source = Source(ENVIRON, str(file))
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
    source = Source(ENVIRON, str(file))
    before = source.current()
    BREAK[kind](file)
    with caplog.at_level(logging.INFO, "providers"):
        for _ in range(5):
            assert source.current() is before
    assert [record.message for record in caplog.records] == ["directory_refused"]
    logged = vars(caplog.records[0])["faults"]
    assert len(logged) == source.refused
    assert TOKEN not in str(logged)
    assert "55501" not in str(logged)


def test_a_file_put_right_is_taken_up_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = Source(ENVIRON, str(file))
    file.unlink()
    source.current()
    caplog.clear()
    write(file, (DESKS + PORTAL).replace("62515", "7"))
    with caplog.at_level(logging.INFO, "providers"):
        assert set(source.current().portals) == {7}
    assert source.refused == 0
    assert [record.message for record in caplog.records] == ["directory_loaded"]


def test_a_broken_file_is_a_fault_at_the_start(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Faults, match=r"none\.toml: cannot be read \(No such file or directory\)"):
        Source(ENVIRON, str(tmp_path / "none.toml"))
    with pytest.raises(Faults, match=r"cannot be read \(Is a directory\)"):
        Source(ENVIRON, str(tmp_path))
    file.write_bytes(b"\xff")
    with pytest.raises(Faults, match=r"directory\.toml: cannot be read \(it is not UTF-8\)"):
        Source(ENVIRON, str(file))
    write(file, "[")
    with pytest.raises(Faults, match=r"directory\.toml is not TOML: "):
        Source(ENVIRON, str(file))
    write(file, "")
    with pytest.raises(Faults, match="portals: there are none"):
        Source(ENVIRON, str(file))


def test_accounts_that_did_not_change_stay_the_same(file: Path) -> None:
    write(file, TWILIO + DESKS + PORTAL)
    source = Source(ENVIRON, str(file))
    before = dict(source.current().accounts)
    write(file, TWILIO + DESKS.replace("Sales", "Verkauf") + PORTAL + "users = 'none'")
    after = source.current().accounts
    assert after["acme-us"] is before["acme-us"]
    assert after["back-office"] is before["back-office"]
    assert after["front-desk"] is not before["front-desk"]
    write(file, TWILIO.replace("AC0", "AC1").replace("acme-us", "acme") + DESKS + PORTAL)
    assert set(source.current().accounts) == {"acme", "front-desk", "back-office"}


def test_threads_may_ask_while_the_file_is_edited(file: Path) -> None:
    source = Source(ENVIRON, str(file))
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
    source = Source(ENVIRON, None, DESKS + PORTAL)
    assert source.current() is source.current()
    assert set(source.current().portals) == {62515}


# One account from the environment


def one_account(environ: dict[str, str], provider: str = "static") -> tuple[Provider | None, str]:
    found: list[str] = []
    return read_account(environ, provider, found), "\n".join(found)


def test_one_account_serves_only_the_portals_listed() -> None:
    account, _ = one_account({"STATIC_NUMBERS": '[{"number": "+12025550143"}]'})
    assert account
    lookup = Lookup(OneAccount(account, (62515, 7)), 5)
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
