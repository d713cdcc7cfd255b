"""TLS in front of a server that has none itself."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Connect = Callable[[], socket.socket]


@contextmanager
def tls_in_front(
    connect: Connect, certificate: Path, greet: Callable[[socket.socket], None] = lambda _: None
) -> Iterator[int]:
    """The port of a server by TLS. `greet` says what the protocol has before it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(client: socket.socket) -> None:
        with suppress(OSError):
            greet(client)
            with context.wrap_socket(client, server_side=True) as outer, connect() as inner:
                threading.Thread(target=_pass_on, args=(inner, outer), daemon=True).start()
                _pass_on(outer, inner)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(socket.SHUT_RDWR)
