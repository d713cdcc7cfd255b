"""hubspot/diagnosis: each way to break a signature is named, and so is what to do about it."""

import json
import sys
import time
from io import BytesIO
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from helpdesk_numbers.cli.explain import read_log
from helpdesk_numbers.webhook import MAX_BODY_BYTES, PATH
from hubspot.diagnosis import Diagnosis, RefusedRequest, diagnose
from hubspot.errors import InvalidSignature
from hubspot.signature import (
    OLD_HEADER,
    OLD_VERSION_HEADER,
    TIMESTAMP_HEADER,
    V3_HEADER,
    digest,
    sign,
    signed_headers,
    verify,
)
from tests.support.breaks import BODY, BREAKS, HOST, NOW_MS, SECRET, URL, Break


def diagnosis(broken: Break, *, thorough: bool) -> Diagnosis:
    request = RefusedRequest(
        broken.method,
        broken.arrived_url,
        Headers(broken.arrived_headers()),
        broken.arrived_body,
        **broken.raw,
    )
    return diagnose(
        request, secrets=broken.secrets, path=PATH, now_ms=NOW_MS, versions=broken.accepted,
        thorough=thorough,
    )  # fmt: skip


def by_name(broken: Break) -> str:
    return broken.name


@pytest.mark.parametrize("broken", BREAKS, ids=by_name)
def test_break_is_named_with_its_remedy(broken: Break) -> None:
    found = diagnosis(broken, thorough=True)
    assert broken.cause in found.cause
    assert broken.remedy in found.remedy
    assert " and " not in found.cause.replace(broken.cause, ""), "no more causes than there are"


@pytest.mark.parametrize("broken", [one for one in BREAKS if one.live], ids=by_name)
def test_break_is_named_while_the_caller_waits(broken: Break) -> None:
    found = diagnosis(broken, thorough=False)
    assert broken.cause in found.cause
    assert broken.remedy in found.remedy


@pytest.mark.parametrize("broken", [one for one in BREAKS if not one.raw], ids=by_name)
def test_what_verify_says_of_it_agrees(broken: Break) -> None:
    """A diagnosis that finds nothing wrong, and only that, is of a request that is accepted."""
    refused = False
    try:
        verify(
            Headers(broken.arrived_headers()), secrets=broken.secrets, method=broken.method,
            uri=broken.arrived_url, body=broken.arrived_body, now_ms=NOW_MS,
            versions=broken.accepted,
        )  # fmt: skip
    except InvalidSignature:
        refused = True
    assert refused == (diagnosis(broken, thorough=True).cause != NOTHING)


NOTHING = "nothing: the signature is valid"
GOOD = signed_headers("v3", SECRET, "POST", URL, BODY, NOW_MS)


def of(
    headers: dict[str, str], uri: str = URL, body: bytes = BODY, *, method: str = "POST",
    now_ms: int = NOW_MS, others: tuple[str, ...] = (), **more: Any,
) -> Diagnosis:  # fmt: skip
    request = RefusedRequest(method, uri, Headers(headers), body, others)
    return diagnose(request, **{"secrets": [SECRET], "path": PATH, "now_ms": now_ms, **more})


@pytest.mark.parametrize("thorough", [True, False])
@pytest.mark.parametrize(
    "uri", ["", "x", "://", "https://", "https://?", f"https://{HOST}", "/", f"https://[::1]{PATH}"]
)
def test_odd_url_is_no_reason_to_fail(uri: str, thorough: bool) -> None:
    assert of(GOOD, uri, thorough=thorough, secrets=["another"]).cause == "wrong secret"


def test_prefix_of_the_public_url_stays_in_the_remedy() -> None:
    signed = f"https://{HOST}/crm{PATH}"
    found = of(
        signed_headers("v3", SECRET, "POST", signed, BODY, NOW_MS), signed.replace("https", "http")
    )
    assert found.cause == "http for https"
    assert found.remedy.startswith(f"set PUBLIC_URL=https://{HOST}/crm (or")


def test_redirect_that_changed_the_method_is_named() -> None:
    found = of(GOOD, body=b"", method="GET")
    assert found.cause == "HubSpot sends POST with a body, not GET with 0 bytes"
    assert "redirect" in found.remedy


def test_age_judged_later_than_it_arrived_says_so() -> None:
    late = NOW_MS + 3_600_000
    found = of(GOOD, now_ms=late, just_arrived=False)
    assert found.cause == "the timestamp is 3600 s old"
    assert "receivedAt" in found.remedy
    http = of(GOOD, URL.replace("https", "http"), now_ms=late, just_arrived=False)
    assert http.cause == "http for https"


def test_exactly_five_minutes_are_still_good() -> None:
    assert of(GOOD, now_ms=NOW_MS + 300_000).cause == NOTHING
    assert of(GOOD, now_ms=NOW_MS + 300_001).cause == "the timestamp is 300 s old"


def test_nothing_of_an_attackers_reaches_the_remedy_without_a_signature() -> None:
    headers = {**GOOD, "Host": "evil.example", "X-Forwarded-Host": "evil.example",
               "X-Forwarded-Prefix": "/evil", "X-Original-URI": "/evil"}  # fmt: skip
    for thorough in (True, False):
        found = of(headers, "http://evil.example/evil", secrets=["another"], thorough=thorough)
        assert "evil" not in str(found)


def test_values_of_a_query_stand_in_no_cause() -> None:
    signed = f"{URL}?userEmail=anna@acme.example&number=%2B12025550143"
    headers = signed_headers("v3", SECRET, "POST", signed, BODY, NOW_MS)
    found = of(headers, URL, others=(signed,))
    assert found.cause == f"another path or query ({PATH} for {PATH}?userEmail=…&number=…)"
    assert "anna" not in str(found)
    assert "2025550143" not in str(found)


