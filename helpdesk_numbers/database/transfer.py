"""The whole directory between TOML and database."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from helpdesk_numbers.directory.toml import build, resolve
from providers.base.options import Faults, Problems

from . import rows
from .encryption import Encryption
from .rows import Table, Undeciphered


class Tables(NamedTuple):
    """All accounts by name and portals by id."""

    accounts: Mapping[str, Table | Undeciphered]
    portals: Mapping[int, Table]


class Change(NamedTuple):
    """What an import does to one account or portal: `add`, `change` or `remove`."""

    what: str
    kind: str
    name: str | int


def read(tables: Mapping[str, Any], environ: Mapping[str, str]) -> Tables:
    """Return the tables of a directory file with the values of its `env:` variables.

    Raises Faults, with every fault by its place.
    """
    problems = Problems()
    build(tables, environ, None, problems)
    if problems.lines:
        raise Faults(problems.lines)
    resolved = resolve(tables, environ, problems)
    portals = {int(portal_id): table for portal_id, table in resolved["portals"].items()}
    return Tables(resolved.get("accounts", {}), portals)


def stored(connection: Connection, encryption: Encryption) -> Tables:
    """Return all that the database has."""
    accounts = dict(rows.all_accounts(connection, encryption))
    return Tables(accounts, dict(rows.all_portals(connection, encryption)))


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
        if name in before and _normal(before[name]) != _normal(table)
    ]
    return [*added, *changed, *(Change("remove", kind, n) for n in before if n not in after)]


def _normal(table: object) -> object:
    """The table without what is the default anyway."""
    if not isinstance(table, Mapping):
        return table
    kept = {key: value for key, value in table.items() if value not in ({}, None)}
    return {"users": "all", **kept} if "provider" not in kept else kept


def apply(
    connection: Connection, encryption: Encryption, after: Tables, todo: list[Change]
) -> None:
    """Do these changes, in the transaction that is open."""

    def named(kind: str, *what: str) -> list[Any]:
        return [change.name for change in todo if change.kind == kind and change.what in what]

    accounts = {name: after.accounts[name] for name in named("account", "add", "change")}
    good = {n: table for n, table in accounts.items() if not isinstance(table, Undeciphered)}
    if good:
        rows.put_accounts(connection, encryption, good)
    portals = {
        portal_id: after.portals[portal_id] for portal_id in named("portal", "add", "change")
    }
    if portals:
        rows.put_portals(connection, encryption, portals)
    rows.delete_portals(connection, named("portal", "remove"))
    rows.delete_accounts(connection, named("account", "remove"))


def as_toml(tables: Tables, *, with_secrets: bool) -> str:
    """Return the directory file of these tables: in the order of names and ids, and without
    secrets unless they are wanted: each is then to come from a variable that is named for it."""
    import tomli_w

    accounts, portals = {}, {}
    for name in sorted(tables.accounts):
        table = tables.accounts[name]
        if isinstance(table, Undeciphered):
            accounts[name] = {"provider": table.provider}
            continue
        plain, secret = rows.split_secrets(table)
        hidden = secret if with_secrets else {key: _variable(name, key) for key in secret}
        accounts[name] = {"provider": table["provider"], **_texts({**plain, **hidden})}
    for portal_id in sorted(tables.portals):
        shown = dict(_normal(tables.portals[portal_id]))  # type: ignore[call-overload] # a table
        if "token" in shown and not with_secrets:
            shown["token"] = _variable(f"portal {portal_id}", "token")
        portals[str(portal_id)] = _texts(shown)
    return tomli_w.dumps({"accounts": accounts, "portals": portals})


def _variable(name: str, option: str) -> str:
    return "env:" + re.sub(r"\W", "_", f"{name}_{option}", flags=re.ASCII).upper()


def _texts(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table in the order of its keys, its secrets as plain texts."""
    return {
        key: str.__str__(value) if isinstance(value, str) else value
        for key, value in sorted(table.items())
    }
