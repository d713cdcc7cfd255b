"""hubspot/signature.py, against HubSpot's published vectors and against forgers."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from hubspot.diagnosis import RefusedRequest, diagnose
from hubspot.errors import InvalidSignature
from hubspot.signature import (
    MAX_AGE_MS,
    OLD_HEADER,
    OLD_VERSION_HEADER,
    TIMESTAMP_HEADER,
    V3_HEADER,
    Version,
    decode_uri,
    sign,
    signed_headers,
    verify,
)

SECRET = "not-a-real-client-secret"
URI = "https://numbers.example.com/webhooks/hubspot"
BODY = b'{"appId":54321,"portalId":62515,"userId":12345}'
NOW_MS = 1790000001000
ALL: tuple[Version, ...] = get_args(Version)

Post = Callable[..., TestResponse]


def judge(headers: Mapping[str, str] | None = None, **changes: Any) -> Version:
    """verify() of a request that is good but for the changes."""
    facts: dict[str, Any] = {
        "secrets": [SECRET], "method": "POST", "uri": URI, "body": BODY, "now_ms": NOW_MS,
    }  # fmt: skip
    if headers is None:
        headers = signed_headers("v3", SECRET, "POST", URI, BODY, NOW_MS)
    return verify(Headers(headers), **facts | changes)


# Published by HubSpot, in its documentation, its clients' tests and its development server's, each
# with its source.
VECTORS: list[dict[str, Any]] = [
    vector
    for path in sorted((Path(__file__).parent / "data/hubspot").glob("signature_vectors*.json"))
    for vector in json.loads(path.read_text("utf-8"))
]
vectors = pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda v: f"{v['version']} {v['signature'][:6]}"
)


def test_all_published_vectors_are_here() -> None:
    assert len(VECTORS) == 8 + 10


@vectors
def test_published_vector_is_the_signature_we_make(vector: dict[str, Any]) -> None:
    made = sign(
        vector["version"],
        vector["secret"],
        vector["method"] or "",
        vector["uri"] or "",
        vector["body"].encode(),
        vector["timestamp"] or "",
    )
    assert made == vector["signature"]


@vectors
def test_published_vector_is_accepted(vector: dict[str, Any]) -> None:
    if vector["version"] == "v3":
        headers = {V3_HEADER: vector["signature"], TIMESTAMP_HEADER: vector["timestamp"]}
    else:
        headers = {OLD_HEADER: vector["signature"], OLD_VERSION_HEADER: vector["version"]}
    accepted_by = judge(
        headers,
        secrets=[vector["secret"]],
        method=vector["method"] or "POST",
        uri=vector["uri"] or URI,
        body=vector["body"].encode(),
        now_ms=int(vector["timestamp"] or NOW_MS),
        versions=ALL,
    )
    assert accepted_by == vector["version"]


# Derived from HubSpot's table of escapes with a tool of its own; no published vector has an escape.
DERIVED = {
    "": "eEMCiLonZ/WoyU5mOK1fR28ozW4S3+x/4IAuVoXlTYM=",
    "?x=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B": "93rhuZFsKMZ8cgYEGK6+0U8JAAvKQUjc98EHP/mWaP8=",
    "?x=%3a%2f": "HqK9jZgiCcsL1+B8f5pR+C/xu07j6xYt25Eu+Acc0yo=",
    "?x=%20%26%3D%2B%25%23%C3%A9": "crgKYy56LywwEzsQx2UPRpjfFDVZG7Si/eDKToFn+1A=",
    "?x=%253A": "9VMq81D5MJp6EXVbIiJIFp/W9y7Ha/Wx9n6yjDJi++0=",
}


@pytest.mark.parametrize(("query", "signature"), DERIVED.items())
def test_derived_vector_is_accepted(query: str, signature: str) -> None:
    headers = {V3_HEADER: signature, TIMESTAMP_HEADER: str(NOW_MS)}
    assert judge(headers, uri=URI + query) == "v3"


TABLE = {
    "3A": ":", "2F": "/", "3F": "?", "40": "@", "21": "!", "24": "$",
    "27": "'", "28": "(", "29": ")", "2A": "*", "2C": ",", "3B": ";",
}  # fmt: skip
OTHERS = ["20", "22", "23", "25", "26", "2B", "3D", "5B", "5D", "41", "7E", "C3%A9", "0A", "5C"]


@pytest.mark.parametrize(("escape", "character"), TABLE.items())
def test_escape_of_the_table_is_decoded_in_both_cases(escape: str, character: str) -> None:
    for written in (escape, escape.lower()):
        assert decode_uri(f"/a%{written}b?c=%{written}") == f"/a{character}b?c={character}"


@pytest.mark.parametrize("escape", OTHERS)
def test_escape_outside_the_table_stays(escape: str) -> None:
    assert decode_uri(f"/a%{escape}?b=%{escape}") == f"/a%{escape}?b=%{escape}"


def test_escapes_are_decoded_once() -> None:
    assert decode_uri("/%253A%25253a") == "/%253A%25253a"


@pytest.mark.parametrize("version", ALL)
def test_body_counts_to_the_byte(version: Version) -> None:
    headers = signed_headers(version, SECRET, "POST", URI, BODY, NOW_MS)
    assert judge(headers, versions=ALL) == version
    same_json = BODY.replace(b":", b": ")
    assert json.loads(same_json) == json.loads(BODY)
    with pytest.raises(InvalidSignature):
        judge(headers, body=same_json, versions=ALL)


def test_body_need_not_be_text() -> None:
    body = bytes(range(256))
    assert judge(signed_headers("v3", SECRET, "POST", URI, body, NOW_MS), body=body) == "v3"


@pytest.mark.parametrize(
    "changes",
    [{"method": "PUT"}, {"uri": URI + "/"}, {"uri": URI.replace("https", "http")},
     {"uri": URI + "?"}, {"secrets": ["another"]}, {"secrets": []}],
    ids=str,
)  # fmt: skip
def test_anything_else_than_what_was_signed_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidSignature, match="signature"):
        judge(**changes)


@pytest.mark.parametrize("age_ms", [-MAX_AGE_MS, -1, 0, 1, MAX_AGE_MS])
def test_timestamp_within_five_minutes_is_good(age_ms: int) -> None:
    assert judge(now_ms=NOW_MS + age_ms) == "v3"


@pytest.mark.parametrize(
    ("age_ms", "reason"),
    [
        (MAX_AGE_MS + 1, "300 s old"),
        (-MAX_AGE_MS - 1, "300 s in the future"),
        (10**12, "s old"),
        (-(10**12), "s in the future"),
    ],
)
def test_timestamp_further_away_is_refused(age_ms: int, reason: str) -> None:
    with pytest.raises(InvalidSignature) as caught:
        judge(now_ms=NOW_MS + age_ms)
    assert reason in caught.value.reason


def test_timestamp_is_signed_as_the_text_it_was_sent_as() -> None:
    text = f"0{NOW_MS}"
    headers = {TIMESTAMP_HEADER: text, V3_HEADER: sign("v3", SECRET, "POST", URI, BODY, text)}
    assert judge(headers) == "v3"
    with pytest.raises(InvalidSignature):
        judge(headers | {TIMESTAMP_HEADER: str(NOW_MS)})


@pytest.mark.parametrize("secrets", [["new", SECRET], [SECRET, "old"], ["new", SECRET, "old"]])
@pytest.mark.parametrize("version", ALL)
def test_any_of_several_secrets_will_do(version: Version, secrets: list[str]) -> None:
    headers = signed_headers(version, SECRET, "POST", URI, BODY, NOW_MS)
    assert judge(headers, secrets=secrets, versions=ALL) == version


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_older_version_is_accepted_only_if_allowed(version: Version) -> None:
    headers = signed_headers(version, SECRET, "POST", URI, BODY, NOW_MS)
    assert judge(headers, versions=("v3", version)) == version
    for allowed in (("v3",), tuple(one for one in ALL if one != version)):
        with pytest.raises(InvalidSignature) as caught:
            judge(headers, versions=allowed)
        assert "HUBSPOT_SIGNATURE_VERSIONS" in caught.value.reason


@pytest.mark.parametrize("named", ["", "v3", "V2", "v2,v2", "v4", "2", None])
def test_older_signature_needs_its_version_named(named: str | None) -> None:
    headers = signed_headers("v2", SECRET, "POST", URI, BODY, NOW_MS)
    del headers[OLD_VERSION_HEADER]
    if named is not None:
        headers[OLD_VERSION_HEADER] = named
    with pytest.raises(InvalidSignature):
        judge(headers, versions=ALL)


@pytest.mark.parametrize("v3", ["", "x", "=" * 44, sign("v3", "another", "POST", URI, BODY)])
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_v3_is_never_downgraded(version: Version, v3: str) -> None:
    headers = signed_headers(version, SECRET, "POST", URI, BODY, NOW_MS)
    assert judge(headers, versions=ALL) == version
    headers |= {V3_HEADER: v3, TIMESTAMP_HEADER: str(NOW_MS)}
    with pytest.raises(InvalidSignature):
        judge(headers, versions=ALL)


def test_stale_v3_is_not_saved_by_a_good_v2() -> None:
    headers = signed_headers("v3", SECRET, "POST", URI, BODY, NOW_MS - MAX_AGE_MS - 1)
    headers |= signed_headers("v2", SECRET, "POST", URI, BODY, NOW_MS)
    with pytest.raises(InvalidSignature):
        judge(headers, versions=ALL)


def test_good_v3_that_is_not_accepted_is_not_saved_by_a_good_v2() -> None:
    headers = signed_headers("v3", SECRET, "POST", URI, BODY, NOW_MS)
    headers |= signed_headers("v2", SECRET, "POST", URI, BODY, NOW_MS)
    with pytest.raises(InvalidSignature):
        judge(headers, versions=("v2", "v1"))


GOOD = signed_headers("v3", SECRET, "POST", URI, BODY, NOW_MS)
GARBAGE_SIGNATURES = {
    "empty": "",
    "not base64": "!!!!",
    "huge": "A" * 1_000_000,
    "latin-1": "ÿþ\xa0é" * 11,
    "hex for base64": sign("v2", SECRET, "POST", URI, BODY),
    "two values": f"{GOOD[V3_HEADER]},{GOOD[V3_HEADER]}",
    "two values, spaced": f"{GOOD[V3_HEADER]}, {GOOD[V3_HEADER]}",
    "unpadded": GOOD[V3_HEADER].rstrip("="),
    "padded twice": GOOD[V3_HEADER] + "=",
    "other case": GOOD[V3_HEADER].swapcase(),
    "blanks around": f" {GOOD[V3_HEADER]} ",
    "plus as space": GOOD[V3_HEADER].replace("+", " ").replace("/", "_"),
    "null": "null",
}
NOT_LATIN = {"other script": "签名" * 22, "surrogates": "\udcff" * 44}
GARBAGE_TIMESTAMPS = {
    "empty": "",
    "words": "yesterday",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "negative": f"-{NOW_MS}",
    "plus": f"+{NOW_MS}",
    "float": f"{NOW_MS}.0",
    "exponent": "1.790000001e12",
    "hexadecimal": hex(NOW_MS),
    "underscore": "1_790_000_001_000",
    "400 digits": "9" * 400,
    "400 zeros": "0" * 400 + str(NOW_MS),
    "seconds": str(NOW_MS // 1000),
    "microseconds": str(NOW_MS * 1000),
    "two values": f"{NOW_MS},{NOW_MS}",
    "blanks around": f" {NOW_MS} ",
    "line end": f"{NOW_MS}\n",
    "superscript": "¹²³",
    "latin-1": "\xa0" * 13,
}
NOT_LATIN_DIGITS = {
    "Arabic-Indic digits": str(NOW_MS).translate({48 + n: 0x660 + n for n in range(10)}),
    "full-width digits": str(NOW_MS).translate({48 + n: 0xFF10 + n for n in range(10)}),
    "surrogates": "\ud835\udfcf",
}


def cases(*tables: dict[str, str]) -> list[Any]:
    return [pytest.param(value, id=name) for table in tables for name, value in table.items()]


class Fields(dict[str, str]):
    """Headers as a server may pass them on: werkzeug's own refuse a line end."""


