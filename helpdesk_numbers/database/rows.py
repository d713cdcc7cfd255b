"""Accounts and portals as rows, in and out as the tables of a directory file.

Secret options and tokens are encrypted, each for its place. Every change gets a number, its
revision, by which readers see that something is new.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy import Table as SQLTable

from providers.base.options import Secret

from .encryption import Encryption, Undecipherable
from .hiding import HIDDEN, split_secrets
from .tables import accounts, portal_accounts, portals, revisions, rules

T = TypeVar("T")

Table = dict[str, Any]
"""An account or portal, as in a directory file."""


class Undeciphered(dict[str, Any]):
    """An account's table without its secrets, which cannot be decrypted."""


def portal_of(
    encryption: Encryption | None,
    row: Any,
    names: list[str],
    listed: Iterable[tuple[str, str, str]],
) -> Table:
    """Return the portal of a row, its accounts' names and its rules.

    Its token is empty if it cannot be decrypted, and HIDDEN without `encryption`.
    """
    table: Table = {"accounts": names, "users": json.loads(row.users)}
    if row.token:
        table["token"] = Secret(HIDDEN)
    if row.token and encryption:
        try:
            table["token"] = encryption.decrypt(row.token, "portals", str(row.id), "token")
        except Undecipherable:
            table["token"] = Secret()
    for kind, key, rule in sorted(listed):
        table.setdefault(kind, {})[key] = json.loads(rule)
    return table


def account_of(encryption: Encryption | None, row: Any) -> Table:
    """Return the account of a row; Undeciphered if its secrets cannot be had.

    Without `encryption`, each of them is HIDDEN.
    """
    table = {"provider": row.provider, **json.loads(row.options)}
    hidden = [option for option, value in table.items() if value == HIDDEN]
    if encryption is None:
        return {**table, **dict.fromkeys(hidden, Secret(HIDDEN))}
    if row.secrets:
        try:
            secret = encryption.decrypt(row.secrets, "accounts", row.name, "secrets")
        except Undecipherable:
            return Undeciphered((o, value) for o, value in table.items() if o not in hidden)
        table |= {name: _as_secret(value) for name, value in json.loads(secret).items()}
    return table


def _as_secret(value: Any) -> Any:
    return [*map(Secret, value)] if isinstance(value, list) else Secret(value)


def next_revision(connection: Connection) -> int:
    """Return the number of a change that is about to be made."""
    made = connection.execute(insert(revisions).values(at=time.time()))
    (number,) = made.inserted_primary_key or (0,)
    connection.execute(delete(revisions).where(revisions.c.id < number))
    return int(number)


def normal(portal: Mapping[str, Any]) -> Table:
    """Return a portal's table as it is stored: with the default of `users`, and without empty
    tables of rules."""
    return {"users": "all", **{key: value for key, value in portal.items() if value != {}}}


