"""Throwaway HTTPS for a server that speaks HTTP alone, under any host name.

A proxy as HTTPS_PROXY names it: it takes every CONNECT, ends TLS itself, and passes the bytes on.
"""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOST = "numbers.example.com"
PROXY = ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "NO_PROXY")


def make_certificate(folder: Path) -> Path:
    """Certificate and key for HOST in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *command.split(),
            *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


@dataclass
class Front:
    """The running proxy. `hosts` are those that somebody asked for."""

    port: int
    certificate: Path
    hosts: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to go through it."""
        values = (f"http://127.0.0.1:{self.port}", str(self.certificate), "")
        return dict(zip(PROXY, values, strict=True))


@contextmanager
def https(certificate: Path, inside: str) -> Iterator[Front]:
    """HTTPS in front of the server at the URL `inside`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    port = int(inside.rpartition(":")[2])
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        front = Front(listener.getsockname()[1], certificate)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                one = threading.Thread(target=_serve, args=(connection, context, port, front.hosts))
                threads.append(one)
                one.start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield front
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join(15)


def _serve(connection: socket.socket, context: ssl.SSLContext, port: int, hosts: list[str]) -> None:
    """One CONNECT, and one request and its answer, which closes."""
    connection.settimeout(10)
    with connection, suppress(OSError):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := connection.recv(1)):
                return
            head += byte
        hosts.append(head.split()[1].decode())
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with (
            context.wrap_socket(connection, server_side=True) as secure,
            socket.create_connection(("127.0.0.1", port), 10) as server,
        ):
            _pass_on(secure, server)


def _pass_on(secure: ssl.SSLSocket, server: socket.socket) -> None:
    """The request at once, with a word that the connection closes; then the answer to its end."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := secure.recv(65_536)):
            return
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    length = next((int(x[15:]) for x in lines if x.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += secure.recv(65_536)
    server.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
    server.shutdown(socket.SHUT_WR)
    while piece := server.recv(65_536):
        secure.sendall(piece)
