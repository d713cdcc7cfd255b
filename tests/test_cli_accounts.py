"""`flask accounts` and `flask portals`, with a real database."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.testing.carrier import Carrier
from tests.support.carrier import SID, TOKEN
from tests.support.commands import Done, here
from tests.support.postgres import KEY

Run = Callable[..., Done]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    url = f"sqlite:///{tmp_path}/numbers.db"
    return {"HUBSPOT_CLIENT_SECRET": "x", "DATABASE_URL": url, "ENCRYPTION_KEYS": KEY}


@pytest.fixture
def run(settings: dict[str, str]) -> Run:
    def run(*arguments: str, stdin: str = "") -> Done:
        done = here(settings, *arguments, stdin=stdin)
        assert TOKEN not in done.stdout + done.stderr
        return done

    return run


def test_an_account_is_set_tried_shown_and_removed(
    run: Run,
    carrier: Carrier,
    settings: dict[str, str],
    tmp_path: Path,
) -> None:
    options = ("--provider", "twilio", f"account_sid={SID}", f"base_url={carrier.url}")
    assert "--ask auth_token" in run("accounts", "set", "us", *options).stderr
    done = run("accounts", "set", "us", *options, "--ask", "auth_token", stdin=f"{TOKEN}\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(run("accounts", "show", "us", "--json").stdout) == {
        "name": "us",
        "provider": "twilio",
        "account_sid": SID,
        "base_url": carrier.url,
        "auth_token": "***",
    }
    assert "us: 20 numbers, 14 can take calls" in run("accounts", "test", "us").stdout
    assert TOKEN.encode() not in (tmp_path / "numbers.db").read_bytes()
    (tmp_path / "secret").write_text("wrong\n")
    file = f"auth_token={tmp_path}/secret"
    assert run("accounts", "set", "us", "--secret-file", file).returncode == 0
    assert "401" in run("accounts", "test", "us").stderr
    assert run("portals", "set", "62515", "--account", "us", "--users", "own").returncode == 0
    assert json.loads(run("accounts", "list", "--json").stdout) == [
        {"name": "us", "provider": "twilio", "portals": 1}
    ]
    assert "portals use us: 62515" in run("accounts", "remove", "us").stderr
    assert run("portals", "remove", "62515").returncode == 0
    assert run("accounts", "remove", "us").returncode == 0
    assert "There are none" in run("accounts", "list").stdout


def test_a_secret_is_never_an_argument(run: Run) -> None:
    done = run("accounts", "set", "us", "--provider", "twilio", "auth_token=sesame")
    assert done.returncode == 2
    assert "--secret-file auth_token=FILE" in done.stderr
    assert "sesame" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["accounts", "set", "us"], "give --provider"),
        (["accounts", "set", "us", "--provider", "twillio"], "twilio"),
        (["accounts", "set", "d", "--provider", "static", "numbers=[1"], "numbers is not JSON"),
        (
            ["accounts", "set", "d", "--provider", "static", "number=1"],
            "accounts.d.number: no s",
        ),
        (["accounts", "show", "us"], "no account us"),
        (["accounts", "test", "us"], "no account us"),
        (["accounts", "remove", "us"], "no account us"),
        (["portals", "set", "7", "--account", "us"], "portals.7.accounts[0]: no account 'us'"),
        (["portals", "set", "7"], "portals.7.accounts: missing"),
        (["portals", "show", "7"], "portal 7 is not in the database"),
        (["portals", "remove", "7"], "portal 7 is not in the database"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    run: Run, arguments: list[str], said: str
) -> None:
    done = run(*arguments)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert run("directory", "export").stdout.strip() == "[accounts]\n\n[portals]"


def test_a_portals_rules_come_from_a_file(
    run: Run,
    settings: dict[str, str],
    tmp_path: Path,
) -> None:
    numbers = 'numbers=[{"number": "+12025550143", "name": "Front"}, {"number": "+12025550144"}]'
    assert run("accounts", "set", "desk", "--provider", "static", numbers).returncode == 0
    rules = tmp_path / "rules.toml"
    rules.write_text('[portals.7]\naccounts = ["desk"]\n[portals.7.user.1001]\nnames = ["Front"]')
    assert run("portals", "set", "7", "--from", str(rules)).returncode == 0
    shown = run("numbers", "--portal-id", "7", "--user-id", "1001").stdout
    assert "+12025550143" in shown
    assert "+12025550144" not in shown
    (tmp_path / "token").write_text("pat-na1-of-tests")
    done = run("portals", "set", "7", "--token-file", str(tmp_path / "token"))
    assert done.returncode == 0
    assert "'***'" in run("portals", "show", "7").stdout
    assert "+12025550144" not in run("numbers", "--portal-id", "7", "--user-id", "1001").stdout
    assert "7  active" in run("portals", "list").stdout.replace("       7", "7")
