"""A signed request, changed anywhere, is refused: never a 200, never a 5xx.

One change each, 500 of them; as many as you like with

    MUTATIONS=10000 .venv/bin/pytest tests/test_webhook_mutations.py

Changes that leave a request what it was are not among them:

* a header's name in another case, blanks around its value: HTTP has them mean the same;
* the method in lower case: servers refuse it or raise it, before the service sees it;
* an escape of HubSpot's table decoded, encoded or in the other case (`/` as `%2F`, `%3a` for
  `%3A`): v3 signs the decoded form, so such URLs are one to it;
* headers that are neither signed nor read, another way to write `application/json`, and
  `X-Forwarded-Proto` with the scheme that the request has anyway.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from urllib.parse import unquote, unquote_to_bytes

import pytest
from flask.testing import FlaskClient
from hypothesis import given, note, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from helpdesk_numbers.webhook import PATH
from hubspot.signature import (
    OLD_HEADER,
    OLD_VERSION_HEADER,
    TIMESTAMP_HEADER,
    V3_HEADER,
    decode_uri,
    sign,
    signed_headers,
)

MUTATIONS = int(os.environ.get("MUTATIONS", "500"))
SECRET = "test-secret-not-a-real-one"
TARGETS = [PATH, f"{PATH}?", f"{PATH}?x=%3A%2f%20a+b&y=%C3%A9&x=1"]
BODIES = [
    b'{"appId":54321,"portalId":62515,"userId":1001}',
    b'{"appId": 54321, "portalId": 62515, "userId": 1002, "note": "1\xc3\xa9"}\n',
]


@dataclass(frozen=True)
class Request:
    """A request as a server hands it on, each header with its values."""

    target: str
    body: bytes
    headers: dict[str, tuple[str, ...]]
    method: str = "POST"
    scheme: str = "http"

    def given(self, name: str) -> str:
        return self.headers[name][0]

    def with_header(self, name: str, *values: str) -> "Request":
        return replace(self, headers={**self.headers, name: values})

    def status(self, client: FlaskClient) -> int:
        path, _, query = self.target.partition("?")
        pairs = [(name, value) for name, values in self.headers.items() for value in values]
        environ = {
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": self.target,
            "REQUEST_URI": self.target,
            "wsgi.url_scheme": self.scheme,
        }
        return client.open(
            PATH,
            method=self.method,
            headers=Headers(pairs),
            data=self.body,
            content_type="application/json",
            environ_overrides=environ,
        ).status_code


def signed(target: str, body: bytes) -> Request:
    """HubSpot's request. The older signature beside it is good too, but not accepted."""
    uri, now_ms = f"http://localhost{target}", time.time_ns() // 1_000_000
    headers = signed_headers("v2", SECRET, "POST", uri, body, now_ms)
    headers |= signed_headers("v3", SECRET, "POST", uri, body, now_ms)
    return Request(target, body, {name: (value,) for name, value in headers.items()})


T = TypeVar("T")


class Draw(Protocol):
    def __call__(self, strategy: st.SearchStrategy[T], /) -> T: ...


Change = Callable[[Draw, Request], Request]

# What a header's value may hold when it reaches the service.
field_text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)
token = st.text("ABCXYZ!#$%&'*+-.^_`|~019", max_size=8)


def flip(text: str, index: int, bit: int) -> str:
    return text[:index] + chr(ord(text[index]) ^ 1 << bit) + text[index + 1 :]


def flipped_field(draw: Draw, text: str) -> str:
    """The text with one bit of it flipped; another one where that would end the header's line."""
    at, bit = draw(st.integers(0, len(text) - 1)), draw(st.integers(0, 7))
    flipped = flip(text, at, bit)
    return flip(text, at, 7) if flipped[at] in "\r\n" else flipped


def body_bit(draw: Draw, request: Request) -> Request:
    body = bytearray(request.body)
    body[draw(st.integers(0, len(body) - 1))] ^= 1 << draw(st.integers(0, 7))
    return replace(request, body=bytes(body))