@pytest.mark.parametrize("signature", cases(GARBAGE_SIGNATURES, NOT_LATIN))
def test_garbage_for_a_signature_is_one_refusal(signature: str) -> None:
    headers = Fields({**GOOD, V3_HEADER: signature})
    facts: dict[str, Any] = {"secrets": [SECRET], "method": "POST", "uri": URI, "body": BODY}
    with pytest.raises(InvalidSignature):
        verify(headers, **facts, now_ms=NOW_MS, versions=ALL)
    found = diagnose(
        RefusedRequest("POST", URI, headers, BODY), secrets=[SECRET], path="/hubspot", now_ms=NOW_MS
    )
    assert "signature" in found.cause
    assert found.cause != "nothing: the signature is valid"


@pytest.mark.parametrize("timestamp", cases(GARBAGE_TIMESTAMPS, NOT_LATIN_DIGITS))
def test_garbage_for_a_timestamp_is_one_refusal_however_it_is_signed(timestamp: str) -> None:
    signature = sign("v3", SECRET, "POST", URI, BODY, timestamp)
    headers = Fields({V3_HEADER: signature, TIMESTAMP_HEADER: timestamp})
    with pytest.raises(InvalidSignature):
        verify(headers, secrets=[SECRET], method="POST", uri=URI, body=BODY, now_ms=NOW_MS)


