"""HTTP by libcurl: what ends a call and when, in which words, and which connections are used."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pycurl
import pytest

from providers.base import transport
from providers.base.errors import ProviderError, Refused, Unreachable, Unreadable
from providers.base.listing import Listing
from providers.base.paging import Request
from providers.base.provider import Deadline, Query
from providers.base.trust import trusted
from providers.testing import Carrier, Fault
from providers.testing.carrier import drip_body, dripping, hang
from tests.support.asking import BUSY_MACHINE_S
from tests.support.carrier import does, drip_headers, refusing, says

ROOT = Path(__file__).parent.parent
KEY = "key-of-larkline-0001"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    with Carrier(says({})) as made:
        yield made


def get(url: str, seconds: float = 10, headers: dict[str, str] = HEADERS) -> bytes:
    return Listing(url, Query(deadline=Deadline(seconds))).ask(Request("lines"), headers).body


def failure(url: str, seconds: float = 10) -> ProviderError:
    """The error that a request ends in, which shows no address and no secret."""
    with pytest.raises(ProviderError) as caught:
        get(url, seconds)
    shown = repr(caught.value)
    assert not [part for part in (KEY, "127.0.0.1", "localhost", "://") if part in shown]
    assert caught.value.__context__ is None  # libcurl's own error, which names the host
    return caught.value


def sending(text: bytes) -> Fault:
    """Send this, and close."""
    return lambda connection, _: connection.sendall(text)


def storm(first: bytes, text: bytes) -> Fault:
    """Send `first`, then `text` without end."""

    def pour(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(first)
        while not stop.is_set():
            connection.sendall(text * 1000)

    return pour


# The deadline

STATUS = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, Fault] = {
    "silence": hang,
    "half a head": dripping(STATUS, b"X"),
    "dripped headers": drip_headers,
    "dripped 1xx answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a dripped body": drip_body,
    "a dripped chunk": dripping(STATUS + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", b" "),
}


def assert_ends_in_time(url: str) -> None:
    started = time.monotonic()
    assert str(failure(url, seconds=0.4)) == "no whole answer in time"
    assert 0.39 < time.monotonic() - started < 0.4 + BUSY_MACHINE_S


@pytest.mark.parametrize("kind", SLOW)
def test_call_ends_at_the_deadline_against(carrier: Carrier, kind: str) -> None:
    carrier.answer = does(SLOW[kind])
    assert_ends_in_time(carrier.url)


@pytest.mark.parametrize("greeting", [hang, dripping(b"\x16\x03\x03\x3f\xff", b"\0")])
def test_call_ends_at_the_deadline_in_the_tls_handshake(carrier: Carrier, greeting: Fault) -> None:
    carrier.greeting = greeting
    assert_ends_in_time(f"https://127.0.0.1:{carrier.port}")


def test_call_ends_at_the_deadline_before_a_proxy_connects(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", carrier.url)
    carrier.answer = does(drip_headers)
    assert_ends_in_time("https://larkline.invalid")


SLOW_RESOLVER = """
#include <netdb.h>
#include <unistd.h>
int getaddrinfo(const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r) {
    sleep(20);
    return EAI_AGAIN;
}
"""
ASK_BY_NAME = """
import time
from providers.base import Deadline, ProviderError, Query
from providers.base.listing import Listing
from providers.base.paging import Request
for _ in range(3):
    started = time.monotonic()
    try:
        Listing("http://larkline.example", Query(deadline=Deadline(0.4))).ask(Request("lines"))
    except ProviderError as error:
        print(error, "|", time.monotonic() - started, flush=True)
import os
os._exit(0)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("cc"), reason="needs Linux and cc"
)
def test_call_ends_at_the_deadline_while_a_name_server_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "slow.c").write_text(SLOW_RESOLVER)
    library = tmp_path / "slow.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "slow.c"], check=True)
    environ = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)}
    environ["TMPDIR"] = str(tmp_path)  # it leaves its folder of certificates behind
    asked = subprocess.run(
        [sys.executable, "-c", ASK_BY_NAME], env=environ, text=True, capture_output=True, check=True
    )
    lines = [line.split(" | ") for line in asked.stdout.splitlines()]
    assert {words for words, _ in lines} <= {
        "no whole answer in time",
        "not all pages came in time",
    }
    assert all(0.39 < float(seconds) < 0.4 + BUSY_MACHINE_S for _, seconds in lines)


