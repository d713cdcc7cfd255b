"""`flask directory`, `database` and `keys`, with a real database each."""

import json
from pathlib import Path

import pytest

from helpdesk_numbers.database.editing import editing
from helpdesk_numbers.database.encryption import new_key
from helpdesk_numbers.database.opening import open_database
from helpdesk_numbers.database.schema import newest
from helpdesk_numbers.service import Service
from tests.support.commands import Done, here
from tests.support.postgres import KEY
from tests.test_database import TEXT


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {"HUBSPOT_CLIENT_SECRET": "x", "DATABASE_URL": database_url, "ENCRYPTION_KEYS": KEY}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "directory.toml"
    path.write_text(TEXT)
    return path


def run(settings: dict[str, str], *arguments: str) -> Done:
    done = here(settings, *arguments)
    assert "of-tests" not in done.stderr
    return done


def test_an_import_shows_what_it_would_do_and_does_it_with_apply(
    settings: dict[str, str], file: Path
) -> None:
    dry = run(settings, "directory", "import", str(file))
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines()[:2] == ["+ account us", "+ account desk"]
    assert "Would add 2 accounts, add 2 portals. Nothing was changed" in dry.stdout
    assert run(settings, "directory", "export").stdout.strip() == "[accounts]\n\n[portals]"
    assert "Done: " in run(settings, "directory", "import", str(file), "--apply").stdout
    again = run(settings, "directory", "import", str(file), "--apply")
    assert again.stdout == "Nothing to change.\n"
    shown = run(settings, "numbers", "--portal-id", "62515", "--user-id", "1001").stdout
    assert "+12025550143" in shown
    file.write_text(TEXT.replace("Front", "Rear").partition("[portals.7]")[0])
    changed = json.loads(run(settings, "directory", "import", str(file), "--json").stdout)
    assert changed == [
        {"what": "change", "kind": "account", "name": "desk"},
        {"what": "remove", "kind": "portal", "name": 7},
    ]


def test_a_round_trip_changes_nothing(settings: dict[str, str], file: Path, tmp_path: Path) -> None:
    run(settings, "directory", "import", str(file), "--apply")
    whole = run(settings, "directory", "export", "--with-secrets").stdout
    assert "a-token-of-tests" in whole
    plain = run(settings, "directory", "export").stdout
    assert "of-tests" not in plain
    assert 'auth_token = "env:US_AUTH_TOKEN"' in plain
    assert 'token = "env:PORTAL_62515_TOKEN"' in plain
    file.write_text(whole)
    assert run(settings, "directory", "import", str(file)).stdout == "Nothing to change.\n"
    other = {**settings, "DATABASE_URL": f"sqlite:///{tmp_path}/other.db"}
    variables = {"US_AUTH_TOKEN": "a-token-of-tests", "PORTAL_62515_TOKEN": "pat-na1-of-tests"}
    file.write_text(plain)
    assert run({**other, **variables}, "directory", "import", str(file), "--apply").returncode == 0
    assert run(other, "directory", "export", "--with-secrets").stdout == whole


def test_what_only_a_file_can_hold_is_not_imported(settings: dict[str, str], file: Path) -> None:
    named = TEXT.replace("accounts.desk", 'accounts."front/desk"')
    file.write_text(named.replace('"desk"', '"front/desk"'))
    assert run(settings, "directory", "check", str(file)).returncode == 0
    done = run(settings, "directory", "import", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert "accounts.front/desk: a name has 1 to 100 characters" in done.stderr


def test_who_only_looks_at_an_import_waits_for_nobody(settings: dict[str, str], file: Path) -> None:
    database = open_database(Service(settings).settings)
    with editing(database, "somebody else"):
        assert "Would add" in run(settings, "directory", "import", str(file)).stdout
    database.engine.dispose()


def test_a_file_with_faults_changes_nothing(settings: dict[str, str], file: Path) -> None:
    file.write_text(TEXT.replace('["us"]', '["eu"]').replace('"F*"', "7"))
    for command in (["import", "--apply"], ["check"]):
        done = run(settings, "directory", command[0], str(file), *command[1:])
        assert done.returncode == 1
        assert "nothing was changed" in done.stderr
        assert "portals.7.accounts[0]: no account 'eu'" in done.stderr
        assert "portals.62515.team.Support.names" in done.stderr
    assert run(settings, "directory", "export").stdout.strip() == "[accounts]\n\n[portals]"


def test_ten_thousand_portals_are_imported_whole(settings: dict[str, str], file: Path) -> None:
    tables = "".join(
        f'[accounts.a{i}]\nprovider = "twilio"\naccount_sid = "AC{i:032x}"\nauth_token = "t"\n'
        f'[portals.{i + 1}]\naccounts = ["a{i}"]\nusers = "none"\n[portals.{i + 1}.user.{i + 1}]\n'
        for i in range(2_000)
    )
    file.write_text(tables)
    assert "add 2,000 portals" in run(settings, "directory", "import", str(file), "--apply").stdout
    assert run(settings, "directory", "import", str(file)).stdout == "Nothing to change.\n"
    service = Service(settings)
    assert service.directory.counts() == (2_000, 2_000)
    service.database.engine.dispose()


def test_keys_are_rotated_while_the_old_one_is_still_there(
    settings: dict[str, str], file: Path
) -> None:
    run(settings, "directory", "import", str(file), "--apply")
    new = run({}, "keys", "new").stdout.strip()
    both = {**settings, "ENCRYPTION_KEYS": f"{new},{KEY}"}
    assert json.loads(run(both, "keys", "rotate", "--json").stdout) == {
        "rotated": 2,
        "undecipherable": 0,
    }
    assert json.loads(run(both, "keys", "rotate", "--json").stdout)["rotated"] == 0
    after = {**settings, "ENCRYPTION_KEYS": new}
    assert "a-token-of-tests" in run(after, "directory", "export", "--with-secrets").stdout
    lost = run({**settings, "ENCRYPTION_KEYS": new_key()}, "keys", "rotate")
    assert lost.returncode == 1
    assert "2 secrets cannot be decrypted" in lost.stdout


def test_the_schema_is_shown_and_brought_up_to_date(settings: dict[str, str]) -> None:
    assert run(settings, "database", "status").returncode == 1
    assert f"Brought up to {newest()}" in run(settings, "database", "upgrade").stdout
    assert f"It is at {newest()}" in run(settings, "database", "upgrade").stdout
    assert run(settings, "database", "status").stdout == f"up to date ({newest()})\n"


def test_a_release_without_a_database_has_nothing_to_upgrade() -> None:
    for settings in ({}, {"DATABASE_URL": ""}):
        done = run(settings, "database", "upgrade")
        assert (done.returncode, done.stdout) == (0, "DATABASE_URL is not set: nothing to do.\n")


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    settings = {
        "HUBSPOT_CLIENT_SECRET": "x",
        "DATABASE_URL": "postgresql://numbers:sesame@127.0.0.1:9/numbers",
        "ENCRYPTION_KEYS": KEY,
    }
    for command in (["database", "status"], ["database", "upgrade"], ["directory", "export"]):
        done = here(settings, *command)
        assert done.returncode == 1
        assert "the database cannot be used" in done.stderr
        assert "sesame" not in done.stderr
