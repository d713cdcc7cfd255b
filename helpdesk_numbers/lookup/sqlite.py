"""Last good answers that all workers of an instance share, in a file that the master makes."""

import hashlib
import hmac
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Full, Queue
from typing import TypeVar
from weakref import WeakKeyDictionary

import msgspec

from providers.base.provider import PhoneNumber, Provider, Query

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024 * 1024
"""Of numbers, for an instance. The oldest go first."""

MOST_WAITING = 1_000
"""Answers that wait to be written, in a worker; more are left out."""

PAUSE_S = 10.0
"""How long a file that is broken, full or locked is left alone."""

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS answers (
    account BLOB, query TEXT, at REAL, numbers BLOB, PRIMARY KEY (account, query)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (account BLOB PRIMARY KEY, at REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (account BLOB PRIMARY KEY, until REAL) WITHOUT ROWID;
"""

T = TypeVar("T")

_decoder = msgspec.msgpack.Decoder(list[PhoneNumber])


class _Connection(sqlite3.Connection):
    def __del__(self) -> None:
        self.close()


class SQLiteAnswers:
    """SharedAnswers in a file. What is broken there is told once, and answers are not shared."""

    def __init__(self, folder: Path, max_age_s: float) -> None:
        self._path, self._max_age_s = folder / "answers.sqlite", max_age_s
        self._key = secrets.token_bytes(32)  # so that nobody can try credentials on the digests
        self._digests: WeakKeyDictionary[Provider, bytes] = WeakKeyDictionary()
        self._connection: tuple[int, _Connection] | None = None
        self._connected = threading.Lock()
        self._writer: tuple[int, Queue[Callable[[], None]]] | None = None
        self._lock = threading.Lock()
        self._broken_until = 0.0

    def put(self, account: Provider, query: Query, numbers: list[PhoneNumber], at: float) -> None:
        """Have this process's writer keep an answer."""
        digest, asked = self._digest(account), _asked(query)

        def write() -> None:
            encoded = msgspec.msgpack.encode(numbers)
            self._run(lambda connection: self._write(connection, digest, asked, at, encoded))

        try:
            self._queue().put_nowait(write)
        except (Full, RuntimeError):  # or no thread for it
            return

    def _write(
        self, connection: sqlite3.Connection, digest: bytes, asked: str, at: float, encoded: bytes
    ) -> None:
        connection.execute("DELETE FROM answers WHERE at < ?", [time.monotonic() - self._max_age_s])
        (size,) = connection.execute("SELECT total(length(numbers)) FROM answers").fetchone()
        if size + len(encoded) > MAX_BYTES:
            connection.execute(
                "DELETE FROM answers WHERE (account, query) IN"
                " (SELECT account, query FROM answers ORDER BY at LIMIT"
                " (SELECT count(*) / 4 + 1 FROM answers))"
            )
        if len(encoded) <= MAX_BYTES / 4:
            connection.execute(
                "INSERT OR REPLACE INTO answers SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS"
                " (SELECT 1 FROM refusals WHERE account = ?1 AND at > ?3)",
                [digest, asked, at, encoded],
            )

    def newest(self, account: Provider, query: Query) -> tuple[list[PhoneNumber], float] | None:
        """Return the last answer to the query, and its time."""
        row = self._run(
            lambda connection: connection.execute(
                "SELECT numbers, at FROM answers WHERE account = ? AND query = ? AND at > ?",
                [self._digest(account), _asked(query), time.monotonic() - self._max_age_s],
            ).fetchone()
        )
        return (_decoder.decode(row[0]), row[1]) if row else None

    def refuse(self, account: Provider, at: float) -> None:
        """Forget all of the account, in all workers."""
        digest = self._digest(account)

        def forget(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?)", [digest, at])
            connection.execute("DELETE FROM answers WHERE account = ?", [digest])

        self._run(forget)

    def refused_at(self, account: Provider) -> float:
        """Return when the account was last refused."""
        row = self._run(
            lambda connection: connection.execute(
                "SELECT at FROM refusals WHERE account = ?", [self._digest(account)]
            ).fetchone()
        )
        return float(row[0]) if row else float("-inf")

    def lease(self, account: Provider, now: float, until: float) -> bool:
        """Return whether this worker may list the account."""
        taken = self._run(
            lambda connection: (
                connection.execute(
                    "INSERT INTO leases VALUES (?1, ?3) ON CONFLICT (account)"
                    " DO UPDATE SET until = ?3 WHERE until <= ?2",
                    [self._digest(account), now, until],
                ).rowcount
            )
        )
        return taken != 0  # None: it is broken, and each worker does it for itself

    def release(self, account: Provider) -> None:
        """End the lease."""
        self._run(
            lambda connection: connection.execute(
                "DELETE FROM leases WHERE account = ?", [self._digest(account)]
            )
        )

    def _digest(self, account: Provider) -> bytes:
        """The account as a key: with other options, above all other credentials, it is another."""
        with self._lock:
            digest = self._digests.get(account)
        if digest is None:
            named = [account.name, account.account, account.options]
            options = msgspec.json.encode(named, enc_hook=_plain)
            digest = hmac.digest(self._key, options, hashlib.sha256)
            with self._lock:
                self._digests[account] = digest
        return digest

    def _queue(self) -> Queue[Callable[[], None]]:
        """What this process's writer works on: a thread, from its first answer on."""
        with self._lock:
            if self._writer is None or self._writer[0] != os.getpid():
                queue: Queue[Callable[[], None]] = Queue(MOST_WAITING)
                threading.Thread(target=_work, args=(queue,), daemon=True).start()
                self._writer = os.getpid(), queue
            return self._writer[1]

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do it in a transaction of its own, one at a time in a process; None if it failed."""
        with self._connected:
            if time.monotonic() < self._broken_until:
                return None
            try:
                connection = self._current()
                with connection:
                    return work(connection)
            except sqlite3.Error as error:
                self._connection = None
                self._broken_until = time.monotonic() + PAUSE_S
                log.warning("last good answers are not shared among workers for now: %s", error)
                return None

    def _current(self) -> sqlite3.Connection:
        """This process's connection: its parent's passes no fork."""
        if self._connection is None or self._connection[0] != os.getpid():
            opened = sqlite3.connect(
                self._path, timeout=0.5, check_same_thread=False, factory=_Connection
            )
            opened.executescript(_TABLES)
            self._connection = os.getpid(), opened
        return self._connection[1]


def _plain(value: object) -> str:
    """Of a secret, the text itself."""
    return str.__str__(value) if isinstance(value, str) else repr(value)


def _asked(query: Query) -> str:
    return repr((query.numbers, query.names, query.owner))


def _work(queue: Queue[Callable[[], None]]) -> None:
    while True:
        queue.get()()
