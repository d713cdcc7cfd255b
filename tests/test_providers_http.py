"""HTTPProvider and the HTTP below it, by the example of an invented carrier."""

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from providers.base.errors import ProviderError, Unreachable, Unreadable
from providers.base.http import HTTPProvider, Page, Request
from providers.base.listing import Listing
from providers.base.options import Secret
from providers.base.provider import Deadline, PhoneNumber, Query
from providers.testing.carrier import (
    Answer,
    Asked,
    Carrier,
    Fault,
    Reply,
    break_off,
    drip_body,
    hang,
    reset,
)
from tests.support.carrier import HTML, does, drip_headers, refusing, says

KEY = "key-of-larkline-0001"
NUMBER = "12025550143"


class Larkline(HTTPProvider):
    name = "larkline"
    base_url = "https://api.larkline.example/v2/"

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        account_id: str
        api_key: Secret

    options: Options

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.options.api_key}"}

    def first_page(self, query: Query) -> Request:
        return Request(f"accounts/{self.options.account_id}/lines", {"page[size]": 250})

    def read_page(self, reply: Any) -> Page:
        following = reply["links"].get("next")
        return Page(
            [self.read_number(line) for line in reply["lines"]],
            Request(following) if following else None,
        )

    def read_number(self, line: Any) -> PhoneNumber:
        return PhoneNumber("+" + line["msisdn"], line.get("label") or "", line.get("ext"))


def account(url: str, kind: type[Larkline] = Larkline, key: str = KEY) -> Larkline:
    options = kind.Options(base_url=url, account_id="LK7", api_key=Secret(key))
    return kind(options, "acme")


def ask(url: str, seconds: float = 10, kind: type[Larkline] = Larkline) -> list[PhoneNumber]:
    return account(url, kind).ask(Query(deadline=Deadline(seconds)))


def failure(url: str, seconds: float = 10, kind: type[Larkline] = Larkline) -> ProviderError:
    """The error that asking ends in, seen to name the account and to keep its secrets."""
    with pytest.raises(ProviderError) as caught:
        ask(url, seconds, kind)
    error = caught.value
    assert (error.account, error.provider) == ("acme", kind.name)
    for shown in (str(error), repr(error)):
        assert not any(secret in shown for secret in (KEY, "2025550", "http:", "html", "127.0.0.1"))
    return error


def lines(*msisdns: str, following: object = None) -> dict[str, Any]:
    return {"lines": [{"msisdn": one} for one in msisdns], "links": {"next": following}}


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    with Carrier(says(lines(NUMBER))) as made:
        yield made


@pytest.fixture
def other() -> Iterator[Carrier]:
    """Another server, which nobody must call."""
    with Carrier(says(lines("12025550199"))) as made:
        yield made


# Pages


def paged(*pages: Reply) -> Answer:
    """The pages by the parameter `page`."""
    return lambda asked: pages[int(asked.params.get("page", 0))]


LINKS: dict[str, Callable[[Carrier, int], str]] = {
    "absolute": lambda carrier, page: f"{carrier.url}/v2/accounts/LK7/lines?page={page}",
    "relative to the host": lambda _, page: f"/v2/accounts/LK7/lines?page={page}",
    "relative to the base": lambda _, page: f"accounts/LK7/lines?page={page}",
    "without a scheme": lambda carrier, page: f"//127.0.0.1:{carrier.port}/lines?page={page}",
}


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_all_pages_come_in_order(carrier: Carrier, kind: str, slash: str) -> None:
    numbers = [f"120255501{index:02}" for index in range(6)]
    link = LINKS[kind]
    carrier.answer = paged(
        Reply(lines(*numbers[:2], following=link(carrier, 1))),
        Reply(lines(*numbers[2:4], following=link(carrier, 2))),
        Reply(lines(*numbers[4:])),
    )
    found = ask(f"{carrier.url}/v2{slash}")
    assert [one.number for one in found] == [f"+{number}" for number in numbers]
    assert carrier.asked[0].path == "/v2/accounts/LK7/lines"
    assert len(carrier.asked) == 3
    assert all(asked.headers["Authorization"] == f"Bearer {KEY}" for asked in carrier.asked)


