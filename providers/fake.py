"""A carrier to test an adapter against: a small HTTP server on a free port, and the ways in which
carriers split a list over pages.

For tests alone, like providers/testing.py, which uses it.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

LONG_S = 6.0
"""How long a carrier hangs or drips, so that an adapter without a deadline fails a test that ends.
"""


@dataclass(frozen=True)
class Asked:
    """A request as it came. `form` is a POST's; `url` the server's own base URL."""

    method: str
    target: str
    headers: Message
    form: Mapping[str, str]
    url: str

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True)
class Reply:
    """An answer. A `body` other than bytes is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Length": str(len(body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


Fault = Callable[[socket.socket, threading.Event], None]
"""What to do to the connection instead of an answer, until the event says to stop."""

Answer = Callable[[Asked], Reply | Fault]


class Carrier:
    """The server. `answer` may be exchanged at any time; `asked` holds the requests so far, and
    `failures` what `answer` raised, which the client sees as a broken connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.failures: list[Exception] = []
        self.stop = threading.Event()
        self.sockets: set[socket.socket] = set()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> "Carrier":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self.sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 128

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Clients that give up are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        self.server.carrier.sockets.add(self.request)
        super().setup()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.server.carrier.sockets.discard(self.request)

    def do_GET(self) -> None:
        carrier = self.server.carrier
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = dict(parse_qsl(sent, keep_blank_values=True))
        asked = Asked(self.command, self.path, self.headers, form, carrier.url)
        carrier.asked.append(asked)
        try:
            reply = carrier.answer(asked)
        except Exception as error:
            carrier.failures.append(error)
            raise
        if isinstance(reply, Reply):
            self.wfile.write(reply.encoded())
        else:
            self.close_connection = True
            reply(self.connection, carrier.stop)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing: a test's own log is looked at."""


def hang(_: socket.socket, stop: threading.Event) -> None:
    """Say nothing."""
    stop.wait(LONG_S)


def drip(connection: socket.socket, stop: threading.Event) -> None:
    """Send a body a byte each 0.05 s: never silent for long, never done."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(int(LONG_S / 0.05)):
        if stop.wait(0.05):
            break
        connection.sendall(b" ")


def reset(connection: socket.socket, _: threading.Event) -> None:
    """Close with RST, as a crashed or overloaded server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def break_off(connection: socket.socket, _: threading.Event) -> None:
    """Close in the middle of the body."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"lines": [')


ABSENT: Any = object()
"""A field that is not there."""


@dataclass(frozen=True)
class Shown:
    """What a page shows: `items`, which start at `start` (from 0) and are up to `size` of `total`.

    `following` is the next page's start, or None on the last one; `host` where a link to it leads,
    if not where it should.
    """

    asked: Asked
    items: list[Any]
    start: int
    size: int
    total: int
    following: int | None
    host: str | None = None


@dataclass(frozen=True, kw_only=True)
class Paging:
    """How a carrier splits a list: `largest` numbers a page at most, `default` unless `size`, a
    parameter of the request, says otherwise. Places (`…_at`) are dotted: `meta.total_pages`."""

    largest: int
    default: int = 0
    size: str = ""
    total_at: str = ""

    def shown(self, asked: Asked, items: list[Any]) -> Shown | None:
        """The page asked for, or None if it asks for more than there may be on one."""
        size = int(asked.params.get(self.size, self.default or self.largest))
        start = self.start(asked.params, size)
        if not 1 <= size <= self.largest or start < 0:
            return None
        following = start + size if start + size < len(items) else None
        return Shown(asked, items[start : start + size], start, size, len(items), following)

    def start(self, params: Mapping[str, str], size: int) -> int:
        """Where the page asked for starts."""
        raise NotImplementedError

    def fields(self, shown: Shown) -> dict[str, Any]:
        """What the page says about itself, by place."""
        return {self.total_at: shown.total} if self.total_at else {}


@dataclass(frozen=True, kw_only=True)
class ByNumber(Paging):
    """Pages asked for by number from `first`: Telnyx, RingCentral, Vonage."""

    number: str
    first: int = 1
    page_at: str = ""
    pages_at: str = ""
    size_at: str = ""

    def start(self, params: Mapping[str, str], size: int) -> int:
        return (int(params.get(self.number, self.first)) - self.first) * size

    def fields(self, shown: Shown) -> dict[str, Any]:
        said = {
            self.page_at: shown.start // shown.size + self.first,
            self.pages_at: -(-shown.total // shown.size),
            self.size_at: shown.size,
        }
        return super().fields(shown) | {at: value for at, value in said.items() if at}


@dataclass(frozen=True, kw_only=True)
class ByToken(Paging):
    """Pages that name a cursor at `at` for the next request's `token` parameter: Dialpad, Zoom.

    `last` is what stands there on the last page.
    """

    token: str
    at: str
    last: Any = ABSENT

    def start(self, params: Mapping[str, str], size: int) -> int:
        given = params.get(self.token, "")
        return int(given.removeprefix("tok=/+&")) if given else 0

    def fields(self, shown: Shown) -> dict[str, Any]:
        following = self.last if shown.following is None else f"tok=/+&{shown.following}"
        return super().fields(shown) | {self.at: following}


@dataclass(frozen=True, kw_only=True)
class ByLink(Paging):
    """Pages that name the next one's link at `at`, a path or, if `absolute`, a whole URL:
    Plivo, SignalWire, Bandwidth, Aircall, Twilio. `last` is what stands there on the last page."""

    at: str
    last: Any = None
    absolute: bool = False

    def start(self, params: Mapping[str, str], size: int) -> int:
        return int(params.get("from-token", "0"))

    def fields(self, shown: Shown) -> dict[str, Any]:
        return super().fields(shown) | {self.at: self.link(shown) or self.last}

    def link(self, shown: Shown) -> str:
        """The next page's link; empty on the last page."""
        if shown.following is None:
            return ""
        base = (shown.asked.url if self.absolute else "") if shown.host is None else shown.host
        query = urlencode({**shown.asked.params, "from-token": shown.following})
        return f"{base}{shown.asked.path}?{query}"


def put(body: Any, at: str, value: Any) -> None:
    """Set, or with ABSENT remove, the field of `body` at a dotted place."""
    *above, name = at.split(".")
    for key in above:
        if not isinstance(body.get(key), dict):
            body[key] = {}
        body = body[key]
    if value is ABSENT:
        body.pop(name, None)
    else:
        body[name] = value
