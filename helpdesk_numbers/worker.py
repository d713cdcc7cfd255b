"""The worker that gunicorn.conf.py names: gunicorn's own with threads, and what that lacks.

It overrides methods that gunicorn does not document, hence `gunicorn<28` in pyproject.toml.
"""

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from helpdesk_numbers.service import service_of_process

REST_S = 5.0
"""What a request and its answer may take beyond LOOKUP_DEADLINE: gthread itself waits for ever for
the rest of one, so that a few dozen half-sent requests would hold all threads."""

LINGER_S = 2.0
"""What whoever has said nothing, or not all, may still take once a worker has to stop: some
platforms kill 5 s after SIGINT."""

MAX_GROWTH = 4
"""So many times WEB_THREADS is the most that a worker has."""


class RequestThreads(ThreadPoolExecutor):
    """A worker's threads: as many as it is told, and one more for each that has `waiting()` long.

    A thread that waits for a slow carrier costs next to nothing, so it takes no other's place.
    """

    def __init__(self, threads: int, waiting: Callable[[], int]) -> None:
        super().__init__(threads, thread_name_prefix="request")
        self._least, self._waiting = threads, waiting

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `fn` on a thread that is free, or on a new one if there may be one more."""
        self._max_workers = self._most()
        return super().submit(fn, *args, **kwargs)

    def grow(self) -> None:
        """Start threads for requests that wait for one, as far as there may be more by now."""
        self._max_workers = self._most()
        for _ in range(self._work_queue.qsize()):
            self._adjust_thread_count()

    def _most(self) -> int:
        return min(self._least + self._waiting(), MAX_GROWTH * self._least)


class Worker(ThreadWorker):
    """gunicorn's worker with threads, in which no half-sent request and no idle client lasts."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._whole_s = service_of_process().settings.lookup_deadline + REST_S
        self._handled: dict[Any, float] = {}
        self._next_look = 0.0

    def get_thread_pool(self) -> RequestThreads:
        """Return the threads that answer requests."""
        bulkhead = service_of_process().lookup.bulkhead
        self._threads = RequestThreads(
            self.cfg.threads, lambda: bulkhead.long_waiting(time.monotonic())
        )
        return self._threads

    def handle(self, conn: Any) -> Any:
        """Note since when a thread has had the connection."""
        self._handled[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._handled[conn]

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Close the port as a stop begins; gunicorn closes it only at the end of one."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                accepted = -1
                while accepted < self.nr_conns:  # whoever is in the queue already is answered
                    accepted = self.nr_conns
                    self.accept(listener)
                listener.close()

    def murder_pending(self) -> None:
        """End what has lasted too long. gunicorn calls it once a second, or more often."""
        super().murder_pending()
        if (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + 1
        self._threads.grow()
        for conn, since in list(self._handled.items()):
            if now - since > (self._whole_s if self.alive else LINGER_S):
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)  # an answer can still be sent
        if not self.alive:
            for conn in self.pending_conns:  # gunicorn would give them `keepalive` seconds
                conn.timeout = min(conn.timeout or now, now + LINGER_S)


class QuietLogger(Logger):
    """gunicorn's logger without its access log: the service writes its own line."""

    def access(self, *_: object) -> None:
        """Write nothing."""
