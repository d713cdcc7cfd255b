"""Installs of the app as rows: portals' tokens, which of them are due, and what came of it.

An access token is refreshed ahead of its end, by one process for all: whoever moves `refresh_at`
ahead has the row for LEASE_S, and the old token serves meanwhile. All times are seconds since 1970.
"""

from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Update, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from hubspot.oauth import Tokens
from providers.base.options import Secret

from .encryption import Undecipherable
from .finding import GONE
from .opening import Database
from .rows import chunks
from .tables import apps, installs

INSTALLED = "installed"

LEASE_S = 60.0
"""How long a process has for a refresh before another one tries."""

PROBE_S = 60.0
"""How often one portal's token tries whether HubSpot takes the app again."""


class Due(NamedTuple):
    """A token that this process is to refresh until `until`; None if it cannot be decrypted."""

    portal_id: int
    refresh_token: Secret | None
    until: float


def refresh_at(now: float, life_s: float) -> float:
    """Return when a token is due: after three quarters of its life, or five minutes before the end
    if that is sooner, but not before half of it."""
    return now + max(life_s / 2, min(life_s * 3 / 4, life_s - 300))


class Installs:
    """The installs of one app. Each method is a transaction of its own."""

    def __init__(self, database: Database, client_id: str) -> None:
        self._engine, self._encryption = database
        self._client_id = client_id

    def put(self, portal_id: int, tokens: Tokens, now: float, **about: Any) -> None:
        """Keep the tokens of a portal where the app has just been installed; `about` it are
        `region` and `user_id`."""
        values = self._values(portal_id, tokens, now)
        row = {"portal_id": portal_id, "client_id": self._client_id, "state": INSTALLED}
        with self._engine.begin() as connection:
            connection.execute(delete(installs).where(installs.c.portal_id == portal_id))
            connection.execute(insert(installs).values(**row, **values, **about, installed_at=now))

    def _values(self, portal_id: int, tokens: Tokens, now: float) -> dict[str, Any]:
        given = {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
        encrypted = {
            column: self._encryption.encrypt(token, "installs", str(portal_id), column)
            for column, token in given.items()
            if token
        }
        times = {
            "expires_at": now + tokens.expires_in,
            "refresh_at": refresh_at(now, tokens.expires_in),
        }
        return {**encrypted, **times}

    def claim(self, now: float, limit: int) -> list[Due]:
        """Return tokens that are due, which nobody else refreshes meanwhile."""
        columns = installs.c.portal_id, installs.c.refresh_token, installs.c.refresh_at
        is_due = (installs.c.client_id == self._client_id) & (installs.c.refresh_at <= now)
        asked = select(*columns).where(is_due).order_by(installs.c.refresh_at).limit(limit)
        with self._engine.connect() as connection:
            found = connection.execute(asked).all()
        claimed = []
        for portal_id, encrypted, at in found:
            due = Due(portal_id, None, at)
            if self._change(due, refresh_at=now + LEASE_S):
                token = self._decrypted(portal_id, encrypted)
                claimed.append(Due(portal_id, token, now + LEASE_S))
        return claimed

    def _decrypted(self, portal_id: int, encrypted: str) -> Secret | None:
        try:
            return self._encryption.decrypt(encrypted, "installs", str(portal_id), "refresh_token")
        except Undecipherable:
            return None

    def keep(self, due: Due, tokens: Tokens, now: float) -> bool:
        """Keep what a refresh brought; return whether the portal was still ours to refresh."""
        return self._change(due, **self._values(due.portal_id, tokens, now))

    def put_off(self, due: Due, at: float) -> bool:
        """Have it tried again at a time; return as `keep` does."""
        return self._change(due, refresh_at=at)

    def mark_gone(self, due: Due, now: float) -> bool:
        """Note that the app is no longer installed in the portal; return as `keep` does."""
        nothing = {"access_token": None, "refresh_token": None, "refresh_at": None}
        return self._change(due, state=GONE, gone_at=now, **nothing)

    def _change(self, due: Due, **values: Any) -> bool:
        same = (installs.c.portal_id == due.portal_id) & (installs.c.refresh_at == due.until)
        return self._executed(update(installs).where(same).values(**values))

    def stored(self, portal_id: int) -> tuple[bool, Secret | None]:
        """Return whether there is an install of the portal, and its refresh token; Undecipherable
        if that cannot be decrypted."""
        asked = select(installs.c.refresh_token).where(installs.c.portal_id == portal_id)
        with self._engine.connect() as connection:
            row = connection.execute(asked).one_or_none()
        if row is None or not row.refresh_token:
            return row is not None, None
        place = "installs", str(portal_id), "refresh_token"
        return True, self._encryption.decrypt(row.refresh_token, *place)

    def gone(self, before: float) -> list[int]:
        """Return the portals where the app has been gone since before then."""
        ours = (installs.c.client_id == self._client_id) & (installs.c.state == GONE)
        asked = select(installs.c.portal_id).where(ours, installs.c.gone_at <= before)
        with self._engine.connect() as connection:
            return [*connection.scalars(asked)]

    def refused(self) -> str | None:
        """Return why HubSpot refuses the app, None if it does not."""
        with self._engine.connect() as connection:
            return connection.scalar(select(apps.c.refused).where(self._app))

    def may_ask(self, now: float) -> int | None:
        """Return how many tokens may be refreshed at most, None for any number: while HubSpot
        refuses the app, one now and then."""
        if not self.refused():
            return None
        due = self._app & apps.c.refused.is_not(None) & (apps.c.retry_at <= now)
        return int(self._executed(update(apps).where(due).values(retry_at=now + PROBE_S)))

    def refuse(self, why: str, now: float) -> bool:
        """Note that HubSpot refuses the app; return whether that is new."""
        self._make(now)
        new = update(apps).where(self._app & apps.c.refused.is_(None))
        return self._executed(new.values(refused=why, retry_at=now + PROBE_S))

    def _make(self, now: float) -> None:
        with suppress(IntegrityError), self._engine.begin() as connection:  # it is there
            connection.execute(insert(apps).values(client_id=self._client_id, retry_at=now))

    def journal(self) -> tuple[str | None, float | None]:
        """Return the offset of the journal's file that was read last, and when that was."""
        with self._engine.connect() as connection:
            asked = select(apps.c.journal_offset, apps.c.journal_at).where(self._app)
            row = connection.execute(asked).one_or_none()
        return (row[0], row[1]) if row else (None, None)

    def read_on(self, before: str | None, offset: str, portal_ids: list[int], now: float) -> bool:
        """Note that a file was read, and have the tokens of these portals refreshed, which proves
        whether they are good; return False if somebody else has read on meanwhile."""
        self._make(now)
        same = self._app & apps.c.journal_offset.is_not_distinct_from(before)
        which = (installs.c.client_id == self._client_id) & (installs.c.state == INSTALLED)
        with self._engine.begin() as connection:
            noted = update(apps).where(same).values(journal_offset=offset, journal_at=now)
            if not connection.execute(noted).rowcount:
                return False
            for some in chunks(portal_ids):
                due = update(installs).where(which, installs.c.portal_id.in_(some))
                connection.execute(due.values(refresh_at=now))
        return True

    def accept(self) -> bool:
        """Note that HubSpot takes the app; return whether that is new."""
        known = update(apps).where(self._app & apps.c.refused.is_not(None))
        return self._executed(known.values(refused=None))

    @property
    def _app(self) -> ColumnElement[bool]:
        return apps.c.client_id == self._client_id

    def _executed(self, change: Update) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(change).rowcount == 1
