"""The directory in a database: a request reads one portal, which is kept for some seconds.

Threads of our own ask the database, so that one that hangs costs a request no more than a wait.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakValueDictionary

from cachetools import LRUCache
from msgspec import structs
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from helpdesk_numbers.database.encryption import Encryption
from helpdesk_numbers.database.engine import POOL_SIZE, snapshot
from helpdesk_numbers.database.finding import GONE, Revision, count, find, revision_of
from helpdesk_numbers.database.rows import Table, Undeciphered
from helpdesk_numbers.threads import RequestThreads
from providers.base.errors import Refused
from providers.base.options import Problems
from providers.base.provider import PhoneNumber, Provider, Query

from .model import Directory, DirectoryUnavailable, Install, Portal
from .toml import build

log = logging.getLogger(__name__)

FRESH_S, LOOK_S = 4.5, 2.0
"""How long a portal is taken for what was read; from when on it is looked at in the background."""

WAIT_S, KNOWN_WAIT_S = 2.0, 0.5
"""How long a request waits for the database: for a portal that is not known, and for one that is.
While the database is away, the latter is not waited for at all."""

MOST_PORTALS = 2_000
"""Kept by a process, some ten kilobytes each. The least recently asked for go first."""


class _Kept(NamedTuple):
    directory: Directory
    revision: Revision | None
    at: float  # when the query began that found it so


class _Reading:
    """A query under way."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.done = threading.Event()
        self.failed = False


_UNDECIPHERED = (
    "its secrets cannot be decrypted with any of ENCRYPTION_KEYS",
    "set the key that they were encrypted with, or write them anew",
)
_NOT_VALID = "its options are not valid", "`flask accounts set` says which"


class _Unusable(Provider):
    """An account that cannot be built: it is refused, and the others go on."""

    keeps_deadline = True

    def __init__(self, account: str, provider: str, why: str, remedy: str) -> None:
        super().__init__(Provider.Options(), account)
        self.name, self.credentials = provider, remedy  # type: ignore[misc] # this one's alone
        self._why = why

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        raise Refused(self._why)


class DatabaseDirectory:
    """Where the lookup finds the portals of a database. One for each process; threads share it."""

    refused = 0
    faults: Sequence[str] = ()

    def __init__(
        self,
        engine: Engine,
        encryption: Encryption,
        max_age_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """While the database is away, what was read stands in for `max_age_s`."""
        self._engine, self._encryption = engine, encryption
        self._max_age_s, self._clock = max_age_s, clock
        self._lock = threading.Lock()
        self._kept: LRUCache[int, _Kept] = LRUCache(MOST_PORTALS)
        self._reading: dict[int, _Reading] = {}
        self._accounts: WeakValueDictionary[str, Provider] = WeakValueDictionary()
        self._threads = RequestThreads(POOL_SIZE, self._read, lambda: 0)
        self._away = False
        self._counts = 0, 0

    def of(self, portal_id: int) -> Directory:
        """Return the directory of this portal alone.

        Raises:
            DirectoryUnavailable: the database is away, and the portal is not known.
        """
        now = self._clock()
        with self._lock:
            kept = self._kept.get(portal_id)
        age_s = now - kept.at if kept else self._max_age_s
        if kept and age_s < LOOK_S:
            return kept.directory
        reading = self._begin(portal_id, now)
        if kept and age_s < FRESH_S:
            return kept.directory
        stands_in = kept if kept and age_s < self._max_age_s else None
        known_wait_s = 0 if self._away else KNOWN_WAIT_S
        reading.done.wait(known_wait_s if stands_in else WAIT_S)
        if not reading.done.is_set():
            self._away = True
        with self._lock:
            found = self._kept.get(portal_id)
        if found and found.at >= reading.began:
            return found.directory
        if stands_in:
            return stands_in.directory
        raise DirectoryUnavailable

    def forget(self, portal_id: int) -> None:
        """Have the portal read again when it is next asked for."""
        due = self._clock() - FRESH_S
        with self._lock:
            if kept := self._kept.get(portal_id):
                self._kept[portal_id] = kept._replace(at=min(kept.at, due))

    def current(self) -> Directory:
        """Return a directory without portals, if the database answers.

        Raises:
            DirectoryUnavailable: it does not.
        """
        reading = self._begin(0, self._clock())  # no portal has that id
        if not reading.done.wait(WAIT_S) or reading.failed:
            raise DirectoryUnavailable
        return Directory({}, {})

    def counts(self) -> tuple[int, int]:
        """Return how many portals and accounts there are; raises as `current` does."""
        self.current()
        return self._counts

    def _begin(self, portal_id: int, now: float) -> _Reading:
        """The query for a portal: the one under way, or a new one."""
        with self._lock:
            if reading := self._reading.get(portal_id):
                return reading
            reading = self._reading[portal_id] = _Reading(now)
        self._threads.submit((portal_id, reading))
        return reading

    def _read(self, asked: tuple[int, _Reading]) -> None:
        portal_id, reading = asked
        try:
            with self._lock:
                kept = self._kept.get(portal_id)
            kept = self._look(portal_id, kept, reading.began)
            with self._lock:
                self._kept[portal_id] = kept
            self._away = False
        except SQLAlchemyError:
            reading.failed = self._away = True
        finally:
            with self._lock:
                self._reading.pop(portal_id, None)
            reading.done.set()

    def _look(self, portal_id: int, kept: _Kept | None, began: float) -> _Kept:
        """The portal as it is now: the same object if nothing was changed."""
        if kept or not portal_id:
            autocommit = {"isolation_level": "AUTOCOMMIT"}  # one round trip in place of three
            with self._engine.connect().execution_options(**autocommit) as connection:
                if not portal_id:
                    self._counts = count(connection)
                    return _Kept(Directory({}, {}), None, began)
                if kept and revision_of(connection, portal_id) == kept.revision:
                    return kept._replace(at=began)
        with snapshot(self._engine) as connection:
            found = find(connection, self._encryption, portal_id)
        if found is None:
            return _Kept(Directory({}, {}), None, began)
        directory = self._build(portal_id, found.portal, found.accounts)
        if (expires_at := found.revision.expires_at) is not None:
            install = Install(found.token, expires_at, found.revision.state == GONE)
            portal = structs.replace(directory.portals[portal_id], install=install)
            directory = Directory(directory.accounts, {portal_id: portal})
        return _Kept(directory, found.revision, began)

    def _build(self, portal_id: int, portal: Table, accounts: Mapping[str, Table]) -> Directory:
        """The directory of rows; accounts that are as before are kept, also those of others."""
        problems, before = Problems(), Directory(self._accounts, {})
        directory = {"accounts": accounts, "portals": {str(portal_id): portal}}
        built = build(directory, None, before, problems)
        providers: dict[str, Provider] = {}
        for name, table in accounts.items():
            if isinstance(table, Undeciphered):
                providers[name] = _Unusable(name, table["provider"], *_UNDECIPHERED)
            elif name in built.accounts:
                providers[name] = self._accounts[name] = built.accounts[name]
            else:
                providers[name] = _Unusable(name, table["provider"], *_NOT_VALID)
        if faults := [line for line in problems.lines if line.place.startswith("portals.")]:
            log.error("directory_refused", extra={"portal_id": portal_id, "faults": faults})
            return Directory({}, {portal_id: Portal((), "none")})  # rather than too many numbers
        return Directory(providers, built.portals)
