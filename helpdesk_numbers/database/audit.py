"""The audit: who changed which account or portal, when, from what to what."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from .hiding import hide_secrets
from .tables import audit


class Entry(NamedTuple):
    """A change: before and after it, None if there was nothing."""

    kind: str  # account or portal
    name: str | int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def record(connection: Connection, who: str, entries: Iterable[Entry]) -> None:
    """Write changes down, without secrets, in the transaction that makes them."""
    at = time.time()
    if values := [_row(entry) | {"at": at, "who": who} for entry in entries]:
        connection.execute(insert(audit), values)


def _row(entry: Entry) -> dict[str, Any]:
    before, after = (_text(table) for table in (entry.before, entry.after))
    return {"kind": entry.kind, "name": str(entry.name), "before": before, "after": after}


def _text(table: Mapping[str, Any] | None) -> str | None:
    return None if table is None else json.dumps(hide_secrets(table), default=str)


def newest(
    connection: Connection, limit: int, before: int | None = None, **of: str
) -> list[dict[str, Any]]:
    """Return the newest changes first, as many as `limit`; with `before`, only those of smaller
    ids; with `kind` and `name`, those of one account or portal."""
    asked = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        asked = asked.where(audit.c.id < before)
    for column, value in of.items():
        asked = asked.where(audit.c[column] == value)
    return [
        {
            **row._mapping,
            "before": row.before and json.loads(row.before),
            "after": row.after and json.loads(row.after),
        }
        for row in connection.execute(asked)
    ]
