"""Changes of accounts, portals and rules: checked by what checks a directory file, one after the
other, and told in the audit. The commands and the management API make them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from helpdesk_numbers.directory.toml import build, resolve
from providers.base.options import Faults, Problems

from . import audit, rows
from .encryption import Encryption
from .engine import LOCK_S, locked
from .hiding import unhide
from .opening import Database
from .rows import Table, Undeciphered
from .storable import check_account, check_rules, is_name
from .tables import accounts, portal_accounts, portals, rules

LOCK = 5_721_377_294_118
"""The advisory lock's number, which is ours alone."""

MOST_NAMED = 5
"""So many portals are named that use an account."""


NOT_DECRYPTED = (
    "there is none that can be decrypted with any of ENCRYPTION_KEYS: give it anew, leave it out,"
    " or set the key that it was encrypted with"
)


class InUse(Exception):
    """Portals use the account that is to be removed."""

    def __init__(self, name: str, portal_ids: list[int]) -> None:
        users = ", ".join(map(str, portal_ids))
        super().__init__(f"portals use {name}: {users}. Change these first.")


class Stored(NamedTuple):
    """An account or portal as it is in the database, and the number of its last change."""

    table: Table
    revision: int


class StoredRule(NamedTuple):
    """A user's or team's rule: its key as it is written in the portal, else as asked for; its
    table, None if there is no such rule; and the number of the portal's last change."""

    key: str
    table: Table | None
    revision: int


@contextmanager
def editing(
    database: Database, who: str, environ: Mapping[str, str] | None = None
) -> Iterator["Editor"]:
    """Begin changes while nobody else makes any. They are kept unless an error is raised.

    `environ` is what `env:NAME` is taken from; without it, no value may be one.
    """
    with locked(database.engine, LOCK, LOCK_S) as connection:
        yield Editor(connection, database.encryption, who, environ)


class Reader:
    """Accounts and portals as they are, within one transaction; with HIDDEN for each secret unless
    there is `encryption`."""

    def __init__(self, connection: Connection, encryption: Encryption | None = None) -> None:
        self._connection, self._encryption = connection, encryption

    def account(self, name: str) -> Stored | None:
        """Return the account of that name, None if there is none."""
        if not is_name(name):
            return None
        return self._accounts(accounts.c.name == name, 1).get(name)

    def accounts_after(self, name: str, limit: int) -> dict[str, Stored]:
        """Return the next accounts in the order of their names."""
        return self._accounts(accounts.c.name > name, limit)

    def _accounts(self, which: ColumnElement[bool], limit: int) -> dict[str, Stored]:
        columns = accounts.c.name, accounts.c.revision
        asked = select(*columns).where(which).order_by(accounts.c.name).limit(limit)
        revisions = {row.name: row.revision for row in self._connection.execute(asked)}
        found = rows.all_accounts(self._connection, self._encryption, revisions)
        return {name: Stored(found[name], revision) for name, revision in revisions.items()}

    def portal(self, portal_id: int) -> Stored | None:
        """Return the portal of that id, None if there is none."""
        return self._portals(portals.c.id == portal_id, 1).get(portal_id)

    def portals_after(self, portal_id: int, limit: int) -> dict[int, Stored]:
        """Return the next portals in the order of their ids."""
        return self._portals(portals.c.id > portal_id, limit)

    def rule(self, portal_id: int, kind: str, key: str) -> StoredRule | None:
        """Return the rule for a user or a team, `kind`, whatever the case of its key; None if there
        is no such portal."""
        active = (portals.c.id == portal_id) & (portals.c.state == "active")
        revision = self._connection.scalar(select(portals.c.revision).where(active))
        if revision is None:
            return None
        of_kind = (rules.c.portal_id == portal_id) & (rules.c.kind == kind)
        same, key = key.strip().casefold(), key.strip()
        for written in self._connection.scalars(select(rules.c.key).where(of_kind)):
            if written.strip().casefold() == same:
                found = self._connection.scalar(
                    select(rules.c.rule).where(of_kind, rules.c.key == written)
                )
                return StoredRule(written, found and json.loads(found), revision)
        return StoredRule(key, None, revision)

    def _portals(self, which: ColumnElement[bool], limit: int) -> dict[int, Stored]:
        which &= portals.c.state == "active"
        columns = portals.c.id, portals.c.revision
        asked = select(*columns).where(which).order_by(portals.c.id).limit(limit)
        revisions = {row.id: row.revision for row in self._connection.execute(asked)}
        found = rows.all_portals(self._connection, self._encryption, revisions)
        return {number: Stored(found[number], revision) for number, revision in revisions.items()}