def body_longer(draw: Draw, request: Request) -> Request:
    at = draw(st.integers(0, len(request.body)))
    more = draw(st.binary(min_size=1, max_size=20) | st.sampled_from([b" ", b"\n", b"\0", b"0"]))
    return replace(request, body=request.body[:at] + more + request.body[at:])


def body_shorter(draw: Draw, request: Request) -> Request:
    start = draw(st.integers(0, len(request.body) - 1))
    end = draw(st.integers(start + 1, len(request.body)))
    return replace(request, body=request.body[:start] + request.body[end:])


def body_another(draw: Draw, request: Request) -> Request:
    ids = st.integers(-1, 2**64) | st.sampled_from([54321, 62515, 1001])
    made = st.fixed_dictionaries({"appId": ids, "portalId": ids, "userId": ids}).map(
        lambda value: json.dumps(value, indent=1).encode()
    )
    return replace(request, body=draw(made | st.binary()))


def target_bit(draw: Draw, request: Request) -> Request:
    target = request.target
    flips = [flip(target, i, bit) for i in range(len(target)) for bit in range(7)]
    same = decode_uri(target)
    return replace(
        request, target=draw(st.sampled_from([t for t in flips if decode_uri(t) != same]))
    )


def target_escaped(draw: Draw, request: Request) -> Request:
    """A character of the path as an escape that the table does not have: the same route."""
    at = draw(st.sampled_from([i for i, c in enumerate(PATH) if c != "/"]))
    escape = draw(st.sampled_from(["%{:02X}", "%{:02x}"])).format(ord(PATH[at]))
    return replace(request, target=PATH[:at] + escape + request.target[at + 1 :])


def target_longer(draw: Draw, request: Request) -> Request:
    at = draw(st.integers(1, len(request.target)))
    more = draw(
        st.sampled_from(["/", "?", "&", "=", "%00", "%", "//", "/..", ";x", "#x", "a", "é"])
    )
    return replace(request, target=request.target[:at] + more + request.target[at:])


def target_another(draw: Draw, request: Request) -> Request:
    others = [
        f"{PATH}?y=%C3%A9&x=%3A%2f%20a+b&x=1",
        f"{PATH}?x=%3A%2f+a+b&y=%C3%A9&x=1",
        f"{PATH}?x=%3A%2f%20a%2Bb&y=%C3%A9&x=1",
        unquote(f"{PATH}?x=%3A%2f%20a+b&y=%C3%A9&x=1"),
        f"{PATH}?x=%253A%2f%20a+b&y=%C3%A9&x=1",
        f"https://localhost{PATH}?z",
    ]
    query = st.text(st.characters(max_codepoint=255), min_size=2)
    return replace(request, target=draw(st.sampled_from(others) | query.map(f"{PATH}?z".__add__)))


def method(draw: Draw, request: Request) -> Request:
    known = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "POSTPOST"]
    return replace(request, method=draw(st.sampled_from(known) | token.map("X".__add__)))


def origin(draw: Draw, request: Request) -> Request:
    if draw(st.booleans()):
        return draw(
            st.sampled_from(
                [
                    replace(request, scheme="https"),
                    request.with_header("X-Forwarded-Proto", "https"),
                ]
            )
        )
    hosts = [
        "LOCALHOST",
        "localhost.",
        "localhost:80",
        "localhost:5000",
        "127.0.0.1",
        "",
        "@",
        "[::1]",
    ]
    host = draw(st.sampled_from(hosts) | field_text.map("localhost".__add__).filter(_longer))
    return request.with_header("Host", host)


def _longer(host: str) -> bool:
    return host.strip() != "localhost"


def timestamp(draw: Draw, request: Request) -> Request:
    now = request.given(TIMESTAMP_HEADER)
    others = st.sampled_from(
        [f"0{now}", f"{now}0", f"{now}.0", f"+{now}", now[:-3], f"{now},{now}", "", "NaN", "0"]
    )
    shifts = st.integers(-400_000, 400_000).filter(bool).map(lambda ms: str(int(now) + ms))
    return request.with_header(TIMESTAMP_HEADER, draw(others | shifts | field_text))


