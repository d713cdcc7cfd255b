"""One portal as a request needs it: whole, or whether it was changed."""

from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from providers.base.options import Secret

from .encryption import Encryption, Undecipherable
from .rows import Table, account_of, portal_of
from .tables import accounts, installs, portal_accounts, portals, rules

GONE = "gone"
"""The state of an install whose app is no longer in the portal."""


class Revision(NamedTuple):
    """Of a portal, its accounts and its install: another one if any of it was changed."""

    of_portal: int
    of_accounts: int
    accounts: int  # how many
    expires_at: float | None  # of the install's token; None if there is no install
    state: str | None


class Found(NamedTuple):
    """A portal as it is in the database; `token` is its install's."""

    revision: Revision
    portal: Table
    accounts: dict[str, Table]
    token: Secret | None


def revision_of(connection: Connection, portal_id: int) -> Revision | None:
    """Return the revision of a portal, None if there is no such portal."""
    install = installs.c.expires_at, installs.c.state
    changes = func.sum(accounts.c.revision), func.count(accounts.c.name)
    row = connection.execute(
        select(portals.c.revision, *changes, *install)
        .select_from(portals)
        .outerjoin(installs, installs.c.portal_id == portals.c.id)
        .outerjoin(portal_accounts, portal_accounts.c.portal_id == portals.c.id)
        .outerjoin(accounts, accounts.c.name == portal_accounts.c.account)
        .where(portals.c.id == portal_id, portals.c.state == "active")
        .group_by(portals.c.revision, *install)
    ).first()
    # The sum, for revisions only grow: the newest of two changes may be there first.
    return Revision(row[0], int(row[1] or 0), *row[2:]) if row else None


def count(connection: Connection) -> tuple[int, int]:
    """Return how many portals and accounts there are."""
    of_portals = select(func.count()).select_from(portals).where(portals.c.state == "active")
    of_accounts = select(func.count()).select_from(accounts)
    return connection.scalars(of_portals).one(), connection.scalars(of_accounts).one()


def find(connection: Connection, encryption: Encryption, portal_id: int) -> Found | None:
    """Return a portal with its accounts and rules, None if there is none: by two queries."""
    with_accounts = (
        select(
            portals.c.id, portals.c.users, portals.c.token, portals.c.revision,
            accounts.c.name, accounts.c.provider, accounts.c.options, accounts.c.secrets,
            accounts.c.revision.label("account_revision"),
            installs.c.access_token, installs.c.expires_at, installs.c.state.label("install"),
        )
        .outerjoin(installs, installs.c.portal_id == portals.c.id)
        .outerjoin(portal_accounts, portal_accounts.c.portal_id == portals.c.id)
        .outerjoin(accounts, accounts.c.name == portal_accounts.c.account)
        .where(portals.c.id == portal_id, portals.c.state == "active")
        .order_by(portal_accounts.c.position)
    )  # fmt: skip
    found = list(connection.execute(with_accounts))
    if not found:
        return None
    first, held = found[0], [row for row in found if row.name is not None]
    changes = sum(row.account_revision for row in held)
    revision = Revision(first.revision, changes, len(held), first.expires_at, first.install)
    asked = select(rules.c.kind, rules.c.key, rules.c.rule).where(rules.c.portal_id == portal_id)
    listed = [(kind, key, rule) for kind, key, rule in connection.execute(asked)]
    portal = portal_of(encryption, first, [row.name for row in held], listed)
    token = None
    if first.access_token:
        with suppress(Undecipherable):
            place = "installs", str(portal_id), "access_token"
            token = encryption.decrypt(first.access_token, *place)
    return Found(revision, portal, {row.name: account_of(encryption, row) for row in held}, token)