class Editor(Reader):
    """What may be done with accounts and portals, within one transaction. `shown` is how they are
    then, with HIDDEN for each secret.

    What puts raises Faults, with every fault by its place in a directory file.
    """

    def __init__(
        self,
        connection: Connection,
        encryption: Encryption,
        who: str,
        environ: Mapping[str, str] | None,
    ) -> None:
        super().__init__(connection)
        self.shown = Reader(connection)
        self._encryption: Encryption = encryption
        self._who, self._environ = who, environ

    def put_account(self, name: str, table: Mapping[str, Any]) -> bool:
        """Make an account of this table; return whether that changes anything."""
        stored = self.account(name)
        before = stored.table if stored else None
        problems = Problems()
        at = problems.at("accounts").at(name)
        check_account(name, table, at)
        table = unhide(table, before, at)
        table = self._check("accounts", name, table, {}, problems)
        if before == table and not isinstance(before, Undeciphered):
            return False
        if before and before.get("country") != table.get("country"):
            self._check_portals(name, table)
        rows.put_accounts(self._connection, self._encryption, {name: table})
        self._record("account", name, before, table)
        return True

    def put_portal(self, portal_id: int, table: Mapping[str, Any]) -> bool:
        """Make a portal of this table; return whether that changes anything."""
        stored = self.portal(portal_id)
        before = stored.table if stored else None
        problems = Problems()
        at = problems.at("portals").at(str(portal_id))
        table = unhide(rows.normal(table), before, at)
        check_rules(table, at)
        if table.get("token") == "":
            lost = before is not None and before.get("token") == ""
            at.at("token").add(
                NOT_DECRYPTED if lost else "it is empty: leave it out if there is none"
            )
        known = self._accounts_of(table)
        table = self._check("portals", str(portal_id), table, known, problems)
        if before == table:
            return False
        rows.put_portals(self._connection, self._encryption, {portal_id: table})
        self._record("portal", portal_id, before, table)
        return True

    def put_rule(self, portal_id: int, kind: str, key: str, table: Mapping[str, Any]) -> bool:
        """Make a rule of this table, in a portal that is there; return whether that changes
        anything. The portal's other rules and its token are not looked at."""
        before = self.rule(portal_id, kind, key)
        asked = select(portal_accounts.c.account).where(portal_accounts.c.portal_id == portal_id)
        names = [*self._connection.scalars(asked.order_by(portal_accounts.c.position))]
        portal: Table = {"accounts": names, kind: {key: dict(table)}}
        problems = Problems()
        check_rules(portal, problems.at("portals").at(str(portal_id)))
        known = self._accounts_of(portal)
        rule = self._check("portals", str(portal_id), portal, known, problems)[kind][key]
        if before and before.table == rule:
            return False
        rows.put_rule(self._connection, portal_id, kind, key, rule)
        self._record_rule(portal_id, kind, key, before.table if before else None, rule)
        return True

    def remove_rule(self, portal_id: int, kind: str, key: str) -> bool:
        """Remove a rule; return whether there was one."""
        before = self.rule(portal_id, kind, key)
        if before is None or before.table is None:
            return False
        rows.delete_rule(self._connection, portal_id, kind, before.key)
        self._record_rule(portal_id, kind, before.key, before.table, None)
        return True

    def _record_rule(
        self, portal_id: int, kind: str, key: str, before: Table | None, after: Table | None
    ) -> None:
        """Tell the audit what the portal had, and has, of this rule alone."""
        had, has = ({} if rule is None else {kind: {key: rule}} for rule in (before, after))
        self._record("portal", portal_id, had, has)

    def remove_account(self, name: str) -> bool:
        """Remove an account that no portal uses, else InUse; return whether there was one."""
        if (stored := self.account(name)) is None:
            return False
        if using := self._portals_using(name, MOST_NAMED):
            raise InUse(name, using)
        rows.delete_accounts(self._connection, [name])
        self._record("account", name, stored.table, None)
        return True

    def remove_portal(self, portal_id: int) -> bool:
        """Remove a portal with its rules; return whether there was one."""
        if (stored := self.portal(portal_id)) is None:
            return False
        rows.delete_portals(self._connection, [portal_id])
        self._record("portal", portal_id, stored.table, None)
        return True

    def _check(
        self, kind: str, key: str, table: Table, known: Mapping[str, Table], problems: Problems
    ) -> Table:
        """The table with its variables' values, if it is good."""
        table = resolve(table, self._environ, problems.at(kind).at(key))
        tables: dict[str, Any] = {"accounts": known, "portals": {}}
        build({**tables, kind: {key: table}}, None, None, problems)
        if faults := [line for line in problems.lines if line.place.startswith(f"{kind}.")]:
            raise Faults(faults)
        return {key: _without_nulls(value) for key, value in table.items() if value is not None}

    def _check_portals(self, name: str, table: Table) -> None:
        """Numbers in rules are national where all accounts are of one country."""
        for portal_ids in rows.chunks(self._portals_using(name)):
            using = rows.all_portals(self._connection, None, portal_ids)
            named = {one for portal in using.values() for one in portal["accounts"]}
            known = rows.all_accounts(self._connection, None, named)
            tables = {
                "accounts": {**known, name: table},
                "portals": {str(portal_id): portal for portal_id, portal in using.items()},
            }
            problems = Problems()
            build(tables, None, None, problems)
            if faults := [line for line in problems.lines if line.place.startswith("portals.")]:
                raise Faults(faults)

    def _accounts_of(self, portal: Table) -> dict[str, Table]:
        """The accounts that a portal names, without their secrets: rules need their countries."""
        named = portal.get("accounts")
        names = filter(is_name, named if isinstance(named, list) else ())
        return rows.all_accounts(self._connection, None, names)

    def _portals_using(self, name: str, most: int | None = None) -> list[int]:
        asked = select(portal_accounts.c.portal_id).where(portal_accounts.c.account == name)
        return [*self._connection.scalars(asked.distinct().limit(most))]

    def _record(
        self, kind: str, name: str | int, before: Table | None, after: Table | None
    ) -> None:
        audit.record(self._connection, self._who, [audit.Entry(kind, name, before, after)])


def _without_nulls(value: Any) -> Any:
    """The value less what is null in its tables: TOML has none."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [*map(_without_nulls, value)] if isinstance(value, list) else value