def test_parameters_are_encoded_and_join_those_of_the_link(carrier: Carrier) -> None:
    ask(carrier.url)
    query = carrier.asked[0].target.partition("?")[2]
    assert "[" not in query
    assert parse_qs(query) == {"page[size]": ["250"]}
    listing = Listing(carrier.url, Query())
    listing.ask(Request("lines?cursor=a%2Bb", {"q": "ä & b", "page": 0, "kind": None}))
    assert carrier.asked[1].params == {"cursor": "a+b", "q": "ä & b", "page": "0"}


FOREIGN = [
    "http://127.0.0.1:{other}/lines",
    "//127.0.0.1:{other}/lines",
    "http://localhost:{other}/lines",
    "http://localhost:{port}/lines",
    "https://127.0.0.1:{port}/lines",
    "http://127.0.0.1:{port}@127.0.0.1:{other}/lines",
    # urllib.parse sees our host here, others see the other one
    "http://127.0.0.1:{other}\\@127.0.0.1:{port}/lines",
    "http://127.0.0.1:{port}.{other}/lines",
    "http://127.0.0.1:99999999/lines",
    "http://[::1/lines",
    "file:///etc/hostname",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("link", FOREIGN)
def test_a_link_to_another_host_is_not_followed(
    carrier: Carrier, other: Carrier, link: str
) -> None:
    following = link.format(port=carrier.port, other=other.port)
    carrier.answer = says(lines(NUMBER, following=following))
    assert isinstance(failure(carrier.url), Unreadable)
    assert len(carrier.asked) == 1
    assert other.connections == 0


def test_a_link_from_https_to_http_is_not_followed(carrier: Carrier) -> None:
    listing = Listing(f"https://127.0.0.1:{carrier.port}", Query())
    with pytest.raises(Unreadable, match="another host"):
        listing.ask(Request(f"{carrier.url}/lines?page=2"))
    assert carrier.connections == 0


def test_a_redirect_is_not_followed(carrier: Carrier, other: Carrier) -> None:
    carrier.answer = says(status=302, Location=f"{other.url}/lines")
    error = failure(carrier.url)
    assert isinstance(error, Unreadable)
    assert "302" in str(error)
    assert other.connections == 0


def test_a_repeated_link_ends_it(carrier: Carrier) -> None:
    carrier.answer = says(lines(NUMBER, following="/lines?page=1"))
    error = failure(carrier.url)
    assert isinstance(error, Unreadable)
    assert "followed before" in str(error)
    assert len(carrier.asked) == 2


@pytest.mark.parametrize("following", [7, ["/lines"], {"href": "/lines"}, True])
def test_a_link_that_is_no_text_is_unreadable(carrier: Carrier, following: object) -> None:
    carrier.answer = says(lines(NUMBER, following=following))
    assert isinstance(failure(carrier.url), Unreadable)


# The deadline


def endless(asked: Asked) -> Reply:
    page = int(asked.params.get("page", 0))
    return Reply(lines(NUMBER, following=f"/lines?page={page + 1}"))


SLOW: dict[str, Answer] = {
    "silence": does(hang),
    "dripped headers": does(drip_headers),
    "a dripped body": does(drip_body),
    "endless pages": endless,
}


@pytest.mark.parametrize("kind", SLOW)
def test_the_deadline_holds_against(carrier: Carrier, kind: str) -> None:
    carrier.answer = SLOW[kind]
    started = time.monotonic()
    error = failure(carrier.url, seconds=0.3)
    assert time.monotonic() - started < 1.3
    assert isinstance(error, Unreachable)
    assert "in time" in str(error)


def drip_then_hang(connection: socket.socket, stop: threading.Event) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n":
        stop.wait(0.05)
        connection.sendall(bytes([byte]))
    stop.wait(30)


def test_silence_counts_from_the_start_not_from_the_last_byte(carrier: Carrier) -> None:
    carrier.answer = does(drip_then_hang)
    started = time.monotonic()
    assert isinstance(failure(carrier.url, seconds=1), Unreachable)
    assert time.monotonic() - started < 1.6


def test_a_deadline_that_has_passed_asks_nobody(carrier: Carrier) -> None:
    assert isinstance(failure(carrier.url, seconds=0), Unreachable)
    assert carrier.connections == 0


def test_the_deadline_is_anew_on_a_kept_connection(carrier: Carrier) -> None:
    ask(carrier.url, seconds=0.5)
    time.sleep(0.6)
    assert ask(carrier.url, seconds=5)


# Connections


@pytest.mark.parametrize("fault", [reset, break_off])
def test_a_connection_that_breaks_is_unreachable(carrier: Carrier, fault: Fault) -> None:
    carrier.answer = does(fault)
    assert isinstance(failure(carrier.url), Unreachable)


def test_a_dead_port_is_unreachable() -> None:
    with refusing() as url:
        assert isinstance(failure(url), Unreachable)


def test_an_unknown_host_is_unreachable() -> None:
    error = failure("http://larkline.invalid")
    assert isinstance(error, Unreachable)
    assert "larkline.invalid" not in str(error)


def speak_plainly(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


# Python 3.11's ssl leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
@pytest.mark.parametrize("greeting", [speak_plainly, reset])
def test_an_https_url_without_tls_behind_it_is_unreachable(
    carrier: Carrier, greeting: Fault
) -> None:
    carrier.greeting = greeting
    assert isinstance(failure(f"https://127.0.0.1:{carrier.port}"), Unreachable)
    gc.collect()


def test_calls_share_one_connection(carrier: Carrier) -> None:
    for _ in range(5):
        assert ask(carrier.url)
    assert (len(carrier.asked), carrier.connections) == (5, 1)


def test_a_connection_is_kept_after_an_error(carrier: Carrier) -> None:
    carrier.answer = says(HTML, status=500)
    failure(carrier.url)
    carrier.answer = says(lines(NUMBER))
    assert ask(carrier.url)
    assert carrier.connections == 1


def test_threads_share_the_connections(carrier: Carrier) -> None:
    carrier.answer = lambda asked: Reply(lines(asked.headers["Authorization"].split()[1]))
    barrier = threading.Barrier(16)

    def ask_often(thread: int) -> None:
        mine = account(carrier.url, key=f"120255501{thread:02}")
        barrier.wait(10)
        for _ in range(10):
            assert [one.number for one in mine.ask(Query())] == [f"+120255501{thread:02}"]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask_often, range(16)))
    assert len(carrier.asked) == 160
    assert carrier.connections <= 16


def test_cookies_never_travel(carrier: Carrier) -> None:
    carrier.answer = says(lines(NUMBER), Set_Cookie="session=of-one-account; Path=/")
    ask(carrier.url)
    account(carrier.url, key="of-another").ask(Query())
    assert [asked.headers["Cookie"] for asked in carrier.asked] == [None, None]


def test_netrc_does_not_replace_credentials(
    carrier: Carrier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ask(carrier.url)
    assert carrier.asked[0].headers["Authorization"] == f"Bearer {KEY}"


def test_the_proxy_of_the_environment_is_used_and_bound_to_the_deadline(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", carrier.url)
    monkeypatch.setenv("HTTP_PROXY", carrier.url)
    assert ask("http://larkline.invalid")
    assert carrier.asked[0].target.startswith("http://larkline.invalid/accounts/LK7/lines")
    carrier.answer = does(drip_body)
    started = time.monotonic()
    assert isinstance(failure("http://larkline.invalid", seconds=0.5), Unreachable)
    assert time.monotonic() - started < 1.5