def test_words_of_a_long_url_are_cut() -> None:
    host = "a" * 5000 + ".example"
    found = of(signed_headers("v3", SECRET, "POST", f"https://{host}{PATH}", BODY, NOW_MS),
               URL, others=(f"https://{host}{PATH}",))  # fmt: skip
    assert found.cause.startswith("another host")
    assert len(found.cause) < 500
    assert len(found.remedy) < 500


HOSTILE = {
    **GOOD,
    OLD_HEADER: sign("v1", "another", "POST", "", b""),
    OLD_VERSION_HEADER: "v1",
    "Host": "a.example",
    "X-Forwarded-Host": "b.example",
    "X-Original-Host": "c.example",
    "Forwarded": "host=d.example",
    "X-Forwarded-Prefix": "/" + "p" * 4000,
    "X-Forwarded-Port": "8443",
    "X-Original-URI": "/" + "%3a" * 1300,
    "X-Forwarded-Uri": "/q?" + "&".join("abcdefgh"),
}
HOSTILE_BODIES = {
    "HubSpot's": BODY,
    "64 KiB": json.dumps({name: ["x/é"] * 1300 for name in "abcd"}).encode(),
    "64 KiB of digits": b'{"a":' + b"1" * 65_000 + b"}",
    "nested": b"[" * 32_000 + b"]" * 32_000,
    "nested objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "deep and wide": b'{"b":1.0,"c":2,"d":"3","a":' + b"[" * 800 + b"1," * 7500 + b"1" + b"]" * 800
    + b"}",
}  # fmt: skip


def counted(
    headers: dict[str, str], uri: str, body: bytes, *, thorough: bool
) -> tuple[Diagnosis, int, int]:
    """Return what was found, how many signatures that took, and of how many bytes."""
    signed: list[int] = []

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is digest.__code__:
            signed.append(len(frame.f_locals["body"]) + len(frame.f_locals["uri"]))

    sys.setprofile(count)
    try:
        found = of(headers, uri, body, secrets=["one", "two"], thorough=thorough)
    finally:
        sys.setprofile(None)
    return found, len(signed), sum(signed)


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
@pytest.mark.parametrize(
    "query", ["", "?" + "&".join(f"{name}=%20+<é>" for name in "abcdefgh"), "?" + "a=<é>%3a&" * 450]
)
def test_work_that_a_caller_can_cause_is_bounded(body: bytes, query: str) -> None:
    assert len(body) <= MAX_BODY_BYTES
    found, signatures, signed_bytes = counted(HOSTILE, URL + query, body, thorough=False)
    assert found.cause == "wrong secret"
    assert signatures <= 512
    assert signed_bytes <= 2 * 2**20


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
@pytest.mark.parametrize("value", ["%20+<é>", "%20+%3aé" * 5000], ids=["short", "long"])
def test_thorough_search_comes_to_an_end(body: bytes, value: str) -> None:
    uri = f"{URL}?{'&'.join(f'{name}={value}' for name in 'abcde')}"
    headers = HOSTILE | {TIMESTAMP_HEADER: "1790000001"}
    _, signatures, signed_bytes = counted(headers, uri, body, thorough=True)
    assert signatures <= 10_000
    assert signed_bytes <= 2**28, "a fraction of a second's work"


def test_long_word_in_a_log_comes_to_an_end() -> None:
    started = time.process_time()
    assert read_log(BytesIO(b" request " + b"a" * 60_000)) == []
    assert time.process_time() - started < 5


class Fields(dict[str, str]):
    """Headers as a file may hold them: werkzeug's own refuse a line end."""


texts = st.text(max_size=60) | st.text("%/?&=:+0123456789abcdefé ", max_size=60)
names = st.sampled_from([*HOSTILE, TIMESTAMP_HEADER, "Content-Length"])
values = texts | st.sampled_from([*HOSTILE.values(), "1790000001.5e9", "9e99", "1e1"])
urls = texts | texts.map(URL.__add__) | texts.map(f"https://{HOST}/".__add__)
bodies = (
    st.binary(max_size=80)
    | st.sampled_from(
        [*HOSTILE_BODIES.values(), b"1e999", b'{"a":NaN}', b'{"a":"\\ud800"}', b'"x"']
    )
    | st.dictionaries(texts, st.none() | st.integers() | st.floats() | texts, max_size=4).map(
        lambda value: json.dumps(value).encode()
    )
)


@settings(max_examples=300)
@given(st.dictionaries(names, values), urls, bodies, texts, st.lists(urls, max_size=2))
def test_diagnosis_never_fails_whatever_arrives(
    headers: dict[str, str], url: str, body: bytes, method: str, others: list[str]
) -> None:
    request = RefusedRequest(method, url, Fields(headers), body, tuple(others))
    for given_headers in (headers, {**headers, V3_HEADER: GOOD[V3_HEADER]}):
        request = request._replace(headers=Fields(given_headers))
        found = diagnose(request, secrets=["another"], path=PATH, now_ms=NOW_MS, thorough=False)
        assert found.cause
        assert found.remedy
        assert found.cause != NOTHING


@settings(max_examples=20)
@given(st.dictionaries(names, values, max_size=3), urls, bodies)
def test_thorough_diagnosis_never_fails_either(
    headers: dict[str, str], url: str, body: bytes
) -> None:
    request = RefusedRequest(
        "POST", url, Fields({**headers, V3_HEADER: GOOD[V3_HEADER]}), body[:2000]
    )
    assert diagnose(request, secrets=["another"], path=PATH, now_ms=NOW_MS).cause != NOTHING
