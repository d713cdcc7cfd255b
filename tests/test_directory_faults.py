"""What is wrong with a directory is named by its place, all at once, without a secret."""

import sys
from pathlib import Path

import pytest

from tests.test_directory import DESKS, PORTAL, TOKEN, TWILIO, faults

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
    what = "not an id: HubSpot's are positive integers"
    bare = portal_id.strip("'")
    assert faults(f"[portals.{key}]\naccounts = []") == [f"portals.{bare}: {what}"]
    text = f"[portals.1]\naccounts = []\n[portals.1.user.{key}]"
    what = "not an id or an e-mail address: HubSpot's ids are positive integers"
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


def test_every_faulty_field_is_named_by_its_first_fault() -> None:
    text = f"""{TWILIO.replace("auth_token", "auth_tokn").replace("ACME_TOKEN", "ACME_TOKN")}
        contry = "US"
        [accounts.desk]\nprovider = "static"
        numbers = [{{ number = "+12025550143" }}, {{ number = "env:NONE" }}, {{ name = 7 }}]
        [portals.62515]\naccounts = ["acme-us", "nobody"]\nusers = 7
        [portals.62515.user.1001]\nnames = 7\naccounts = ["desk"]\nnumbers = ["env:NONE", 8, 9]
        [portals.62515.user]\n1002 = "all"\n1003.owner = 7"""
    assert {fault.partition(": ")[0] for fault in faults(text)} == {
        "accounts.acme-us.auth_tokn",
        "accounts.acme-us.contry",
        "accounts.desk.numbers[1].number",
        "portals.62515.accounts[1]",
        "portals.62515.users",
        "portals.62515.user.1001.accounts[0]",
        "portals.62515.user.1001.names",
        "portals.62515.user.1001.numbers[0]",
        "portals.62515.user.1002",
        "portals.62515.user.1003.owner",
    }
    assert len(faults(text)) == 11, "auth_tokn has two"


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


@pytest.mark.parametrize(
    ("module", "fault"),
    [
        ("", "accounts.a.provider: larkline cannot be loaded: AttributeError"),
        ("raise OSError('a-secret')", "accounts.a.provider: larkline cannot be loaded: OSError"),
        ("Larkline = 7", "accounts.a.provider: larkline is no Provider"),
        (
            "from providers import Provider\nclass Larkline(Provider):\n    name = 'larkline'\n"
            "    def __init__(self, *_): raise RuntimeError('a-secret')\n",
            "accounts.a: larkline does not accept these options: RuntimeError",
        ),
    ],
)  # fmt: skip
def test_a_third_partys_adapter_that_fails_is_a_fault_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, fault: str
) -> None:
    (tmp_path / "lark_of_tests.py").write_text(module)
    info = tmp_path / "larkline-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: larkline\nVersion: 1.0\n")
    points = "[helpdesk_numbers.providers]\nlarkline = lark_of_tests:Larkline\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lark_of_tests", raising=False)
    [found] = faults("[accounts.a]\nprovider = 'larkline'\n[portals.1]\naccounts = ['a']")
    assert found.startswith(fault)
