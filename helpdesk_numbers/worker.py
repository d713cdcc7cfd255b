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
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from http.client import responses
from typing import Any
from uuid import uuid4

import msgspec
from gunicorn.glogging import Logger
from gunicorn.http import get_parser
from gunicorn.http.errors import (
    ConfigurationProblem,
    InvalidHeader,
    LimitRequestHeaders,
    NoMoreData,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

from .connection import MAX_REQUEST_BYTES, Connection
from .log_lines import OUTPUT
from .service import service_of_process
from .threads import RequestThreads

MAX_EARLY_BYTES = 16 * 1024
"""What a client may send of its next requests before it has an answer; who sends more is no proxy,
and is cut off after that answer."""

SILENT_S = 30.0
"""How long a connection may say nothing at all."""

REQUEST_S = 10.0
"""How long a request may take to arrive, from its first byte."""

SEND_S = 5.0
"""How long an answer may take to be sent, in all."""

LINGER_S = 2.0
"""How long a client is given to close its side of a connection that ours has closed, and to say
something at all once the worker has to stop: some platforms kill 5 s after SIGINT."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC)


class Worker(ThreadWorker):
    """gunicorn's worker with threads, which nobody can hold who does not send whole requests."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._most = self.cfg.worker_connections
        self.worker_connections = self.max_keepalived = 2**31  # the base class would stop at those
        self._connections: dict[Connection, None] = {}
        self._next_look = self._stopping_since = 0.0

    @classmethod
    def check_config(cls, *_: object) -> None:
        """Accept that there may be more threads than connections, of which gunicorn warns."""

    def get_thread_pool(self) -> Any:
        """Return the threads that answer requests."""
        bulkhead = service_of_process().lookup.bulkhead
        self._threads = RequestThreads(
            self.cfg.threads, self._answer, lambda: bulkhead.long_waiting(time.monotonic())
        )
        return self._threads

    def init_signals(self) -> None:
        """Stop on SIGINT as on SIGTERM: a terminal sends it to the workers as well."""
        super().init_signals()
        signal.signal(signal.SIGINT, self.handle_exit)

    def run(self) -> None:
        """Serve until told to stop."""
        OUTPUT.start()
        try:
            super().run()
        finally:
            OUTPUT.stop()

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, closing another if there are too many or no descriptors left."""
        if self.nr_conns >= self._most:
            self._make_room()
        try:
            sock, client = listener.accept()
            sock.settimeout(SEND_S)  # for `sendall` as a whole
            connection = Connection(sock, client)
            self.poller.register(sock, selectors.EVENT_READ, partial(self._read, connection))
        except OSError as error:  # none of which is a reason to die: accept(2)
            if error.errno in _NO_ROOM and not self._make_room():
                time.sleep(0.05)  # all descriptors are in use, which will pass
            return
        self.nr_conns += 1
        self._connections[connection] = None

    def _read(self, connection: Connection, _: Any) -> None:
        """Take what has arrived, and have a thread answer if that is a whole request."""
        if connection not in self._connections:  # closed since the poller saw it
            return
        try:
            data = os.read(connection.sock.fileno(), 65_536)  # `recv` would wait for the timeout
        except BlockingIOError:
            return
        except OSError:
            data = b""
        with connection.lock:
            if connection.answering:  # and sends the next request already, or takes no more
                connection.received += data
                if not data or len(connection.received) > MAX_EARLY_BYTES:
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
        keep = False
        try:
            keep = self._handle(connection)
        except BaseException as error:  # sys.exit() in an adapter, say
            self.log.error("Error handling request: %s", type(error).__name__)
        with connection.lock:
            ended = connection.ended
            keep = keep and len(connection.received) <= MAX_EARLY_BYTES
            early = bytes(connection.received) if keep else b""  # of the next request
            connection.received.clear()
            connection.since, connection.used = time.monotonic(), True
            again = bool(early) and connection.add(early)
            connection.answering, connection.lingering = again, not keep
        if again:
            self._threads.submit(connection)
        elif ended:
            self.method_queue.defer(self._close, connection)
        elif not keep:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)

    def _handle(self, connection: Any) -> bool:
        """Return whether the connection can be used for another request.

        gunicorn's parser gets the request's own bytes and no others. Where it finds another end of
        the request than we did, what follows may be anything, and the connection is closed: nobody
        gets a request past a proxy in the body of another (RFC 9112, 11.2).
        """
        request: Any = None
        with connection.lock:
            size = connection.size or len(connection.received)
            parser = get_parser(self.cfg, [bytes(connection.received[:size])], connection.client)
            del connection.received[:size]
        try:
            request = next(parser)
            length = getattr(request.body.reader, "length", None)
            if not connection.size or length != connection.length:
                request.force_close()
            if not self.handle_request(request, connection):
                return False
        except (StopIteration, OSError) as error:
            self.log.debug("Closing connection: %s", type(error).__name__)
            if not isinstance(error, NoMoreData) or size < MAX_REQUEST_BYTES:
                return False
            refusal: Exception = LimitRequestHeaders("too large")
        except UnsupportedTransferCoding:  # 501 to gunicorn, but a client's fault is no 5xx
            refusal = InvalidHeader("TRANSFER-ENCODING")
        except Exception as error:  # whatever the parser refuses: `handle_error` knows its answer
            refusal = error
        else:
            with suppress(Exception):  # the body has another end than we thought; it is answered
                return bool(parser.finish_body()) and not parser.unreader.take_buffered()
            return False
        self.handle_error(request, connection.sock, connection.client, refusal)
        return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what gunicorn itself refuses, with its status, in HubSpot's shape of errors."""
        page = _Page()
        super().handle_error(req, page, addr, exc)  # type: ignore[arg-type] # all that it uses
        said = re.match(rb"HTTP/1\.1 (\d{3})", page.sent)
        status = int(said[1]) if said else 500
        message = "The request cannot be read."
        if isinstance(exc, ConfigurationProblem):  # https://github.com/benoitc/gunicorn/issues/2969
            self.log.error(
                "SCRIPT_NAME is set, and a request's path does not begin with it: unset it"
            )
            message = "The request's path does not begin with SCRIPT_NAME."
        content = msgspec.json.encode(
            {
                "status": "error",
                "message": message,
                "correlationId": str(uuid4()),
                "category": responses.get(status, "Error").upper().replace(" ", "_"),
            }
        )
        head = (
            f"HTTP/1.1 {status} {responses.get(status, 'Error')}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
            "Cache-Control: no-store\r\n\r\n"
        )
        with suppress(OSError):
            client.sendall(head.encode() + content)

    def _make_room(self) -> bool:
        """Close who has taken longest to say something; return whether there was anybody."""
        waiting = [one for one in list(self._connections) if not one.answering]
        if not waiting:
            return False
        self._close(min(waiting, key=lambda one: (not one.lingering, one.since)))
        return True

    def _close(self, connection: Connection) -> None:
        if connection in self._connections and not connection.answering:
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


class _Page:
    """A client that keeps what gunicorn sends it."""

    sent = b""

    def gettimeout(self) -> float:
        """Return that nothing has to be waited for."""
        return 0.0

    def sendall(self, data: bytes) -> None:
        """Keep the data."""
        self.sent += data


class QuietLogger(Logger):
    """gunicorn's logger without its access log: the service writes its own line."""

    def access(self, *_: object) -> None:
        """Write nothing."""
