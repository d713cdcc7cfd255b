"""Portals where the app is installed, their tokens in a database, and what refreshes them.

`python -m tests.support.installs 5000` has eight processes' refreshers at an hour of that many
portals, compressed by the clock, on a real PostgreSQL.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Row, select

from helpdesk_numbers.database import schema
from helpdesk_numbers.database.editing import editing
from helpdesk_numbers.database.encryption import Encryption
from helpdesk_numbers.database.engine import connect
from helpdesk_numbers.database.installs import Installs
from helpdesk_numbers.database.opening import Database
from helpdesk_numbers.database.tables import installs as table
from helpdesk_numbers.install.refresher import Refresher
from helpdesk_numbers.users.asking import poster
from hubspot.oauth import Client, OAuth, Tokens
from tests.support.clock import Clock
from tests.support.hubspot_api import APP_ID
from tests.support.hubspot_app import CLIENT_ID, SECRET, HubSpotApp, Install
from tests.support.postgres import KEY, postgres

START = 1_800_000_000.0


PORTAL, OTHER = 62515, 7


def settings_of(url: str, hubspot_url: str) -> dict[str, str]:
    """Return the settings of a service whose app can be installed."""
    return {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_APP_ID": str(APP_ID),
        "HUBSPOT_CLIENT_ID": CLIENT_ID,
        "HUBSPOT_API_BASE_URL": hubspot_url,
        "PUBLIC_URL": "https://numbers.example.com",
        "DATABASE_URL": url,
        "ENCRYPTION_KEYS": KEY,
    }


class Desk:
    """Installs in a database, HubSpot, and a clock that the test sets."""

    def __init__(self, url: str, hubspot: HubSpotApp) -> None:
        self.url, self.hubspot, self.clock = url, hubspot, Clock(START)
        self.database = Database(connect(url), Encryption([KEY]))
        schema.upgrade(self.database.engine)
        self.installs = Installs(self.database, CLIENT_ID)
        self.refreshed: list[int] = []
        self.secrets = SECRET

    def install(self, *portal_ids: int, life_s: float = 1800) -> None:
        """As if the app had just been installed there."""
        for portal_id in portal_ids:
            token = f"na1-refresh-of-{portal_id}"
            self.hubspot.installs[portal_id] = Install(portal_id, token, ["first"])
            tokens = Tokens("first", life_s, token, portal_id)
            self.installs.put(portal_id, tokens, self.clock(), region="na1", user_id=1001)

    def refresher(self, *secrets: str) -> Refresher:
        """Another process's."""
        oauth = OAuth(Client(CLIENT_ID, secrets or (SECRET,)))
        post_by, told = poster(self.hubspot.url), self.refreshed.append
        return Refresher(self.installs, oauth, post_by, told, clock=self.clock)

    def row(self, portal_id: int) -> Row[tuple[object, ...]]:
        """An install as it is in the database."""
        with self.database.engine.connect() as connection:
            return connection.execute(select(table).where(table.c.portal_id == portal_id)).one()

    def secret(self, portal_id: int, column: str) -> str:
        """A token of it, decrypted."""
        stored = getattr(self.row(portal_id), column)
        return self.database.encryption.decrypt(stored, "installs", str(portal_id), column)


def portals_with_the_app(desk: Desk) -> None:
    """Two portals, of which each has an account of its own, and both a third."""
    desk.install(PORTAL, OTHER)
    with editing(desk.database, "test") as editor:
        for name in ("own", "other", "shared"):
            numbers = [{"number": "+12025550143", "name": name}]
            editor.put_account(name, {"provider": "static", "numbers": numbers})
        rules = {"user": {"anna@acme.example": {"names": ["own"]}}}
        editor.put_portal(PORTAL, {"accounts": ["own", "shared"], **rules})
        editor.put_portal(OTHER, {"accounts": ["other", "shared"]})


@contextmanager
def desk(url: str) -> Iterator[Desk]:
    """A desk with a HubSpot of its own."""
    with HubSpotApp() as hubspot:
        made = Desk(url, hubspot)
        try:
            yield made
        finally:
            made.database.engine.dispose()


def hour(made: Desk, portals: int, processes: int = 8, step_s: float = 30) -> None:
    """Let an hour pass, in which the processes refresh what is due."""
    made.install(*range(1, portals + 1))
    others = [Desk(made.url, made.hubspot) for _ in range(processes)]
    for other in others:
        other.clock, other.refreshed = made.clock, made.refreshed
    refreshers = [other.refresher() for other in others]

    def refresh_all(refresher: Refresher) -> None:
        while refresher.refresh_due():
            pass

    while made.clock.now < START + 3600:
        made.clock.now += step_s
        threads = [threading.Thread(target=refresh_all, args=(one,)) for one in refreshers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for other in others:
        other.database.engine.dispose()


if __name__ == "__main__":
    with postgres() as _url, desk(_url) as _desk:
        _count, _began = int(sys.argv[1]), time.monotonic()
        hour(_desk, _count)
        _by_portal = set(_desk.hubspot.refreshed.values())
        print(f"{_count:,} portals, an hour in {time.monotonic() - _began:.0f} s: each refreshed")
        print(f"{_by_portal} times, of one at most {_desk.hubspot.at_once} at a time")
        raise SystemExit(not (_by_portal == {2} and _desk.hubspot.at_once == 1))
