"""Last good answers that all workers of an instance share, in a file that the master makes."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from helpdesk_numbers.shared_file import SharedFile, Worker
from providers.base.provider import Provider, Query

from .shared import Digests, Kept, asked, decode, encode

if TYPE_CHECKING:
    from sqlite3 import Connection

MAX_BYTES, MOST_WAITING = 64 * 1024 * 1024, 1_000
"""Of an instance's numbers, of which the oldest go first, where there is room for four times as
much; answers that wait to be written."""

T = TypeVar("T")

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    account BLOB, query TEXT, began REAL, at REAL, numbers BLOB, PRIMARY KEY (account, query)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (account BLOB PRIMARY KEY, at REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (account BLOB PRIMARY KEY, until REAL) WITHOUT ROWID;
"""


class SQLiteAnswers:
    """SharedAnswers in a file. What is broken there is told once, and answers are not shared."""

    def __init__(self, folder: Path, max_age_s: float) -> None:
        self._file = SharedFile(folder / "answers.sqlite", _TABLES)
        room = os.statvfs(folder)
        self._max_age_s = max_age_s
        self._max_bytes = min(MAX_BYTES, room.f_bavail * room.f_frsize // 4)
        self._untold: dict[bytes, float] = {}  # refusals that could not be written yet
        self._digest = Digests(os.urandom(32))
        self._writer = Worker(MOST_WAITING)
        self._lock = threading.Lock()

    def put(self, account: Provider, query: Query, answer: Kept) -> None:
        """Have this process's writer keep an answer."""
        key = self._digest(account), asked(query)

        def write() -> None:
            row = *key, answer.began, answer.at, encode(answer.numbers)
            self._run(lambda connection: self._write(connection, *row))

        self._writer.do(write)

    def _write(
        self,
        connection: "Connection",
        digest: bytes,
        asked: str,
        began: float,
        at: float,
        encoded: bytes,
    ) -> None:
        connection.execute("DELETE FROM answers WHERE at < ?", [time.monotonic() - self._max_age_s])
        (size,) = connection.execute("SELECT total(length(numbers)) FROM answers").fetchone()
        if size + len(encoded) > self._max_bytes:
            connection.execute(
                "DELETE FROM answers WHERE (account, query) IN"
                " (SELECT account, query FROM answers ORDER BY at LIMIT"
                " (SELECT count(*) / 4 + 1 FROM answers))"
            )
        if len(encoded) <= self._max_bytes / 4:
            connection.execute(
                "INSERT INTO answers SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS"
                " (SELECT 1 FROM refusals WHERE account = ?1 AND at >= ?3)"
                " ON CONFLICT DO UPDATE SET began = ?3, at = ?4, numbers = ?5 WHERE at < ?4",
                [digest, asked, began, at, encoded],
            )

    def newest(self, account: Provider, query: Query) -> Kept | None:
        """Return the last answer to the query."""
        row = self._run(
            lambda connection: connection.execute(
                "SELECT numbers, began, at FROM answers WHERE account = ? AND query = ? AND at > ?",
                [self._digest(account), asked(query), time.monotonic() - self._max_age_s],
            ).fetchone()
        )
        return Kept(decode(row[0]), row[1], row[2]) if row else None

    def refuse(self, account: Provider, at: float) -> None:
        """Forget all of the account, in all workers: now or, if the file is busy, before anything
        else is read from it or written to it."""
        digest = self._digest(account)
        with self._lock:
            self._untold[digest] = max(at, self._untold.get(digest, at))
        self._run(lambda _: None)

    def _run(self, work: "Callable[[Connection], T]") -> T | None:
        """Do it, after the refusals that the file does not know yet, in one transaction."""
        with self._lock:
            untold = dict(self._untold)

        def tell_first(connection: "Connection") -> tuple[T]:
            for digest, at in untold.items():
                connection.execute(
                    "INSERT INTO refusals VALUES (?1, ?2)"
                    " ON CONFLICT DO UPDATE SET at = max(at, ?2)",
                    [digest, at],
                )
                connection.execute(
                    "DELETE FROM answers WHERE account = ? AND began <= ?", [digest, at]
                )
            return (work(connection),)

        done = self._file.run(tell_first)
        if done is None:
            return None
        with self._lock:
            for digest in [d for d, at in untold.items() if self._untold.get(d) == at]:
                del self._untold[digest]
        return done[0]

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
        ended = "DELETE FROM leases WHERE account = ?", [self._digest(account)]
        self._run(lambda connection: connection.execute(*ended))
