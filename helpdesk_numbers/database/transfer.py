"""The whole directory between TOML and database."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from helpdesk_numbers.directory.toml import build, resolve
from providers.base.options import Faults, Problems

from . import audit, rows
from .encryption import Encryption
from .hiding import split_secrets
from .rows import Table
from .storable import check_account, check_rules


class Tables(NamedTuple):
    """All accounts by name and portals by id."""

    accounts: Mapping[str, Table]
    portals: Mapping[int, Table]


class Change(NamedTuple):
    """What an import does to one account or portal: `add`, `change` or `remove`."""

    what: str
    kind: str
    name: str | int


def read(tables: Mapping[str, Any], environ: Mapping[str, str]) -> Tables:
    """Return the tables of a directory file as they are stored: with the values of its `env:`
    variables, with what is the default of `users`, and without empty tables of rules.

    Raises Faults, with every fault by its place.
    """
    problems = Problems()
    build(tables, environ, None, problems)
    if problems.lines:
        raise Faults(problems.lines)
    resolved = resolve(tables, environ, problems)
    portals = {int(number): rows.normal(table) for number, table in resolved["portals"].items()}
    return Tables(resolved.get("accounts", {}), portals)


def check_storable(tables: Tables) -> None:
    """Check that the database can hold these tables; Faults names what it cannot."""
    problems = Problems()
    for name, table in tables.accounts.items():
        check_account(name, table, problems.at("accounts").at(name))
    for portal_id, table in tables.portals.items():
        check_rules(table, problems.at("portals").at(str(portal_id)))
    if problems.lines:
        raise Faults(problems.lines)


def stored(connection: Connection, encryption: Encryption | None) -> Tables:
    """Return all that the database has; without `encryption`, HIDDEN for each secret."""
    accounts = rows.all_accounts(connection, encryption)
    return Tables(accounts, rows.all_portals(connection, encryption))


def changes(before: Tables, after: Tables) -> list[Change]:
    """Return what makes `before` to `after`."""
    return [
        *_changes("account", before.accounts, after.accounts),
        *_changes("portal", before.portals, after.portals),
    ]


def _changes(kind: str, before: Mapping[Any, object], after: Mapping[Any, object]) -> list[Change]:
    added = [Change("add", kind, name) for name in after if name not in before]
    changed = [
        Change("change", kind, name)
        for name, table in after.items()
        if name in before and before[name] != table
    ]
    return [*added, *changed, *(Change("remove", kind, n) for n in before if n not in after)]


def apply(
    connection: Connection,
    encryption: Encryption,
    before: Tables,
    after: Tables,
    todo: list[Change],
    who: str,
) -> None:
    """Do these changes, in the transaction that is open, and tell the audit who did them."""

    def named(kind: str, *what: str) -> list[Any]:
        return [change.name for change in todo if change.kind == kind and change.what in what]

    accounts = {name: after.accounts[name] for name in named("account", "add", "change")}
    rows.put_accounts(connection, encryption, accounts)
    portals = {number: after.portals[number] for number in named("portal", "add", "change")}
    rows.put_portals(connection, encryption, portals)
    rows.delete_portals(connection, named("portal", "remove"))
    rows.delete_accounts(connection, named("account", "remove"))

    def change_of(change: Change) -> audit.Entry:
        of: tuple[Mapping[Any, Table], ...] = (before.accounts, after.accounts)
        if change.kind == "portal":
            of = before.portals, after.portals
        return audit.Entry(change.kind, change.name, *(tables.get(change.name) for tables in of))

    audit.record(connection, who, map(change_of, todo))


def as_toml(tables: Tables, *, with_secrets: bool) -> str:
    """Return the directory file of these tables: in the order of names and ids, and without
    secrets unless they are wanted: each is then to come from a variable that is named for it."""
    import tomli_w

    accounts, portals = {}, {}
    for name, table in sorted(tables.accounts.items()):
        plain, secret = split_secrets(table)
        hidden = secret if with_secrets else {key: _variable(name, key) for key in secret}
        accounts[name] = {"provider": table["provider"], **_texts({**plain, **hidden})}
    for portal_id, table in sorted(tables.portals.items()):
        token = table.get("token")
        if token is not None and not (with_secrets and token):
            table = {**table, "token": _variable(f"portal {portal_id}", "token")}
        portals[str(portal_id)] = _texts(table)
    return tomli_w.dumps({"accounts": accounts, "portals": portals})


def _variable(name: str, option: str) -> str:
    return "env:" + re.sub(r"\W", "_", f"{name}_{option}", flags=re.ASCII).upper()


def _texts(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table in the order of its keys, its secrets as plain texts."""
    return {
        key: str.__str__(value) if isinstance(value, str) else value
        for key, value in sorted(table.items())
    }
