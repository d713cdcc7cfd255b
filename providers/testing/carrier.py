"""A carrier to test an adapter against: a small HTTP server on a free port, and the ways in which
carriers split a list over pages.

For tests alone. It speaks HTTP/1.1 over plain sockets, so that it can also do what a server should
not: say nothing, drip, reset, break off.
"""

import base64
import binascii
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.client import parse_headers, responses
from typing import Any, BinaryIO, Self
from urllib.parse import parse_qsl, urlsplit

LONG_S = 6.0
"""How long a carrier hangs or drips, so that an adapter without a deadline fails a test that ends.
"""


@dataclass(frozen=True)
class Asked:
    """A request as it came: its target raw, its path and parameters decoded. `url` is the server's
    own base URL."""

    target: str
    headers: Message
    method: str = "GET"
    body: bytes = b""
    url: str = ""

    def is_same(self, other: "Asked") -> bool:
        """Whether both ask for the same."""
        return (self.method, self.target, self.body) == (other.method, other.target, other.body)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """A POST's fields."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def payload(self) -> Any:
        """The body's JSON, None if there is no body."""
        return json.loads(self.body) if self.body else None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What tells pages apart: the fields of a POST's JSON, else the parameters."""
        given = self.payload if self.method == "POST" else self.params
        return given if isinstance(given, dict) else {}

    @property
    def basic(self) -> tuple[str, str]:
        """User and password, empty if there are none."""
        kind, _, given = (self.headers["Authorization"] or "").partition(" ")
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return (user, password) if kind == "Basic" else ("", "")


@dataclass(frozen=True)
class Reply:
    """An answer. A `body` other than bytes is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        as_is = isinstance(self.body, bytes)
        body = self.body if as_is else json.dumps(self.body).encode()
        headers = {
            "Content-Type": "text/html" if as_is else "application/json",
            "Content-Length": str(len(body)),
            **self.headers,
        }
        reason = responses.get(self.status, "")
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


Fault = Callable[[socket.socket, threading.Event], None]
"""What to do to the connection instead of an answer, until the event says to stop."""

Answer = Callable[[Asked], Reply | Fault]


class Carrier:
    """The server. `answer` may be exchanged at any time; `asked` holds the requests so far, and
    `failures` what `answer` raised, which the client sees as a broken connection.

    With `greeting`, that happens to a connection at once, and nothing is read. A `port` of 0 is any
    free one.
    """

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        self.greeting: Fault | None = None
        self.asked: list[Asked] = []
        self.failures: list[Exception] = []
        self.connections = 0
        self._stop = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with suppress(OSError):  # wakes the thread in accept() on Linux,
            self._listener.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):  # and elsewhere
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        self._threads[0].join(10)
        self._listener.close()
        for connection in list(self._sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._stop.is_set():
                connection.close()
                return
            self.connections += 1
            self._sockets.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            if self.greeting:
                self.greeting(connection, self._stop)
                return
            while not self._stop.is_set() and self._serve_one(connection, stream):
                pass
        self._sockets.discard(connection)

    def _serve_one(self, connection: socket.socket, stream: BinaryIO) -> bool:
        line = stream.readline().decode("latin-1")
        if not line:
            return False
        method, target, _ = line.split(" ")
        headers = parse_headers(stream)
        body = stream.read(int(headers.get("Content-Length", 0)))
        asked = Asked(target, headers, method, body, self.url)
        self.asked.append(asked)
        try:
            reply = self.answer(asked)
        except Exception as error:  # of whatever kind: the test has a fault
            self.failures.append(error)
            raise
        if isinstance(reply, Reply):
            encoded = reply.encoded()
            head = encoded.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            connection.sendall(head if method == "HEAD" else encoded)
            return True
        reply(connection, self._stop)
        return False


def hang(_: socket.socket, stop: threading.Event) -> None:
    """Say nothing."""
    stop.wait(LONG_S)


def dripping(first: bytes, text: bytes) -> Fault:
    """Send `first`, then `text` again and again, a byte each 0.05 s: never silent for long, never
    done."""

    def drip(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(first)
        for index in range(int(LONG_S / 0.05)):
            if stop.wait(0.05):
                return
            connection.sendall(text[index % len(text) :][:1])

    return drip


drip_body = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ")


def reset(connection: socket.socket, _: threading.Event) -> None:
    """Close with RST, as a crashed or overloaded server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def break_off(connection: socket.socket, _: threading.Event) -> None:
    """Close in the middle of the body."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"lines": [')
