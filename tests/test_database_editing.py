"""Changes of accounts and portals in a database: what is refused, what is kept, what is told."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from helpdesk_numbers.database import audit
from helpdesk_numbers.database.editing import InUse, Reader, editing
from helpdesk_numbers.database.opening import Database, open_database
from helpdesk_numbers.service import Service
from providers.base.options import Faults
from tests.support.postgres import KEY

US = {"provider": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": "sesame"}
GERMAN = {**US, "country": "DE"}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    settings = {
        "HUBSPOT_CLIENT_SECRET": "x",
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": KEY,
    }
    database = open_database(Service(settings).settings)
    yield database
    database.engine.dispose()


def put(database: Database, name: str | int, table: dict[str, Any]) -> bool:
    with editing(database, "a test") as editor:
        if isinstance(name, int):
            return editor.put_portal(name, table)
        return editor.put_account(name, table)


def stored(database: Database, name: str) -> dict[str, Any]:
    with database.engine.connect() as connection:
        found = Reader(connection, database.encryption).account(name)
    assert found
    return found.table


def faults(database: Database, name: str | int, table: dict[str, Any]) -> str:
    with pytest.raises(Faults) as raised:
        put(database, name, table)
    return str(raised.value)


def test_what_is_put_again_changes_nothing(database: Database) -> None:
    assert put(database, "us", US)
    assert not put(database, "us", US)
    assert put(database, 7, {"accounts": ["us"]})
    assert not put(database, 7, {"accounts": ["us"], "users": "all", "user": {}})


def test_stars_stand_for_the_secret_that_is_stored(database: Database) -> None:
    assert "auth_token: *** stands for" in faults(database, "us", {**US, "auth_token": "***"})
    put(database, "us", US)
    assert put(database, "us", {**US, "auth_token": "***", "country": "US"})
    assert stored(database, "us")["auth_token"] == "sesame"


@pytest.mark.parametrize(
    "change", [{"base_url": "https://elsewhere.example"}, {"provider": "signalwire"}]
)
def test_a_secret_does_not_go_elsewhere_unless_it_is_given_anew(
    database: Database, change: dict[str, str]
) -> None:
    put(database, "us", US)
    assert "give it anew" in faults(database, "us", {**US, "auth_token": "***", **change})
    assert "base_url" not in stored(database, "us")


def test_who_edits_without_the_variables_cannot_read_them(database: Database) -> None:
    said = faults(database, "us", {**US, "auth_token": "env:HUBSPOT_CLIENT_SECRET"})
    assert "accounts.us.auth_token: a variable's value is taken by files" in said


def test_a_country_does_not_take_the_meaning_from_rules_of_portals(database: Database) -> None:
    put(database, "berlin", GERMAN)
    put(database, 7, {"accounts": ["berlin"], "user": {"5": {"numbers": ["030 901820"]}}})
    said = faults(database, "berlin", {**GERMAN, "country": "US"})
    assert "portals.7.user.5.numbers[0]: not a phone number" in said
    assert stored(database, "berlin")["country"] == "DE"


def test_an_account_in_use_is_not_removed(database: Database) -> None:
    put(database, "us", US)
    put(database, 7, {"accounts": ["us"]})
    with pytest.raises(InUse, match="portals use us: 7"), editing(database, "a test") as editor:
        editor.remove_account("us")
    assert stored(database, "us") == US


@pytest.mark.parametrize("name", ["", " us", "u\0s", "x" * 101])
def test_a_name_that_nobody_could_read_is_refused(database: Database, name: str) -> None:
    assert "a name has 1 to 100 characters" in faults(database, name, US)


def test_the_audit_says_who_changed_what_without_secrets(database: Database) -> None:
    put(database, "us", US)
    put(database, "us", {**US, "country": "US"})
    put(database, 7, {"accounts": ["us"], "token": "pat-na1-sesame"})
    with editing(database, "somebody") as editor:
        assert editor.remove_portal(7)
    with database.engine.connect() as connection:
        told = audit.newest(connection, 10)
        of_us = audit.newest(connection, 10, kind="account", name="us")
        older = audit.newest(connection, 10, before=told[1]["id"])
    assert [(one["who"], one["kind"], one["name"]) for one in told] == [
        ("somebody", "portal", "7"),
        ("a test", "portal", "7"),
        ("a test", "account", "us"),
        ("a test", "account", "us"),
    ]
    assert told[1]["before"] is None
    assert told[0]["after"] is None
    assert told[0]["before"] == {"accounts": ["us"], "users": "all", "token": "***"}
    assert [one["after"].get("country") for one in of_us] == ["US", None]
    assert older == told[2:]
    assert "sesame" not in str(told)


def test_changes_of_the_same_portal_wait_for_each_other(database: Database) -> None:
    put(database, "us", US)

    def add(user_id: int) -> None:
        with editing(database, "a test") as editor:
            found = editor.portal(7)
            table: dict[str, Any] = found.table if found else {"accounts": ["us"]}
            rules = {**table.get("user", {}), str(user_id): {"names": ["F*"]}}
            editor.put_portal(7, {**table, "user": rules})

    threads = [threading.Thread(target=add, args=[user_id]) for user_id in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.engine.connect() as connection:
        found = Reader(connection).portal(7)
    assert found
    assert len(found.table["user"]) == 8
