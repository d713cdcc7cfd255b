"""Last good answers that all workers of an instance share, in a file that the master makes."""

import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec

from helpdesk_numbers.shared_file import SharedFile
from providers.base.provider import PhoneNumber, Provider, Query

from .shared import decode, encode

if TYPE_CHECKING:
    from sqlite3 import Connection

MAX_BYTES, MOST_WAITING = 64 * 1024 * 1024, 1_000
"""Of an instance's numbers, of which the oldest go first; answers that wait to be written."""

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    account BLOB, query TEXT, at REAL, numbers BLOB, PRIMARY KEY (account, query)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (account BLOB PRIMARY KEY, at REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (account BLOB PRIMARY KEY, until REAL) WITHOUT ROWID;
"""


class SQLiteAnswers:
    """SharedAnswers in a file. What is broken there is told once, and answers are not shared."""

    def __init__(self, folder: Path, max_age_s: float) -> None:
        self._file = SharedFile(folder / "answers.sqlite", _TABLES)
        self._max_age_s = max_age_s
        self._key = os.urandom(32)  # so that nobody can try credentials on the digests
        self._digests: WeakKeyDictionary[Provider, bytes] = WeakKeyDictionary()
        self._writer: tuple[int, Queue[Callable[[], None]]] | None = None
        self._lock = threading.Lock()

    def put(self, account: Provider, query: Query, numbers: list[PhoneNumber], at: float) -> None:
        """Have this process's writer keep an answer."""
        digest, asked = self._digest(account), _asked(query)

        def write() -> None:
            encoded = encode(numbers)
            self._file.run(lambda connection: self._write(connection, digest, asked, at, encoded))

        try:
            self._queue().put_nowait(write)
        except (Full, RuntimeError):  # or no thread for it
            return

    def _write(
        self, connection: "Connection", digest: bytes, asked: str, at: float, encoded: bytes
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
        row = self._file.run(
            lambda connection: connection.execute(
                "SELECT numbers, at FROM answers WHERE account = ? AND query = ? AND at > ?",
                [self._digest(account), _asked(query), time.monotonic() - self._max_age_s],
            ).fetchone()
        )
        return (decode(row[0]), row[1]) if row else None

    def refuse(self, account: Provider, at: float) -> None:
        """Forget all of the account, in all workers."""
        digest = self._digest(account)

        def forget(connection: "Connection") -> None:
            connection.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?)", [digest, at])
            connection.execute("DELETE FROM answers WHERE account = ?", [digest])

        self._file.run(forget)

    def refused_at(self, account: Provider) -> float:
        """Return when the account was last refused."""
        row = self._file.run(
            lambda connection: connection.execute(
                "SELECT at FROM refusals WHERE account = ?", [self._digest(account)]
            ).fetchone()
        )
        return float(row[0]) if row else float("-inf")

    def lease(self, account: Provider, now: float, until: float) -> bool:
        """Return whether this worker may list the account."""
        taken = self._file.run(
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
        ended = "DELETE FROM leases WHERE account = ?", [self._digest(account)]
        self._file.run(lambda connection: connection.execute(*ended))

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


def _plain(value: object) -> str:
    """Of a secret, the text itself."""
    return str.__str__(value) if isinstance(value, str) else repr(value)


def _asked(query: Query) -> str:
    return repr((query.numbers, query.names, query.owner))


def _work(queue: Queue[Callable[[], None]]) -> None:
    for write in iter(queue.get, None):
        with suppress(Exception):  # it is only not shared
            write()
