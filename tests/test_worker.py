"""What the worker takes for a request, and what gunicorn's parser reads in it."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import MagicMock

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser

from helpdesk_numbers.connection import MAX_REQUEST_BYTES, Connection
from helpdesk_numbers.worker import Worker
from tests.support.forgeries import KINDS, SMUGGLED, Draft

CONFIG = Config()
Requests = list[tuple[str, str, bytes]]


class Recording(Worker):
    """A worker that has no process, and notes down what it would answer."""

    def __init__(self) -> None:
        self.cfg, self.alive = CONFIG, True
        self.log: Any = MagicMock()
        self.requests: Requests = []
        self._threads: Any = self

    def submit(self, connection: Connection) -> None:
        self._answer(connection)

    def handle_request(self, request: Any, _: Any) -> bool:
        self.requests.append((request.method, request.uri, request.body.read()))
        return not request.should_close()


def read_by_us(pieces: list[bytes]) -> Requests:
    """The requests on a connection on which these pieces arrive, one after another."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        ours.settimeout(0.01)
        worker, connection = Recording(), Connection(ours, ("127.0.0.1", 1))
        for piece in pieces:
            if not connection.lingering and connection.add(piece):
                worker.submit(connection)
        if connection.received and not connection.lingering:
            worker.submit(connection)  # the client has closed its side
    return worker.requests


def read_by_gunicorn(sent: bytes) -> Iterator[tuple[str, str, bytes]]:
    """The requests that gunicorn's parser alone reads in these bytes."""
    parser = get_parser(CONFIG, [sent], ("127.0.0.1", 1))
    request: Any
    for request in parser:
        yield request.method, request.uri, request.body.read()


def cut(sent: bytes, chance: random.Random) -> list[bytes]:
    """The same in a few pieces."""
    at = sorted(chance.randrange(len(sent) + 1) for _ in range(chance.randrange(6)))
    pieces = [sent[a:b] for a, b in zip([0, *at], [*at, len(sent)], strict=True)]
    return [piece for piece in pieces if piece]


def test_no_request_is_read_that_gunicorn_alone_would_not_read() -> None:
    """Which is to say: none out of the body of another, however its length is told."""
    chance, kept = random.Random(3), 0
    for number in range(4000):
        draft = Draft("x.example", chance)
        KINDS[number % len(KINDS)](draft)
        sent = draft.bytes() + chance.choice([b"", SMUGGLED, draft.bytes(), SMUGGLED * 2])
        ours = read_by_us(cut(sent, chance))
        theirs: Requests = []
        with suppress(Exception):  # there it stops
            theirs.extend(read_by_gunicorn(sent))
        if ours:  # a body that is too large is not waited for
            last = theirs[len(ours) - 1]
            theirs[len(ours) - 1] = (*last[:2], last[2][: len(ours[-1][2])])
        assert ours == theirs[: len(ours)], sent
        kept += len(ours) > 1
    assert kept > 100, "most connections go on after a request that is in order"


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_requests_in_order_are_all_read_however_they_are_cut(size: int) -> None:
    chunked = (
        b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'3;a="b"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: 1\r\n\r\n'
    )
    plain = b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    sent = (SMUGGLED + chunked + plain) * 3
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    expected = [
        ("GET", "/smuggled", b""),
        ("POST", "/c", b"abc0123456789"),
        ("POST", "/p", b"hello"),
    ]
    assert read_by_us(pieces) == expected * 3


@pytest.mark.parametrize("size", [b"-6", b"-8", b"-1", b"+5", b"0x5", b"1_0", b"", b"f" * 400])
def test_a_chunk_whose_size_is_none_ends_the_request_at_once(size: bytes) -> None:
    """A negative one had the main thread look at the same chunk for ever."""
    connection = Connection(socket.socket(), None)
    with connection.sock:
        head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert connection.add(head + size + b"\r\n" + SMUGGLED)
        assert connection.size == 0


def test_a_body_that_is_too_large_is_refused_without_being_waited_for() -> None:
    for length in (b"1000000", b"9" * 15, b"9" * 30):
        head = b"POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % length
        assert read_by_us([head, SMUGGLED]) == [("POST", "/", b"")], "and the connection is closed"


def test_a_client_that_does_not_read_is_told_to_go_on_without_waiting() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)
        connection = Connection(ours, None)
        ours.setblocking(False)
        with suppress(BlockingIOError):
            while ours.send(b" " * 4096):
                pass
        ours.settimeout(60)
        done = threading.Event()

        def add() -> None:
            head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
            assert not connection.add(head)
            done.set()

        threading.Thread(target=add, daemon=True).start()
        assert done.wait(20)


def test_a_head_without_end_is_answered_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        connection, worker = Connection(ours, ("127.0.0.1", 1)), Recording()
        assert connection.add(b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * (MAX_REQUEST_BYTES // 6))
        began = time.monotonic()
        worker.submit(connection)
        assert time.monotonic() - began < 3
        assert theirs.recv(100).startswith(b"HTTP/1.1 431 ")
        assert worker.requests == []
