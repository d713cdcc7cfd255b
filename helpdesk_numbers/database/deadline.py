"""A deadline for what somebody who waits asks the database.

A server that hangs says nothing, and libpq waits for ever: `statement_timeout` is the server's own.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import TimeoutError as DatabaseTimeout


class _Watched:
    """The connections that are used until a deadline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[int, Any] = {}
        self._over = False

    def add(self, connection: Any) -> None:
        with self._lock:
            if self._over:
                raise DatabaseTimeout("the database did not answer in time")
            self._connections[id(connection)] = connection

    def remove(self, connection: Any) -> None:
        with self._lock:  # so that no file descriptor is shut down that is another's by then
            self._connections.pop(id(connection), None)

    def end(self) -> None:
        """Break the connections off: who waits for an answer is told so at once."""
        with self._lock:
            self._over = True
            for connection in self._connections.values():
                with suppress(Exception), socket.socket(fileno=_copy(connection)) as ours:
                    ours.shutdown(socket.SHUT_RDWR)


_watched: ContextVar[_Watched | None] = ContextVar("watched", default=None)


def _copy(connection: Any) -> int:
    copied: int = os.dup(connection.fileno())
    return copied


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Break off what this thread asks PostgreSQL, by an engine of `keep`, for longer than that: it
    raises SQLAlchemyError, and the pool makes a new connection when it needs one."""
    watched = _Watched()
    timer = threading.Timer(seconds, watched.end)
    timer.daemon = True
    timer.start()
    token = _watched.set(watched)
    try:
        yield
    finally:
        _watched.reset(token)
        timer.cancel()


def keep(engine: Engine) -> None:
    """Have the engine's connections keep to the deadlines of `within`."""

    def made(dialect: Any, _: Any, arguments: Any, options: Any) -> Any:
        connection = dialect.connect(*arguments, **options)  # which is asked things before its use
        used(connection)
        return connection

    def used(connection: Any, *_: Any) -> None:
        if watched := _watched.get():
            watched.add(connection)

    def left(connection: Any, *_: Any) -> None:
        if watched := _watched.get():
            watched.remove(connection)

    event.listen(engine, "do_connect", made)
    event.listen(engine, "checkout", used)
    event.listen(engine, "checkin", left)
    event.listen(engine, "close", left)
