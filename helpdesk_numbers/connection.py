"""A client's connection, and where a request on it ends: RFC 9112."""

import os
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Any

MAX_REQUEST_BYTES = 96 * 1024
"""What is collected of a request at most: a body of 64 KiB, and a head. A thread refuses more."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-f]{1,8})(?:[ \t]*;.*)?", re.IGNORECASE)


class Connection:
    """A client's connection. gunicorn's methods read `sock`, `client` and `server`."""

    def __init__(self, sock: socket.socket, client: Any) -> None:
        self.sock, self.client, self.server = sock, client, sock.getsockname()
        self.lock = threading.Lock()
        """Between the main thread, which reads, and the one that answers."""
        self.received = bytearray()
        self.since = time.monotonic()
        """When it was opened, or began what it does now."""
        self.answering = self.lingering = self.ended = self.used = False
        self.size = 0
        """Bytes of the request, once it is whole."""
        self.length: int | None = 0
        """What its Content-Length says; None if it is chunked."""
        self._body_at = self._chunk_at = 0
        self._waits_for_100 = False

    def add(self, data: bytes) -> bool:
        """Add what has arrived; return whether a thread can answer, so that nothing is waited for.

        That is a whole request, or one that is refused before it is whole (`size` is 0).
        """
        if not self.received:
            self.since, self.size, self._body_at = time.monotonic(), 0, 0
        self.received += data
        too_large = len(self.received) >= MAX_REQUEST_BYTES
        if not self._body_at and not self._has_head(len(self.received) - len(data)):
            return too_large
        size = self._end_of_chunks() if self.length is None else self._body_at + self.length
        if 0 < size <= len(self.received):
            self.size = size
            return True
        if too_large or size < 0 or size > MAX_REQUEST_BYTES:
            return True
        if self._waits_for_100:
            self._waits_for_100 = False
            with suppress(OSError):  # `send` would wait for a client that does not read
                os.write(self.sock.fileno(), b"HTTP/1.1 100 Continue\r\n\r\n")
        return False

    def _has_head(self, old: int) -> bool:
        """Whether the head is here, of whose bytes the `old` were looked at before."""
        end = self.received.find(b"\r\n\r\n", max(0, old - 3))
        if end < 0:
            return False
        head = bytes(self.received[: end + 2])
        length = _LENGTH.search(head)
        self.length = None if _CODING.search(head) else int(length[1]) if length else 0
        self._body_at = self._chunk_at = end + 4
        self._waits_for_100 = bool(_EXPECTS.search(head))
        return True

    def _end_of_chunks(self) -> int:
        """Where the last chunk and its trailers end; 0 if they are not all here, -1 if one is no
        chunk: RFC 9112, 7.1."""
        while (end := self.received.find(b"\r\n", self._chunk_at)) >= 0:
            chunk = _CHUNK.fullmatch(self.received, self._chunk_at, end)
            if not chunk:
                return -1
            if not (size := int(chunk[1], 16)):
                last = self.received.find(b"\r\n\r\n", end)
                return last + 4 if last >= 0 else 0
            self._chunk_at = end + 2 + size + 2
        return 0