def signature(draw: Draw, request: Request) -> Request:
    v3 = request.given(V3_HEADER)
    uri = f"http://localhost{request.target}"
    others = [
        "", v3[:-1], v3 + "=", v3 + v3, f"{v3},{v3}", f'"{v3}"', v3.swapcase(), v3[::-1],
        request.given(OLD_HEADER),
        sign("v3", SECRET + "x", "POST", uri, request.body, request.given(TIMESTAMP_HEADER)),
        sign("v3", "", "POST", uri, request.body, request.given(TIMESTAMP_HEADER)),
        sign("v3", SECRET, "POST", uri, request.body),
        sign("v3", SECRET, "POST", uri, b"", request.given(TIMESTAMP_HEADER)),
    ]  # fmt: skip
    return request.with_header(V3_HEADER, draw(st.sampled_from(others) | field_text))


def field_bit(draw: Draw, request: Request) -> Request:
    name = draw(st.sampled_from([V3_HEADER, TIMESTAMP_HEADER]))
    return request.with_header(name, flipped_field(draw, request.given(name)))


def field_dropped_or_doubled(draw: Draw, request: Request) -> Request:
    name = draw(st.sampled_from([V3_HEADER, TIMESTAMP_HEADER]))
    value = request.given(name)
    return request.with_header(
        name, *draw(st.sampled_from([(), (value, value), (value, ""), ("", value)]))
    )


def fields_another(draw: Draw, request: Request) -> Request:
    """Any headers, good ones under other names among them, but never v3's own in its place."""
    good = {name: value for name, (value,) in request.headers.items()}
    others = [value for name, value in good.items() if name != V3_HEADER]
    v3 = draw(st.lists(field_text | st.sampled_from(others), max_size=2))
    names = st.sampled_from([TIMESTAMP_HEADER, OLD_HEADER, OLD_VERSION_HEADER, "Host", "Forwarded"])
    values = st.lists(field_text | st.sampled_from([*good.values()]), max_size=2).map(tuple)
    found = draw(st.dictionaries(names, values))
    return replace(request, headers={**request.headers, **found, V3_HEADER: tuple(v3)})


def border_moved(draw: Draw, request: Request) -> Request:
    """What is signed has no separators, so the same text can be cut up in other ways."""
    now, body, target = request.given(TIMESTAMP_HEADER), request.body, request.target
    n = draw(st.integers(1, len(now)))
    moved = [
        replace(request, body=body + now[:n].encode()).with_header(TIMESTAMP_HEADER, now[n:]),
        replace(request, body=body[:-n]).with_header(
            TIMESTAMP_HEADER, body[-n:].decode("latin-1").replace("\n", "") + now
        ),
        replace(request, target=target[:-n], body=target[-n:].encode() + body),
        replace(request, target=target + body[:n].decode("latin-1"), body=body[n:]),
        replace(request, method="POSTH", scheme="ttp"),
    ]
    return draw(st.sampled_from(moved))


CHANGES: list[Change] = [
    body_bit, body_longer, body_shorter, body_another,
    target_bit, target_escaped, target_longer, target_another,
    method, origin, timestamp, signature,
    field_bit, field_dropped_or_doubled, fields_another, border_moved,
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("target", TARGETS)
def test_unchanged_request_is_served(client: FlaskClient, target: str, body: bytes) -> None:
    assert signed(target, body).status(client) == 200


def test_changed_request_is_refused(client: FlaskClient) -> None:
    @settings(max_examples=MUTATIONS)
    @given(st.data(), st.sampled_from(CHANGES), st.sampled_from(TARGETS), st.sampled_from(BODIES))
    def refused(data: st.DataObject, change: Change, target: str, body: bytes) -> None:
        request = change(data.draw, signed(target, body))
        note(f"{request!r}")
        assert 400 <= request.status(client) < 500

    refused()
