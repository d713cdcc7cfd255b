"""A tiny load balancer: each request goes to the next of several servers."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class RoundRobin(ThreadingHTTPServer):
    """The balancer, on a free port; `backends` may be filled in later."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backends: list[str] = []
        self.turns = itertools.count()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RoundRobin

    def log_message(self, *_: object) -> None:
        pass

    def _forward(self) -> None:
        backends = self.server.backends
        backend = urlsplit(backends[next(self.server.turns) % len(backends)])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = HTTPConnection(backend.hostname or "", backend.port, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _forward  # noqa: N815 - http.server's names


@contextmanager
def round_robin() -> Iterator[RoundRobin]:
    """The balancer, stopped afterwards."""
    with RoundRobin() as balancer:
        thread = threading.Thread(target=balancer.serve_forever)
        thread.start()
        try:
            yield balancer
        finally:
            balancer.shutdown()
            thread.join()
