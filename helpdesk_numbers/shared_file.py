"""An SQLite file that processes share, for what may be lost: if it breaks, nothing else does."""

import logging
import os
import sqlite3  # by the master, so that its workers share what it takes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from typing import TypeVar

log = logging.getLogger(__name__)

PAUSE_S = 10.0
"""How long a file that is broken, full or locked is left alone."""

T = TypeVar("T")


_ALWAYS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -256;"
"""What is lost with the machine may be lost; 256 KiB of memory for each process."""


class _Closing(sqlite3.Connection):
    def __del__(self) -> None:
        self.close()


class SharedFile:
    """The file, opened by each process for itself when it first needs it. `tables` makes what is
    not there yet."""

    def __init__(self, path: Path, tables: str) -> None:
        self._path, self._tables = path, tables
        self._lock = threading.Lock()
        self._opened: tuple[int, sqlite3.Connection] | None = None
        self._broken_until = 0.0
        self._told_by = 0  # process

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do it in a transaction of its own, one at a time in a process; return None if it failed,
        which a process tells of once."""
        with self._lock:
            if time.monotonic() < self._broken_until:
                return None
            try:
                connection = self._connection()
                with connection:
                    result = work(connection)
            except sqlite3.Error as error:
                self._opened = None
                self._broken_until = time.monotonic() + PAUSE_S
                if self._told_by != os.getpid():
                    self._told_by = os.getpid()
                    log.warning("last good answers are not shared among workers: %s", error)
                return None
            return result

    def _connection(self) -> sqlite3.Connection:
        """This process's: its parent's passes no fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            opened = sqlite3.connect(
                self._path, timeout=0.5, check_same_thread=False, factory=_Closing
            )
            opened.executescript(_ALWAYS + self._tables)
            self._opened = os.getpid(), opened
        return self._opened[1]


class Worker:
    """A thread of each process, from its first task on, for what nobody waits for."""

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._queue: tuple[int, Queue[Callable[[], None]]] | None = None

    def do(self, task: Callable[[], None]) -> None:
        """Have it done some time soon, unless too many wait or no thread can be started."""
        with suppress(Full, RuntimeError):
            self._tasks().put_nowait(task)

    def _tasks(self) -> Queue[Callable[[], None]]:
        with self._lock:
            if self._queue is None or self._queue[0] != os.getpid():
                queue: Queue[Callable[[], None]] = Queue(self._most_waiting)
                threading.Thread(target=_work, args=(queue,), daemon=True).start()
                self._queue = os.getpid(), queue
            return self._queue[1]


def _work(queue: Queue[Callable[[], None]]) -> None:
    for task in iter(queue.get, None):
        with suppress(Exception):  # it may be lost
            task()
