"""What strangers send to the real server, byte for byte."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from helpdesk_numbers.webhook import MAX_BODY_BYTES, PATH
from hubspot.signature import signed_headers
from providers.testing.carrier import Carrier, hang
from tests.support.carrier import does, twilio_settings
from tests.support.server import Server, serving

SETTINGS = {
    "HUBSPOT_CLIENT_SECRET": "a-secret-of-tests",
    "PROVIDER": "static",
    "STATIC_NUMBERS": '[{"number": "+12025550143"}]',
    "HUBSPOT_PORTAL_IDS": "62515",
    "WEB_CONCURRENCY": "1",
    "WEB_THREADS": "2",
    "LOOKUP_DEADLINE": "0.5",
}
BODY = b'{"appId": 1, "portalId": 62515, "userId": 1001}'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(SETTINGS) as made:
        yield made


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), 20)


def exchange(server: Server, sent: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to these bytes, after which we say no more."""
    with connect(server) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def signed(server: Server, body: bytes, framing: str) -> bytes:
    """The head of a request that HubSpot signed with this body."""
    headers = signed_headers(
        "v3", "a-secret-of-tests", "POST", server.url + PATH, body, time.time_ns() // 10**6
    )
    lines = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {server.url.removeprefix('http://')}",
        "Content-Type: application/json",
        "Connection: close",
        framing,
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


CHUNKED = "Transfer-Encoding: chunked"


def test_a_chunked_body_is_read(server: Server) -> None:
    status, answer = exchange(server, signed(server, BODY, CHUNKED) + chunked(BODY))
    assert status == 200
    assert len(json.loads(answer)["phoneNumbers"]) == 1


@pytest.mark.parametrize("signed_part", [MAX_BODY_BYTES, MAX_BODY_BYTES + 5000])
def test_a_chunked_body_that_is_too_large_is_refused_and_not_cut_off(
    server: Server, signed_part: int
) -> None:
    body = BODY.ljust(MAX_BODY_BYTES + 5000)
    status, answer = exchange(server, signed(server, body[:signed_part], CHUNKED) + chunked(body))
    assert (status, json.loads(answer)["category"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    assert "64 KiB" in json.loads(answer)["message"]


@pytest.mark.parametrize("rest", [b"zz\r\n", b"5\r\n{}", b""])
def test_a_body_with_broken_chunks_is_the_senders_fault(server: Server, rest: bytes) -> None:
    status, answer = exchange(server, signed(server, BODY, CHUNKED) + rest)
    assert status in (400, 401)
    assert json.loads(answer)["status"] == "error"


def test_a_body_that_breaks_off_is_refused_though_what_came_is_signed(server: Server) -> None:
    length = f"Content-Length: {len(BODY) + 10}"
    status, answer = exchange(server, signed(server, BODY, length) + BODY)
    assert status == 400
    assert "shorter than Content-Length" in json.loads(answer)["message"]


def test_what_cannot_be_read_as_a_request_is_not_quoted_in_the_log(server: Server) -> None:
    for line in (b"GET 12025550143 HTTP/1.1", b"(202) 555-0143", b"GET / HTTP/9 2025550143"):
        exchange(server, line + b"\r\nHost: x\r\n\r\n")
    said = [json.loads(line) for line in server.output().splitlines()]
    warnings = [line["event"] for line in said if line["level"] == "WARNING"]
    assert warnings == ["Invalid request"] * 3


def test_requests_that_are_sent_by_half_do_not_hold_the_threads_for_ever(server: Server) -> None:
    head = signed(server, BODY, f"Content-Length: {len(BODY)}")
    with ExitStack() as stack:
        for sent in (head[:40], head, head + BODY[:5]):
            stack.enter_context(connect(server)).sendall(sent)
        assert requests.get(f"{server.url}/healthz", timeout=30).ok


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_connections_that_say_nothing_do_not_hold_up_the_stop(sign: signal.Signals) -> None:
    with serving({**SETTINGS, "LOOKUP_DEADLINE": "4"}) as server, ExitStack() as stack:
        for sent in (b"", signed(server, BODY, "Content-Length: 99")[:40], b""):
            stack.enter_context(connect(server)).sendall(sent)
        time.sleep(0.3)
        server.process.send_signal(sign)
        started = time.monotonic()
        server.process.wait(timeout=30)
        assert time.monotonic() - started < 5


def test_the_port_closes_as_the_stop_begins() -> None:
    """So that a proxy in front goes elsewhere at once."""
    with Carrier(does(hang)) as carrier:
        settings = {**SETTINGS, **twilio_settings(carrier.url), "LOOKUP_DEADLINE": "4"}
        with serving(settings) as server, connect(server) as asked:
            asked.sendall(signed(server, BODY, f"Content-Length: {len(BODY)}") + BODY)
            time.sleep(0.3)
            server.process.terminate()
            time.sleep(1.5)
            with pytest.raises(ConnectionRefusedError):
                connect(server)
            assert asked.recv(65_536).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize(
    "body", [b"2\r\nabXX0\r\n\r\n", b"2;a\x00=b\r\nab\r\n0\r\nbad trailer\r\n\r\n"]
)
def test_one_request_has_one_answer_however_its_body_ends(server: Server, body: bytes) -> None:
    """A proxy that keeps connections would hand a second one to the next who asks."""
    head = b"GET /healthz HTTP/1.1\r\nHost: x.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(head + body)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.count(b"HTTP/1.1 ") == 1
