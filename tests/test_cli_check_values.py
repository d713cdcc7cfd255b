"""What `flask check` says about values that are well-formed and odd, and about what nobody uses."""

import json
from typing import Any

import pytest

from providers.base.remarks import remarks
from tests.support.commands import here

DESK = """[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143" }]
"""
PORTAL = '[portals.62515]\naccounts = ["desk"]\n'
QUOTED = """[accounts.x]
provider = "telnyx"
api_key = "'k'"
"""
SETTINGS = {"HUBSPOT_CLIENT_SECRET": "a-secret-of-tests", "DIRECTORY_TOML": DESK + PORTAL}


def told(settings: dict[str, str], *arguments: str) -> list[str]:
    done = here(SETTINGS | settings, "check", "--offline", "--json", *arguments)
    return [f"{one['check']}: {one['text']}" for one in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"HUBSPOT_CLIENT_SECRET": '"a-secret"'}, "HUBSPOT_CLIENT_SECRET: it begins and ends with"),
        ({"HUBSPOT_CLIENT_SECRET": "a-\u200bsecret"}, "a character that nobody sees, U+200B"),
        ({"PUBLIC_URL": "https://a.example\u200b"}, "PUBLIC_URL: it holds a character"),
        ({"HUBSPOT_CLIENT_SECRET": "${SECRET}"}, "it is the name of a variable"),
        ({"HUBSPOT_CLIENT_SECRET": "your-client-secret"}, "it looks like a placeholder"),
        ({"HUBSPOT_DEVELOPER_API_KEY": "pat-na1-x"}, "it is an access token"),
        ({"LOOKUP_DEADLNE": "3"}, "nothing reads LOOKUP_DEADLNE (did you mean LOOKUP_DEADLINE?)"),
        ({"PROVIDER": "twilio"}, "PROVIDER is not used, because DIRECTORY_TOML is set"),
        ({"DIRECTORY_TOML": DESK + PORTAL + "#" * 110_000}, "DIRECTORY_TOML has 107 KiB"),
        (
            {"DIRECTORY_TOML": DESK + DESK.replace("desk", "unused") + PORTAL},
            "accounts.unused: no portal names it",
        ),
        (
            {"DIRECTORY_TOML": DESK + QUOTED + PORTAL},
            "accounts.x.api_key: it begins and ends with a quotation mark",
        ),
    ],
)
def test_what_looks_wrong_is_told(settings: dict[str, str], words: str) -> None:
    assert [line for line in told(settings) if words in line], told(settings)


def test_quotes_around_a_whole_list_are_seen() -> None:
    expected = [("secrets", "it begins and ends with a quotation mark")]
    assert list(remarks({"secrets": ['"one', 'two"']})) == expected


def test_what_is_right_is_not_remarked_on() -> None:
    assert not [
        line for line in told({}) if line.startswith("settings: ") and "well-formed" not in line
    ]


@pytest.mark.parametrize(
    ("name", "value", "odd"),
    [
        ("account_sid", "AC" + "0" * 32, False),
        ("account_sid", "ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", True),
        ("account_sid", "AC123", True),
        ("auth_token", "<token>", True),
        ("auth_token", "changeme", True),
        ("auth_token", "“token”", True),
        ("auth_token", "a token", False),
        ("auth_token", "to\u00a0ken", True),
        ("auth_token", "$TOKEN", True),
        ("auth_token", "{{ token }}", True),
        ("auth_token", None, False),
        ("secrets", ("good-one", "'bad'"), True),
    ],
)
def test_a_remark_never_shows_the_value(name: str, value: Any, odd: bool) -> None:
    found = list(remarks({name: value}))
    assert bool(found) is odd
    assert not any("token" in remark.replace("access token", "") for _, remark in found)


@pytest.mark.parametrize("ids", ["62515.0", "62515.", "062515", "1,62515.0"])
def test_an_id_is_a_whole_number_as_hubspot_writes_it(ids: str) -> None:
    single = {"PROVIDER": "static", "STATIC_NUMBERS": '[{"number": "+12025550143"}]'}
    environ = {"HUBSPOT_CLIENT_SECRET": "a-secret-of-tests", "HUBSPOT_PORTAL_IDS": ids, **single}
    done = here(environ, "check", "--offline")
    assert done.returncode == 1
    assert "HUBSPOT_PORTAL_IDS" in done.stdout


def many(count: int) -> str:
    accounts = "".join(DESK.replace("desk", f"desk{n}") for n in range(count))
    names = ", ".join(f'"desk{n}"' for n in range(count))
    return f"{accounts}[portals.1]\naccounts = [{names}]\n"


def test_many_accounts_that_answer_are_one_line() -> None:
    text = (
        many(1300)
        + '[accounts.fax]\nprovider = "static"\nnumbers = []\n[portals.2]\naccounts = ["fax"]'
    )
    done = here(SETTINGS | {"DIRECTORY_TOML": text}, "check", "--offline")
    assert "✓ 1,300 accounts answer" in done.stdout
    assert "✗ account fax" in done.stdout
    assert len(done.stdout.splitlines()) < 20


def test_quiet_shows_only_what_is_wrong() -> None:
    done = here(SETTINGS, "check", "--offline", "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    done = here(SETTINGS | {"HUBSPOT_CLIENT_SECRET": ""}, "check", "--offline", "--quiet")
    assert done.returncode == 1
    assert done.stdout.lstrip().startswith("✗ settings")
    assert "✓" not in done.stdout


def test_one_portal_is_checked_alone() -> None:
    text = (
        DESK
        + PORTAL
        + '[accounts.fax]\nprovider = "static"\nnumbers = []\n[portals.2]\naccounts = ["fax"]'
    )
    settings = {"DIRECTORY_TOML": text}
    assert any(line.startswith("account fax") for line in told(settings))
    assert not any(
        line.startswith("account fax") for line in told(settings, "--portal-id", "62515")
    )
    done = here(SETTINGS | settings, "check", "--offline", "--portal", "7")
    assert done.returncode == 2
    assert "portal 7 is not in the directory" in done.stderr
