"""A carrier to test against: a small HTTP server on a free port whose answers a test programs.

It speaks HTTP/1.1 over plain sockets, so that it can also do what a server should not: say nothing,
drip, reset, break off. `TwilioAPI` is an answer to it that follows Twilio's description.
"""

import base64
import binascii
import gzip
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.client import parse_headers
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlencode, urlsplit

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Asked:
    """A request as it came: its target raw, and its path and parameters decoded."""

    target: str
    headers: Message

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

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
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


Fault = Callable[[socket.socket, threading.Event], None]
"""What to do to the connection instead of an answer, until the event says to stop."""

Answer = Callable[[Asked], Reply | Fault]


class Carrier:
    """The server. `answer` may be exchanged at any time; `asked` holds the requests so far.

    With `greeting`, that happens to a connection at once, and nothing is read. A `port` of 0 is any
    free one.
    """

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        self.greeting: Fault | None = None
        self.asked: list[Asked] = []
        self.connections = 0
        self._stop = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start(self._accept)

    def __enter__(self) -> "Carrier":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with suppress(OSError):  # wakes the thread in accept()
            self._listener.shutdown(socket.SHUT_RDWR)
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
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
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
        asked = Asked(line.split(" ")[1], parse_headers(stream))
        self.asked.append(asked)
        reply = self.answer(asked)
        if isinstance(reply, Reply):
            connection.sendall(reply.encoded())
            return True
        reply(connection, self._stop)
        return False


def says(body: Any = b"", status: int = 200, **headers: str) -> Answer:
    """The same answer to everything; `Retry_After="5"` is a header."""
    reply = Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
    return lambda _: reply


def does(fault: Fault) -> Answer:
    """The same fault at every request."""
    return lambda _: fault


def hang(_: socket.socket, stop: threading.Event) -> None:
    """Say nothing."""
    stop.wait(30)


def drip(text: bytes, *, first: bytes = b"") -> Fault:
    """Send `first`, then `text` again and again, a byte each 0.05 s: never silent for long."""

    def dripping(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(first)
        while True:
            for byte in text:
                if stop.wait(0.05):
                    return
                connection.sendall(bytes([byte]))

    return dripping


drip_headers = drip(b"X-Slow: very\r\n", first=b"HTTP/1.1 200 OK\r\n")
drip_body = drip(b" ", first=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")


def reset(connection: socket.socket, _: threading.Event) -> None:
    """Close with RST, as a crashed or overloaded server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def break_off(connection: socket.socket, _: threading.Event) -> None:
    """Close in the middle of the body."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"lines": [')


def pour(connection: socket.socket, stop: threading.Event) -> None:
    """A body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b" " * 65_536)


def bomb(mebibytes: int) -> Answer:
    """An answer that is small on the wire and `mebibytes` large once unpacked."""
    packed = gzip.compress(b" " * (mebibytes << 20))
    return says(packed, Content_Encoding="gzip")


HTML = b"<html><body>Bad gateway, call +12025550199</body></html>"


@contextmanager
def refusing() -> Iterator[str]:
    """The URL of a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def documented(name: str) -> Any:
    """The body of `tests/data/<name>.json`, as the carrier documents it."""
    return json.loads((DATA / f"{name}.json").read_text())["body"]


Record = dict[str, Any]


def twilio_numbers(count: int, area: int = 201) -> list[Record]:
    """Numbers of which most, not all, can take a call: a tenth each is text-only, receives faxes,
    or has null for its capabilities; another tenth has a null receive mode, which is no fax."""
    template = documented("twilio/numbers")["incoming_phone_numbers"][0]
    odd: list[Record] = [
        {"capabilities": {"voice": False, "sms": True, "mms": True, "fax": False}},
        {"voice_receive_mode": "fax"},
        {"capabilities": None},
        {"voice_receive_mode": None},
    ]
    return [
        template
        | {
            "sid": f"PN{index:032x}",
            "phone_number": f"+1{area + index // 100}55501{index % 100:02}",
            "friendly_name": f"Line {index}",
        }
        | (odd[index % 10] if index % 10 < len(odd) else {})
        for index in range(count)
    ]


def can_take_calls(record: Record) -> bool:
    """Whether Twilio's description says so."""
    capabilities = record["capabilities"] or {}
    return capabilities.get("voice") is True and record["voice_receive_mode"] != "fax"


class TwilioAPI:
    """Answers as Twilio's IncomingPhoneNumbers list does, for accounts that a test adds.

    `prefix` is a path below which a proxy serves it all.
    """

    def __init__(self, prefix: str = "") -> None:
        self._path = re.compile(
            re.escape(prefix) + r"(/2010-04-01/Accounts/(\w+)/IncomingPhoneNumbers\.json)"
        )
        self._numbers: dict[str, list[Record]] = {}
        self._logins: dict[tuple[str, str], set[str]] = {}

    def add_account(
        self, sid: str, token: str, numbers: list[Record], parent: tuple[str, str] | None = None
    ) -> None:
        """An account; a sub-account if `parent`, whose login then reads it too, is given."""
        self._numbers[sid] = numbers
        self._logins.setdefault((sid, token), set()).add(sid)
        if parent:
            self._logins[parent].add(sid)

    def add_key(self, key: str, secret: str, sid: str) -> None:
        """An API key of the account."""
        self._logins[key, secret] = {sid}

    def __call__(self, asked: Asked) -> Reply:
        found = self._path.fullmatch(asked.path)
        if not found:
            return _error(404, 20404, "The requested resource was not found")
        if found[2] not in self._logins.get(asked.basic, set()):
            return Reply(documented("twilio/error"), 401)
        params = asked.params
        size, page = int(params.get("PageSize", 50)), int(params.get("Page", 0))
        if not 1 <= size <= 1000:
            return _error(400, 20001, "Page size must be between 1 and 1000")
        if page and "PageToken" not in params:
            return _error(400, 20001, "Page token missing")
        return self._page(found[1], found[2], size, page, params)

    def _page(self, path: str, sid: str, size: int, page: int, params: dict[str, str]) -> Reply:
        numbers = self._numbers[sid]
        if wanted := params.get("PhoneNumber"):
            pattern = re.compile(re.escape(wanted).replace(r"\*", r"\d"))
            numbers = [one for one in numbers if pattern.search(one["phone_number"] or "")]
        start = page * size
        if page and params["PageToken"] != f"PA{numbers[start - 1]['sid']}":
            return _error(400, 21481, "Invalid PageToken")
        kept = {"PhoneNumber": wanted} if wanted else {}
        shown = numbers[start : start + size]

        def uri(number: int) -> str:
            token = {"PageToken": f"PA{numbers[number * size - 1]['sid']}"} if number else {}
            return f"{path}?" + urlencode(kept | {"PageSize": size, "Page": number} | token)

        return Reply(
            {
                "end": start + len(shown) - 1,
                "first_page_uri": uri(0),
                "incoming_phone_numbers": shown,
                "next_page_uri": uri(page + 1) if start + size < len(numbers) else None,
                "page": page,
                "page_size": size,
                "previous_page_uri": uri(page - 1) if page else None,
                "start": start,
                "uri": uri(page),
            }
        )


def _error(status: int, code: int, message: str) -> Reply:
    info = f"https://www.twilio.com/docs/errors/{code}"
    return Reply({"code": code, "message": message, "more_info": info, "status": status}, status)
