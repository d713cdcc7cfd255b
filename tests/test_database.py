"""The directory in a database, on a real PostgreSQL and on SQLite."""

import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from helpdesk_numbers.database import rows, schema
from helpdesk_numbers.database.encryption import Encryption, Undecipherable, new_key
from helpdesk_numbers.database.engine import connect
from helpdesk_numbers.directory.database import FRESH_S, DatabaseDirectory
from helpdesk_numbers.directory.model import OWN, DirectoryUnavailable
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError
from providers.base.provider import Query
from tests.support.accounts import wait_until
from tests.support.clock import Clock
from tests.support.postgres import KEY

TEXT = """
[accounts.us]
provider = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = "a-token-of-tests"
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Front" }]
[portals.62515]
accounts = ["desk", "us"]
users = "own"
token = "pat-na1-of-tests"
[portals.62515.user.1001]
accounts = ["desk"]
[portals.62515.team."Support"]
names = ["F*"]
[portals.7]
accounts = ["us"]
"""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    schema.upgrade(engine)
    yield engine
    engine.dispose()


def fill(engine: Engine, encryption: Encryption, toml: str = TEXT) -> None:
    tables = tomllib.loads(toml)
    with engine.begin() as connection:
        rows.put_accounts(connection, encryption, tables["accounts"])
        portals = {int(portal_id): table for portal_id, table in tables["portals"].items()}
        rows.put_portals(connection, encryption, portals)


class Desk:
    """A directory, its clock, and what it asked the database."""

    def __init__(self, engine: Engine, *keys: str) -> None:
        self.engine, self.encryption, self.clock = engine, Encryption(keys or [KEY]), Clock()
        self.source = DatabaseDirectory(engine, self.encryption, 600, self.clock)
        self.asked: list[str] = []
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != "BEGIN":  # which SQLite wants to be told
            self.asked.append(statement)

    def later(self, seconds: float = FRESH_S + 0.1) -> None:
        self.clock.now += seconds


@pytest.fixture
def desk(engine: Engine) -> Desk:
    made = Desk(engine)
    fill(engine, made.encryption)
    made.asked.clear()
    return made


def test_the_schema_is_made_once_whoever_comes_first(database_url: str) -> None:
    done: list[bool] = []

    def upgrade() -> None:
        own = connect(database_url)
        done.append(schema.upgrade(own))
        own.dispose()

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, False, False, True]
    engine = connect(database_url)
    assert schema.status(engine) == schema.newest()
    engine.dispose()