def test_libcurl_is_loaded_with_the_first_account_that_asks_a_carrier() -> None:
    script = """
import sys, providers
static = providers.load("static")
static(static.Options(numbers=()))
assert not {"pycurl", "requests", "twilio"} & sys.modules.keys()
telnyx = providers.load("telnyx")
telnyx(telnyx.Options(api_key="x"))
assert "pycurl" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def test_libcurl_looks_for_hosts_in_a_thread() -> None:
    assert pycurl.version_info()[4] & pycurl.VERSION_ASYNCHDNS


# Storms


@pytest.mark.parametrize(
    "fault",
    [
        storm(STATUS, b"X-More: of the same\r\n"),
        storm(STATUS, b"A:\r\n"),
        storm(STATUS, b"A"),
        storm(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        storm(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"),
    ],
    ids=["headers", "short headers", "one header", "100", "103"],
)
def test_storm_within_the_head_is_given_up_at_once(carrier: Carrier, fault: Fault) -> None:
    carrier.answer = does(fault)
    started = time.monotonic()
    assert isinstance(failure(carrier.url), Unreadable | Unreachable)
    assert time.monotonic() - started < 5
    assert len(carrier.asked) == 1


# Words


def test_host_that_is_not_found_is_told_from_others() -> None:
    assert str(failure("http://larkline.invalid")) == "the host name was not found"


def test_server_that_speaks_no_tls_is_told_from_others(carrier: Carrier) -> None:
    carrier.greeting = sending(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    error = failure(f"https://127.0.0.1:{carrier.port}")
    assert str(error) == "TLS failed: wrong version number"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STATUS, "the connection broke off within the answer"),
        (STATUS + b"Content-Length: 5\r\nX-", "the connection broke off within the answer"),
        (STATUS + b"Content-Length: 5\r\n\r\n{", "the connection broke off within the answer"),
        (
            STATUS + b"Transfer-Encoding: chunked\r\n\r\nno length\r\n",
            "the connection broke off within the answer",
        ),
        (STATUS + b"Content-Length: -5\r\n\r\n", "the answer is not HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the connection broke off within the answer"),
    ],
)
def test_answer_that_has_begun_and_fails_is_not_asked_for_again(
    carrier: Carrier, text: bytes, words: str
) -> None:
    carrier.answer = does(sending(text))
    error = failure(carrier.url)
    assert isinstance(error, Unreachable)
    assert str(error) == words
    assert len(carrier.asked) == 1


def test_trailers_are_no_end_within_the_head(carrier: Carrier) -> None:
    chunks = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Sum: 7\r\n\r\n"
    carrier.answer = does(sending(STATUS + chunks))
    assert get(carrier.url) == b"{}"


# Proxies


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_proxy_for_http_is_asked_for_the_whole_url(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, carrier.url)
    assert get("http://larkline.invalid/v2")
    assert carrier.asked[0].target == "http://larkline.invalid/v2/lines"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_proxy_that_refuses_is_named_and_sees_no_key(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"http://me:p%40ss@127.0.0.1:{carrier.port}")
    carrier.answer = says(status=407)
    error = failure("https://larkline.invalid")
    assert isinstance(error, Unreachable)
    assert str(error) == "the proxy of HTTPS_PROXY or HTTP_PROXY refused with 407"
    (asked,) = carrier.asked
    assert (asked.method, asked.target) == ("CONNECT", "larkline.invalid:443")
    assert asked.headers["Proxy-Authorization"] == "Basic bWU6cEBzcw=="
    assert asked.headers["Authorization"] is None


def test_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    assert str(failure("https://a.invalid")).endswith("HTTP_PROXY was not found")
    with refusing() as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        assert str(failure("https://b.invalid")).endswith("HTTP_PROXY was not reached")


@pytest.mark.parametrize("bypass", ["127.0.0.1", "a.invalid, 127.0.0.1", "127.0.0.0/8", "*"])
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_leads_past_the_proxy(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch, name: str, bypass: str
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(name, bypass)
    with Carrier(says({})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert get(carrier.url)
        assert proxy.connections == 0


# What is sent


def test_headers_of_our_own_are_sent_where_the_adapter_has_none(carrier: Carrier) -> None:
    get(carrier.url)
    get(carrier.url, headers={"accept": "application/xml", "user-agent": "larkline/1"})
    sent = [
        (asked.headers.get_all("Accept"), asked.headers.get_all("User-Agent"))
        for asked in carrier.asked
    ]
    assert sent == [
        (["application/json"], ["helpdesk-numbers"]),
        (["application/xml"], ["larkline/1"]),
    ]
    assert carrier.asked[0].headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\r\n b", "a\0b", "schl\u00fcssel-\u20ac"])
def test_header_that_http_cannot_carry_is_refused_unseen(carrier: Carrier, value: str) -> None:
    with pytest.raises(Refused, match="credentials hold characters") as caught:
        get(carrier.url, headers={"X-Key": value})
    assert value not in repr(caught.value)
    assert caught.value.__context__ is None
    assert carrier.connections == 0


def test_latin_1_is_carried(carrier: Carrier) -> None:
    get(carrier.url, headers={"X-Key": "schl\u00fcssel"})
    assert carrier.asked[0].headers["X-Key"] == "schl\u00fcssel"


def test_form_is_posted_and_the_connection_gets_again(carrier: Carrier) -> None:
    listing = Listing(carrier.url, Query())
    form = {"grant_type": "jwt", "assertion": "e&y=\u00e4" * 5000}
    listing.post(f"{carrier.url}/token", form, HEADERS)
    listing.ask(Request("lines"))
    posted, got = carrier.asked
    assert (posted.method, posted.path, posted.form) == ("POST", "/token", form)
    assert posted.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert posted.headers["Expect"] is None
    assert (got.method, got.path, got.body) == ("GET", "/lines", b"")
    assert carrier.connections == 1


def test_a_form_without_fields_is_posted(carrier: Carrier) -> None:
    Listing(carrier.url, Query()).post("token", {}, HEADERS)
    assert [(asked.method, asked.body) for asked in carrier.asked] == [("POST", b"")]


def test_form_is_posted_to_no_other_host(carrier: Carrier) -> None:
    with pytest.raises(Unreadable, match="another host"):
        Listing("http://127.0.0.1:1", Query()).post(f"{carrier.url}/token", {}, {})
    assert carrier.connections == 0


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("/lines?q=a b\u00e4", "/lines?q=a%20b%C3%A4"),
        ("/lines?q=%20+%C3", "/lines?q=%20+%C3"),
        ("/lines?page=2#top", "/lines?page=2"),
        ("?page=2", "/v2/?page=2"),
        ("../lines/./7", "/lines/7"),
        ("\\\\larkline.invalid/lines", "/v2/%5C%5Clarkline.invalid/lines"),
        ("http:lines", "/v2/lines"),
        ("HTTP://127.0.0.1:{port}", "/"),
        ("/\r\nX-More: yes", "/X-More:%20yes"),
    ],
)
def test_odd_link_stays_on_the_host(carrier: Carrier, link: str, target: str) -> None:
    Listing(f"{carrier.url}/v2", Query()).ask(Request(link.format(port=carrier.port)))
    assert [asked.target for asked in carrier.asked] == [target]


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@127.0.0.1",
        "http://127.0.0.1\\@larkline.invalid",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://a b",
        "http://-",
        "http://.",
        "ftp://127.0.0.1",
    ],
)
def test_base_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="base_url cannot be sent"):
        Listing(url, Query())


def test_header_of_two_lines_is_joined(carrier: Carrier) -> None:
    carrier.answer = does(
        sending(STATUS + b"Content-Length: 2\r\nx-limit: 5\r\nX-LIMIT:7 \r\nX-Limits: 9\r\n\r\n{}")
    )
    answer = Listing(carrier.url, Query()).ask(Request("lines"))
    assert answer.header("X-Limit") == "5, 7"
    assert answer.header("Retry-After") is None


# Connections


FORK = """
import os, sys
from providers.base import Query, Request
from providers.base.listing import Listing
from providers.base.paging import Request
listing = Listing(sys.argv[1], Query())
listing.ask(Request("parent/1"))
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    listing.ask(Request("parent/2"))
else:
    listing.ask(Request("child"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_leaves_its_parents_connection_alone(carrier: Carrier) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", FORK, carrier.url], env=environ, check=True, timeout=60)
    assert [asked.path for asked in carrier.asked] == ["/parent/1", "/child", "/parent/2"]
    assert carrier.connections == 2


def test_no_more_connections_are_kept_than_the_pool_has_room_for(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "POOL_SIZE", 2)
    together = threading.Barrier(5)
    carrier.answer = lambda asked: (together.wait(10), says({})(asked))[1]
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda _: get(carrier.url), range(5)))
    assert carrier.connections == 5
    assert len(transport.idle_handles(os.getpid(), carrier.url, trusted())) == 2
