"""A portal out of the database, with all that there is of it."""

from contextlib import suppress

from sqlalchemy import and_, delete, or_

from . import audit
from .editing import LOCK, Editor, InUse
from .engine import LOCK_S, locked
from .finding import GONE
from .opening import Database
from .tables import audit as audited
from .tables import installs


def purge(
    database: Database, portal_id: int, who: str, gone_before: float | None = None
) -> list[str] | None:
    """Delete a portal's install with its tokens, its rules, those of its accounts that no other
    portal uses, and what the audit tells of these. Return the accounts' names; None if there is no
    install, or, with `gone_before`, none that ended before then (seconds since 1970).

    The audit keeps that, when and by whom it was done.
    """
    which = installs.c.portal_id == portal_id
    if gone_before is not None:
        which &= (installs.c.state == GONE) & (installs.c.gone_at <= gone_before)
    with locked(database.engine, LOCK, LOCK_S) as connection:
        if not connection.execute(delete(installs).where(which)).rowcount:
            return None
        editor, removed = Editor(connection, database.encryption, who, None), []
        stored = editor.portal(portal_id)
        editor.remove_portal(portal_id)
        for name in dict.fromkeys(stored.table["accounts"] if stored else ()):
            with suppress(InUse):
                editor.remove_account(name)
                removed.append(name)
        told = [("portal", str(portal_id)), *(("account", name) for name in removed)]
        entries = (and_(audited.c.kind == kind, audited.c.name == name) for kind, name in told)
        connection.execute(delete(audited).where(or_(*entries)))
        audit.record(connection, who, [audit.Entry("portal", portal_id, None, None)])
        return removed