def put_accounts(
    connection: Connection, encryption: Encryption, tables: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write accounts by name, in place of any of these names."""
    number, values = next_revision(connection), []
    for name, table in tables.items():
        plain, secret = split_secrets(table)
        text, plain = json.dumps(secret, default=str), plain | dict.fromkeys(secret, HIDDEN)
        values.append(
            {
                "name": name,
                "provider": table["provider"],
                "options": json.dumps(plain, default=str),
                "secrets": encryption.encrypt(text, "accounts", name, "secrets")
                if secret
                else None,
                "revision": number,
            }
        )
    _upsert(connection, accounts, accounts.c.name, values)


def _upsert(
    connection: Connection, table: SQLTable, key: Column[Any], values: list[dict[str, Any]]
) -> None:
    """Insert these rows, or update those whose key is there."""
    known: set[Any] = set()
    for some in chunks([row[key.name] for row in values]):
        known |= set(connection.scalars(select(key).where(key.in_(some))))
    if new := [row for row in values if row[key.name] not in known]:
        connection.execute(insert(table), new)
    if old := [{**row, "key": row[key.name]} for row in values if row[key.name] in known]:
        connection.execute(update(table).where(key == bindparam("key")), old)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield parts that fit a statement: SQLite takes 32,766 parameters."""
    for start in range(0, len(values), 5_000):
        yield values[start : start + 5_000]


def delete_accounts(connection: Connection, names: Sequence[str]) -> int:
    """Delete accounts that no portal uses; return how many there were."""
    return sum(
        connection.execute(delete(accounts).where(accounts.c.name.in_(some))).rowcount
        for some in chunks(names)
    )


def put_portals(
    connection: Connection, encryption: Encryption, tables: Mapping[int, Mapping[str, Any]]
) -> None:
    """Write portals by id with their rules, in place of any of these ids."""
    number, values = next_revision(connection), []
    for portal_id, table in tables.items():
        token = table.get("token")
        values.append(
            {
                "id": portal_id,
                "users": json.dumps(table.get("users", "all")),
                "token": token and encryption.encrypt(token, "portals", str(portal_id), "token"),
                "state": "active",
                "revision": number,
            }
        )
    _delete_inner(connection, [*tables])
    _upsert(connection, portals, portals.c.id, values)
    named = [
        {"portal_id": portal_id, "position": position, "account": name}
        for portal_id, table in tables.items()
        for position, name in enumerate(table["accounts"])
    ]
    ruled = [
        {"portal_id": portal_id, "kind": kind, "key": key, "rule": json.dumps(rule)}
        for portal_id, table in tables.items()
        for kind in ("user", "team")
        for key, rule in table.get(kind, {}).items()
    ]
    if named:
        connection.execute(insert(portal_accounts), named)
    if ruled:
        connection.execute(insert(rules), ruled)


def delete_portals(connection: Connection, portal_ids: Sequence[int]) -> int:
    """Delete portals with their rules; return how many there were."""
    _delete_inner(connection, portal_ids)
    return sum(
        connection.execute(delete(portals).where(portals.c.id.in_(some))).rowcount
        for some in chunks(portal_ids)
    )


def put_rule(
    connection: Connection, portal_id: int, kind: str, key: str, rule: Mapping[str, Any]
) -> None:
    """Write one rule of a portal that is there."""
    delete_rule(connection, portal_id, kind, key)
    row = {"portal_id": portal_id, "kind": kind, "key": key, "rule": json.dumps(rule)}
    connection.execute(insert(rules), [row])


def delete_rule(connection: Connection, portal_id: int, kind: str, key: str) -> None:
    """Delete one rule; the portal counts as changed."""
    which = (rules.c.portal_id == portal_id) & (rules.c.kind == kind) & (rules.c.key == key)
    connection.execute(delete(rules).where(which))
    number = next_revision(connection)
    connection.execute(update(portals).where(portals.c.id == portal_id).values(revision=number))


def _delete_inner(connection: Connection, portal_ids: Sequence[int]) -> None:
    for inner in (portal_accounts, rules):
        for some in chunks(portal_ids):
            connection.execute(delete(inner).where(inner.c.portal_id.in_(some)))


def all_accounts(
    connection: Connection, encryption: Encryption | None, names: Iterable[str] | None = None
) -> dict[str, Table]:
    """Return the accounts of these names, or all, in the order of their names.

    Without `encryption`, each secret is HIDDEN.
    """
    asked = select(accounts).order_by(accounts.c.name)
    if names is not None:
        asked = asked.where(accounts.c.name.in_([*names]))
    return {row.name: account_of(encryption, row) for row in connection.execute(asked)}


def all_portals(
    connection: Connection, encryption: Encryption | None, portal_ids: Iterable[int] | None = None
) -> dict[int, Table]:
    """Return the portals of these ids, or all, in the order of their ids.

    Without `encryption`, each token is HIDDEN.
    """
    asked_rules, asked_accounts, active = (
        select(table) if portal_ids is None else select(table).where(key.in_(portal_ids))
        for table, key in (
            (rules, rules.c.portal_id),
            (portal_accounts, portal_accounts.c.portal_id),
            (portals, portals.c.id),
        )
    )
    ruled: dict[int, list[tuple[str, str, str]]] = {}
    for portal_id, kind, key, rule in connection.execute(asked_rules):
        ruled.setdefault(portal_id, []).append((kind, key, rule))
    named: dict[int, list[str]] = {}
    ordered = asked_accounts.order_by(portal_accounts.c.position)
    for portal_id, _, name in connection.execute(ordered):
        named.setdefault(portal_id, []).append(name)
    active = active.where(portals.c.state == "active").order_by(portals.c.id)
    return {
        row.id: portal_of(encryption, row, named.get(row.id, []), ruled.get(row.id, ()))
        for row in connection.execute(active)
    }