@pytest.mark.parametrize("header", [V3_HEADER, TIMESTAMP_HEADER])
def test_missing_header_is_a_refusal(header: str) -> None:
    with pytest.raises(InvalidSignature):
        judge({name: value for name, value in GOOD.items() if name != header}, versions=ALL)


def refused(answer: TestResponse) -> None:
    body = answer.get_json()
    assert body.pop("correlationId") == answer.headers["X-Correlation-Id"]
    assert (answer.status_code, body) == (
        401,
        {
            "status": "error",
            "message": "The request's signature is missing or not valid.",
            "category": "INVALID_AUTHENTICATION",
        },
    )


@pytest.mark.parametrize("signature", cases(GARBAGE_SIGNATURES))
def test_caller_with_garbage_for_a_signature_gets_401(post: Post, signature: str) -> None:
    refused(post(headers={V3_HEADER: signature}))


@pytest.mark.parametrize(
    "timestamp", [case for case in cases(GARBAGE_TIMESTAMPS) if case.id != "line end"]
)
def test_caller_with_garbage_for_a_timestamp_gets_401(post: Post, timestamp: str) -> None:
    refused(post(headers={TIMESTAMP_HEADER: timestamp}))


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "another"},
        {"age_ms": MAX_AGE_MS + 10_000},
        {"age_ms": -MAX_AGE_MS - 10_000},
        {"version": "v2"},
        {"url": "https://localhost/hubspot/phone-numbers"},
        {"headers": {V3_HEADER: None, TIMESTAMP_HEADER: None}},
    ],
    ids=str,
)
def test_caller_is_not_told_what_was_wrong(post: Post, changes: dict[str, Any]) -> None:
    assert post().status_code == 200
    refused(post(**changes))


@pytest.mark.parametrize("header", [V3_HEADER, TIMESTAMP_HEADER])
def test_caller_who_sends_a_good_header_twice_gets_401(post: Post, header: str) -> None:
    good = post().request.headers[header]
    refused(post(headers={header: [good, good]}))


@pytest.mark.parametrize("age_ms", [MAX_AGE_MS - 30_000, 30_000 - MAX_AGE_MS])
def test_caller_with_a_clock_nearly_five_minutes_off_is_served(post: Post, age_ms: int) -> None:
    assert post(age_ms=age_ms).status_code == 200