def test_many_may_be_the_first_to_connect_to_a_new_file(tmp_path: Path) -> None:
    """Without another try, one in a hundred finds the file locked."""
    connected: list[int] = []

    def connect_first(path: Path, others: threading.Barrier) -> None:
        engine = connect(f"sqlite:///{path}")
        others.wait()
        with engine.connect() as connection:
            connected.append(connection.scalar(text("SELECT 1")))
        engine.dispose()

    for number in range(50):
        path, others = tmp_path / f"{number}.db", threading.Barrier(8)
        threads = [threading.Thread(target=connect_first, args=(path, others)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert connected == [1] * 400


def test_a_newer_schema_is_refused_in_words(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError) as raised:
        Service(settings(database_url)).directory  # noqa: B018
    assert "schema (9999) is newer than this version knows" in raised.value.faults[0]


def test_the_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from helpdesk_numbers.database.tables import METADATA

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def settings(url: str, **more: str) -> dict[str, str]:
    return {"HUBSPOT_CLIENT_SECRET": "x", "DATABASE_URL": url, "ENCRYPTION_KEYS": KEY, **more}


def test_a_portal_is_read_as_it_was_at_one_moment(desk: Desk, database_url: str) -> None:
    def change(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM rules" in statement and desk.asked.count(statement) == 1:
            other = connect(database_url)
            with other.begin() as connection:
                table = {"accounts": ["desk"], "users": "none"}
                rows.put_portals(connection, desk.encryption, {62515: table})
            other.dispose()

    event.listen(desk.engine, "before_cursor_execute", change)
    before = desk.source.of(62515).portals[62515]
    assert (before.accounts, before.users, [*before.rules]) == (("desk", "us"), OWN, [1001])
    desk.later()
    after = desk.source.of(62515).portals[62515]
    assert (after.accounts, after.users, [*after.rules]) == (("desk",), "none", [])


def test_a_portal_is_read_by_two_queries_and_then_looked_at_by_one(desk: Desk) -> None:
    first = desk.source.of(62515)
    assert len(desk.asked) == 2
    assert first.portals[62515].accounts == ("desk", "us")
    assert list(first.portals) == [62515]
    assert desk.source.of(62515) is first
    assert len(desk.asked) == 2
    desk.later()
    assert desk.source.of(62515) is first
    assert len(desk.asked) == 3


def test_portals_share_accounts_and_an_unchanged_account_stays(desk: Desk) -> None:
    one, other = desk.source.of(62515), desk.source.of(7)
    assert one.accounts["us"] is other.accounts["us"]
    changed = TEXT.replace('names = ["F*"]', 'names = ["G*"]').replace("Front", "Rear")
    fill(desk.engine, desk.encryption, changed)
    desk.later()
    after = desk.source.of(62515)
    assert after.portals[62515].teams["support"].names == ("G*",)
    assert after.accounts["us"] is one.accounts["us"]
    assert after.accounts["desk"] is not one.accounts["desk"]


def test_a_portal_that_is_not_there_has_no_numbers_and_is_remembered(desk: Desk) -> None:
    assert desk.source.of(99).portals == {}
    asked = len(desk.asked)
    assert desk.source.of(99).portals == {}
    assert len(desk.asked) == asked
    with desk.engine.begin() as connection:
        assert rows.delete_portals(connection, [7, 8]) == 1
    desk.source.of(7)
    assert desk.source.of(7).portals == {}


def test_secrets_are_encrypted_and_bound_to_their_place(desk: Desk) -> None:
    with desk.engine.begin() as connection:
        for table in ("accounts", "portals"):
            found = connection.execute(text(f"SELECT * FROM {table}"))  # noqa: S608
            shown = str(found.fetchall())
            assert "of-tests" not in shown
        moved = text("UPDATE accounts SET name = 'eu' WHERE name = 'us'")
        connection.execute(text("UPDATE portal_accounts SET account = 'desk' WHERE portal_id = 7"))
        connection.execute(text("DELETE FROM portal_accounts WHERE account = 'us'"))
        connection.execute(moved)
        insert = "INSERT INTO portal_accounts VALUES (62515, 5, 'eu')"
        connection.execute(text(insert))
    directory = desk.source.of(62515)
    with pytest.raises(Exception, match="cannot be decrypted"):
        directory.accounts["eu"].ask(Query())


def test_with_a_lost_key_those_accounts_are_refused_and_the_others_go_on(desk: Desk) -> None:
    with_another = Desk(desk.engine, new_key())
    directory = with_another.source.of(62515)
    assert [n.number for n in directory.accounts["desk"].ask(Query())] == ["+12025550143"]
    with pytest.raises(Exception, match="ENCRYPTION_KEYS") as raised:
        directory.accounts["us"].ask(Query())
    assert type(raised.value).__name__ == "Refused"
    assert "write them anew" in raised.value.remedy  # type: ignore[attr-defined]
    rotated = Desk(desk.engine, new_key(), KEY)
    assert rotated.source.of(62515).accounts["us"].options.auth_token == "a-token-of-tests"  # type: ignore[attr-defined]


def test_a_ciphertext_is_of_one_place() -> None:
    encryption = Encryption([KEY])
    encrypted = encryption.encrypt("secret", "accounts", "us", "secrets")
    assert encryption.decrypt(encrypted, "accounts", "us", "secrets") == "secret"
    for place in (("accounts", "eu", "secrets"), ("portals", "us", "secrets"), ("accounts", "us")):
        with pytest.raises(Undecipherable):
            encryption.decrypt(encrypted, *place)
    assert not Encryption([new_key(), KEY]).is_newest(encrypted, "accounts", "us", "secrets")


@pytest.mark.parametrize("key", ["", "short", "x" * 44])
def test_what_is_no_key_is_a_fault_that_shows_nothing(key: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Service(settings("sqlite://", ENCRYPTION_KEYS=key)).directory  # noqa: B018
    (fault,) = raised.value.faults
    assert fault.startswith("ENCRYPTION_KEYS: missing")
    assert "xxx" not in fault


def test_the_faults_of_url_and_keys_come_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        Service(settings("mysql://x", ENCRYPTION_KEYS="")).directory  # noqa: B018
    names = [fault.partition(":")[0] for fault in raised.value.faults]
    assert names == ["DATABASE_URL", "ENCRYPTION_KEYS"]


def test_while_the_database_is_away_what_was_read_stands_in(desk: Desk) -> None:
    known = desk.source.of(62515)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.engine, "connect", away)
        desk.later()
        assert desk.source.of(62515) is known
        with pytest.raises(DirectoryUnavailable):
            desk.source.of(7)
        with pytest.raises(DirectoryUnavailable):
            desk.source.current()
        desk.later(601)
        with pytest.raises(DirectoryUnavailable):
            desk.source.of(62515)
    assert desk.source.of(62515) is known
    desk.source.current()


def test_what_is_to_be_read_again_is_no_older_for_it_while_the_database_is_away(
    desk: Desk,
) -> None:
    known = desk.source.of(62515)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.engine, "connect", away)
        for _ in range(300):
            desk.source.forget(62515)
            assert desk.source.of(62515) is known
        desk.later(601)
        with pytest.raises(DirectoryUnavailable):
            desk.source.of(62515)


def test_a_portal_that_is_not_known_takes_one_connection(desk: Desk) -> None:
    taken: list[int] = []
    event.listen(desk.engine, "checkout", lambda *_: taken.append(1))
    desk.source.of(62515)
    assert len(taken) == 1


def away() -> Any:
    from sqlalchemy.exc import OperationalError

    raise OperationalError("SELECT", {}, Exception("away"))


def test_a_database_that_hangs_costs_a_known_portal_one_wait(desk: Desk) -> None:
    known, released = desk.source.of(62515), threading.Event()
    real: Callable[[], Any] = desk.engine.connect

    def hangs() -> Any:
        released.wait(30)
        return real()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.engine, "connect", hangs)
        desk.later()
        assert desk.source.of(62515) is known  # waits once, and knows from then on
        began = time.monotonic()
        for _ in range(20):
            assert desk.source.of(62515) is known
        assert time.monotonic() - began < 5
        released.set()
        wait_until(lambda: not desk.source._reading)


def test_the_service_answers_by_the_database(database_url: str) -> None:
    service = Service(settings(database_url))
    fill(service.database.engine, service.database.encryption)
    result = service.lookup.look_up(62515, 1001)
    assert [number.e164 for number in result.numbers] == ["+12025550143"]
    assert service.lookup.look_up(62515, 1001) is result  # as from a file, for a fixed list
    assert service.directory.counts() == (2, 2)
    service.database.engine.dispose()
