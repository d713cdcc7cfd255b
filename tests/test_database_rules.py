"""A user's or team's rule is changed alone: what else the portal has is neither read nor told."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from helpdesk_numbers.database import audit
from helpdesk_numbers.database.editing import Reader, editing
from helpdesk_numbers.database.encryption import Encryption, new_key
from helpdesk_numbers.database.opening import Database, open_database
from helpdesk_numbers.database.tables import portals
from helpdesk_numbers.service import Service
from providers.base.options import Faults
from tests.support.postgres import KEY

PORTAL = {"accounts": ["desk"], "token": "sesame", "team": {"Ops": {"names": ["Main*"]}}}
LONG = "Équipe " * 40


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    settings = {"HUBSPOT_CLIENT_SECRET": "x", "DATABASE_URL": database_url, "ENCRYPTION_KEYS": KEY}
    database = open_database(Service(settings).settings)
    with editing(database, "a test") as editor:
        editor.put_account("desk", {"provider": "static", "numbers": [], "country": "US"})
        editor.put_portal(7, PORTAL)
    yield database
    database.engine.dispose()


def portal(database: Database) -> dict[str, Any]:
    with database.engine.connect() as connection:
        found = Reader(connection, database.encryption).portal(7)
    assert found
    return found.table


def newest(database: Database) -> dict[str, Any]:
    with database.engine.connect() as connection:
        return audit.newest(connection, 1)[0]


def test_the_audit_has_the_rule_alone(database: Database) -> None:
    with editing(database, "anna") as editor:
        assert editor.put_rule(7, "user", "5", {"numbers": ["(202) 555-0143"], "owner": None})
        assert not editor.put_rule(7, "user", "5", {"numbers": ["(202) 555-0143"]})
    rule = {"user": {"5": {"numbers": ["(202) 555-0143"]}}}
    assert portal(database) == {**PORTAL, "users": "all", **rule}
    told = newest(database)
    assert (told["who"], told["name"], told["before"], told["after"]) == ("anna", "7", {}, rule)
    with editing(database, "ben") as editor:
        assert editor.remove_rule(7, "user", "5")
        assert not editor.remove_rule(7, "user", "5")
    assert portal(database) == {**PORTAL, "users": "all"}
    told = newest(database)
    assert (told["who"], told["before"], told["after"]) == ("ben", rule, {})


def test_each_change_of_a_rule_is_one_of_the_portal(database: Database) -> None:
    with editing(database, "a test") as editor:
        revisions = [editor.rule(7, "team", "ops")]
        editor.put_rule(7, "team", "Ops", {"names": ["Side*"]})
        revisions.append(editor.rule(7, "team", " OPS "))
        editor.remove_rule(7, "team", "ops")
        revisions.append(editor.rule(7, "team", "Ops"))
    numbers = [rule.revision for rule in revisions if rule]
    assert numbers == sorted(set(numbers))
    assert [rule.key for rule in revisions if rule] == ["Ops"] * 3
    assert [rule.table for rule in revisions if rule] == [
        {"names": ["Main*"]},
        {"names": ["Side*"]},
        None,
    ]


def test_a_rule_is_checked_as_in_a_file(database: Database) -> None:
    with editing(database, "a test") as editor, pytest.raises(Faults) as raised:
        editor.put_rule(7, "user", "5", {"numbers": ["555"], "accounts": ["dsk"], "nams": []})
    for place in ("numbers[0]: not a phone", "accounts[0]: no account 'dsk'", "nams: no such"):
        assert f"portals.7.user.5.{place}" in str(raised.value)
    with editing(database, "a test") as editor, pytest.raises(Faults, match="255 characters"):
        editor.put_rule(7, "team", LONG, {})
    with editing(database, "a test") as editor, pytest.raises(Faults, match="255 characters"):
        editor.put_portal(7, {**PORTAL, "team": {LONG: {}}})
    assert portal(database) == {**PORTAL, "users": "all"}


def test_a_token_that_cannot_be_decrypted_keeps_nobody_from_a_rule(database: Database) -> None:
    with database.engine.connect() as connection:
        before = connection.scalar(select(portals.c.token))
    other = database._replace(encryption=Encryption([new_key()]))
    with editing(other, "a test") as editor:
        editor.put_rule(7, "user", "5", {})
        editor.remove_rule(7, "team", "Ops")
    with database.engine.connect() as connection:
        assert connection.scalar(select(portals.c.token)) == before
    table = portal(database)
    assert (table["token"], table["user"], "team" in table) == ("sesame", {"5": {}}, False)


def test_an_empty_token_is_not_one_that_was_lost(database: Database) -> None:
    with editing(database, "a test") as editor, pytest.raises(Faults, match="it is empty"):
        editor.put_portal(8, {"accounts": [], "token": ""})
    other = database._replace(encryption=Encryption([new_key()]))
    with editing(other, "a test") as editor, pytest.raises(Faults, match="can be decrypted"):
        editor.put_portal(7, {**PORTAL, "token": ""})


@pytest.mark.parametrize("name", ["a/b", "a ", "", "x" * 101])
def test_a_name_that_no_path_can_have_is_refused(database: Database, name: str) -> None:
    with editing(database, "a test") as editor, pytest.raises(Faults, match="without a slash"):
        editor.put_account(name, {"provider": "static", "numbers": []})


def test_what_is_wrong_is_told_at_once(database: Database) -> None:
    account = {
        "provider": "twilio",
        "account_sid": "AC" + "0" * 32,
        "auth_token": "***",
        "base_url": "https://user:sesame@proxy.example",
        "cuntry": "US",
    }
    with editing(database, "a test") as editor, pytest.raises(Faults) as raised:
        editor.put_account("us", account)
    faults = str(raised.value)
    assert "us.auth_token: *** stands for" in faults
    assert "us.base_url: a user or password in a URL would be shown" in faults
    assert "us.cuntry: no such option" in faults
    assert "sesame" not in faults
