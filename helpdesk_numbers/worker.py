"""The worker that gunicorn.conf.py names: gunicorn's own with threads, but a thread is for a whole
request.

gunicorn's hands a connection to a thread as soon as one byte of a request is there, so that a few
dozen clients that say half of one hold all threads. Here the main thread collects a request's bytes
without waiting, closes whom it takes too long or who is one too many, and gives it to a thread when
it is all there. A connection stays with the poller meanwhile, so an ordinary request costs no call
to it. What is overridden gunicorn does not document, hence `gunicorn<28` in pyproject.toml.
"""

import errno
import os
import re
import selectors
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http import get_parser
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import ThreadWorker

from helpdesk_numbers import logs
from helpdesk_numbers.service import service_of_process
from helpdesk_numbers.threads import RequestThreads

MAX_REQUEST_BYTES = 96 * 1024
"""What is collected of a request at most: a body of 64 KiB, and a head. A thread refuses more."""

SILENT_S = 30.0
"""How long a connection may say nothing at all."""

REQUEST_S = 10.0
"""How long a request may take to arrive, from its first byte."""

SEND_S = 5.0
"""How long an answer may take to be sent, in all."""

LINGER_S = 2.0
"""How long a client is given to close its side of a connection that ours has closed, and to say
something at all once the worker has to stop: some platforms kill 5 s after SIGINT."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)


class Connection:
    """A client's connection. gunicorn's methods read `sock`, `client`, `server` and `parser`."""

    def __init__(self, sock: socket.socket, client: Any) -> None:
        self.sock, self.client, self.server = sock, client, sock.getsockname()
        self.parser: Any = None
        self.lock = threading.Lock()
        """Between the main thread, which reads, and the one that answers, which may be done."""
        self.received = bytearray()
        self.since = time.monotonic()
        """When it was opened, or began what it does now."""
        self.answering = self.lingering = self.ended = self.used = False
        self._chunk_at = 0
        self._told_to_go_on = False

    def add(self, data: bytes) -> bool:
        """Add what has arrived; return whether a thread can answer, so that nothing is waited for.

        That is a whole request, or one that is refused before it is whole.
        """
        if not self.received:
            self.since, self._chunk_at, self._told_to_go_on = time.monotonic(), 0, False
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if len(self.received) >= MAX_REQUEST_BYTES:
            return True
        if end < 0:
            return False
        head = bytes(self.received[: end + 2])
        if _CHUNKED.search(head):
            whole = self._has_last_chunk(end + 4)
        else:
            length = _LENGTH.search(head)
            missing = end + 4 + int(length[1]) - len(self.received) if length else 0
            whole = not 0 < missing < MAX_REQUEST_BYTES
        if not whole and not self._told_to_go_on and _EXPECTS.search(head):
            self._told_to_go_on = True
            with suppress(OSError):
                self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return whole

    def _has_last_chunk(self, begin: int) -> bool:
        """Whether all chunks are here, or one that is none: RFC 9112, 7.1."""
        at = self._chunk_at or begin
        while (end := self.received.find(b"\r\n", at)) >= 0:
            try:
                size = int(self.received[at:end].partition(b";")[0], 16)
            except ValueError:
                return True
            if size == 0:
                return self.received.find(b"\r\n\r\n", end - 1) >= 0
            self._chunk_at = at = end + 2 + size + 2
        return False


class Worker(ThreadWorker):
    """gunicorn's worker with threads, which nobody can hold who does not send whole requests."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._most, self.worker_connections = self.cfg.worker_connections, 2**31
        self._connections: dict[Connection, None] = {}
        self._next_look = self._stopping_since = 0.0

    def get_thread_pool(self) -> Any:
        """Return the threads that answer requests."""
        bulkhead = service_of_process().lookup.bulkhead
        self._threads = RequestThreads(
            self.cfg.threads, self._answer, lambda: bulkhead.long_waiting(time.monotonic())
        )
        return self._threads

    def run(self) -> None:
        """Serve until told to stop."""
        logs.OUTPUT.start()
        try:
            super().run()
        finally:
            logs.OUTPUT.stop()

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, closing another if there are too many or no descriptors left."""
        if self.nr_conns >= self._most:
            self._make_room()
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                if not self._make_room():
                    time.sleep(0.05)  # all descriptors are in use, which will pass
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return
        sock.settimeout(SEND_S)  # for `sendall` as a whole
        connection = Connection(sock, client)
        self.nr_conns += 1
        self._connections[connection] = None
        self.poller.register(sock, selectors.EVENT_READ, partial(self._read, connection))

    def _read(self, connection: Connection, _: Any) -> None:
        """Take what has arrived, and have a thread answer if that is a whole request."""
        try:
            data = os.read(connection.sock.fileno(), 65_536)  # `recv` would wait for the timeout
        except BlockingIOError:
            return
        except OSError:
            data = b""
        with connection.lock:
            if connection.answering:  # and sends the next request already, or takes no more
                connection.received += data
                if not data or len(connection.received) > MAX_REQUEST_BYTES:
                    connection.ended = True
                    self.poller.unregister(connection.sock)
                return
        if (not data and connection.lingering) or not (data or connection.received):
            self._close(connection)
        elif not connection.lingering and (connection.add(data) or not data):
            connection.answering = True  # even what was cut off, since the client may still listen
            self._threads.submit(connection)

    def _answer(self, connection: Connection) -> None:
        """Answer the request that has arrived. Runs in a thread of its own."""
        keep = self._handle(connection)
        with connection.lock:
            early = bytes(connection.received)  # of the next request
            connection.received.clear()
            connection.since, connection.used = time.monotonic(), True
            again = keep and bool(early) and connection.add(early)
            connection.answering, connection.lingering = again, not keep
        if again:
            self._threads.submit(connection)
        elif connection.ended:
            self.method_queue.defer(self._close, connection)
        elif not keep:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)

    def _handle(self, connection: Any) -> bool:
        """Return whether the connection can be used for another request."""
        request = None
        try:
            if connection.parser is None:
                connection.parser = get_parser(self.cfg, connection.sock, connection.client)
            parser = connection.parser
            with connection.lock:
                parser.unreader.unread(bytes(connection.received))
                connection.received.clear()
            request = next(parser)
            if not self.handle_request(request, connection) or not parser.finish_body():
                return False
            with connection.lock:
                connection.received[:0] = parser.unreader.take_buffered()
            return True
        except (NoMoreData, StopIteration, OSError) as error:
            self.log.debug("Closing connection: %s", type(error).__name__)
        except Exception as error:
            self.handle_error(request, connection.sock, connection.client, error)
        return False

    def _make_room(self) -> bool:
        """Close who has taken longest to say something; return whether there was anybody."""
        waiting = [one for one in list(self._connections) if not one.answering]
        if not waiting:
            return False
        self._close(min(waiting, key=lambda one: (not one.lingering, one.since)))
        return True

    def _close(self, connection: Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self.nr_conns -= 1
            with suppress(KeyError, ValueError, OSError):
                self.poller.unregister(connection.sock)
            connection.sock.close()

    def murder_pending(self) -> None:
        """Close who takes too long. gunicorn calls it once a second, or more often."""
        now = time.monotonic()
        if not self.alive and not self._stopping_since:
            self._stopping_since = now
        if now < self._next_look:
            return
        self._next_look = now + (0.5 if self.alive else 0.1)
        self._threads.grow()
        for connection in list(self._connections):
            since = max(connection.since, self._stopping_since)
            if not connection.answering and now - since > self._patience_s(connection):
                self._close(connection)

    def _patience_s(self, connection: Connection) -> float:
        if connection.lingering or not self.alive:
            return LINGER_S
        if connection.received:
            return REQUEST_S
        return float(self.cfg.keepalive) if connection.used else SILENT_S

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

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """Wait less long during a stop, so that it is over as soon as the last has an answer."""
        super().wait_for_and_dispatch_events(timeout if self.alive else 0.1)


class QuietLogger(Logger):
    """gunicorn's logger without its access log: the service writes its own line."""

    def access(self, *_: object) -> None:
        """Write nothing."""
