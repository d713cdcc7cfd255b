"""What may have been signed in place of what arrived, and the search for what was.

A candidate stays only with the report of somebody whom it befell, or a row of issue 11, beside it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice, product
from typing import Any, NamedTuple, get_args
from urllib.parse import quote, unquote

from ..signature import TIMESTAMP_HEADER, V3_HEADER, Headers, Version, digest, encode, matches

MAX_BYTES, MAX_LIVE_SIGNATURES, MAX_SIGNATURES = 1_000, 160, 100_000
"""Bytes of a body or path that has candidates (HubSpot's have about 50), and signatures to make in
each version, while a caller waits and otherwise: senders decide how much work there would be."""


class RefusedRequest(NamedTuple):
    """A request that was refused, as it arrived.

    `uri` is the URL that it was verified for; `others` are URLs that HubSpot may have signed.
    """

    method: str
    uri: str
    headers: Headers
    body: bytes
    others: tuple[str, ...] = ()

    def first(self, name: str) -> str:
        """Return a header's first value; empty if there is none."""
        return (self.headers.get(name) or "").partition(",")[0].strip()[:MAX_BYTES]


class Match(NamedTuple):
    """The signature that matches, whether the secret was in quotes, and what was signed."""

    version: Version
    signature: str
    quoted: bool
    scheme: str
    host: str
    target: str
    timestamp: str
    body: bytes


def find(
    request: RefusedRequest, signature: str, secrets: Sequence[str], path: str, *, thorough: bool
) -> Match | None:
    """Return what was signed: the fewest changes to what arrived that make the signature match.

    Unless `thorough`, body and timestamp are changed only with all else as it arrived.
    """
    scheme, host, target = split(request.uri)
    timestamp = request.headers.get(TIMESTAMP_HEADER) or ""
    parts: list[tuple[Sequence[Any], Iterable[Any]]] = [
        # https://github.com/moby/moby/issues/46773
        (secrets, (secret.strip("\"' ") for secret in secrets)),
        # https://github.com/rdegges/django-twilio/issues/196
        ([scheme], ("https", "http")),
        ([host], _hosts(host, request)),
        ([target], _targets(target, path, request) if len(target) <= MAX_BYTES else ()),
        ([timestamp], _timestamps(request.first(TIMESTAMP_HEADER))),
        ([request.body], _bodies(request.body) if len(request.body) <= MAX_BYTES else ()),
    ]
    axes = [
        (arrived, [value for value in dict.fromkeys(candidates) if value not in arrived])
        for arrived, candidates in parts
    ]
    budget = MAX_SIGNATURES if thorough else MAX_LIVE_SIGNATURES
    budget //= 1 + (len(request.uri) + len(request.body)) // 4_096
    bare_signature, signs = bare(signature), dict.fromkeys(map(ord, "+/="))
    form: Version = "v2" if len(bare_signature) == 64 else "v3"  # hexadecimal or Base64
    in_v3 = form == "v3" and request.headers.get(V3_HEADER) is not None
    for version in ("v3",) if in_v3 else get_args(Version):
        for choice in islice(_choices(axes, thorough), budget):
            secret, scheme, host, target, timestamp, body = choice
            uri = f"{scheme}://{host}{target}"
            raw = digest(version, secret, request.method, uri, body, timestamp)
            if matches(bare_signature, [encode(form, raw).lower().translate(signs)]):
                return Match(version, encode(version, raw), secret not in secrets, *choice[1:])
    return None


def bare(signature: str) -> str:
    """Return what stays of a signature whatever happens to its header: its letters and digits."""
    text = unquote(unquote(signature[:500])).partition(",")[0].strip("\"' ")
    return re.sub("^(sha256|v[123])=|[^A-Za-z0-9]", "", text).lower()


def _choices(axes: list[tuple[Sequence[Any], list[Any]]], thorough: bool) -> Iterator[Any]:
    """Yield combinations of what arrived and other values, those with the fewest changes first."""
    for number in range(len(axes) + 1):
        for changed in combinations(range(len(axes)), number):
            if thorough or number < 2 or changed[-1] < 4:  # 4 and 5 are timestamp and body
                yield from product(*(axis[n in changed] for n, axis in enumerate(axes)))


def split(uri: str) -> tuple[str, str, str]:
    """Return scheme, host with port, and what follows; without a scheme, all of it follows."""
    scheme, host, target = re.findall(r"\A(?:([^/?]*)://([^/?]*))?(.*)\Z", uri, re.DOTALL)[0]
    return scheme, host, target


def _hosts(host: str, request: RefusedRequest) -> Iterator[str]:
    yield from (split(url)[1] for url in request.others)
    # Tunnels and proxies put another into Host: https://github.com/MCPJam/inspector/issues/1177
    yield from filter(None, (request.first("Host"), request.first("X-Forwarded-Host")))
    name = re.sub(r":\d*$", "", host)  # https://github.com/twilio/twilio-python/issues/402
    yield from (name, f"{name}:443", f"{name}:80", f"{name}:{request.first('X-Forwarded-Port')}")
    yield from (host.lower(), f"www.{host}", host.removeprefix("www."))  # issue 11


def _targets(target: str, path: str, request: RefusedRequest) -> Iterator[str]:
    location, mark, query = target.partition("?")
    unslashed = location.removesuffix("/")
    # https://github.com/TrueLayer/truelayer-signing/issues/80
    yield from (location + "/" + mark + query, unslashed + mark + query)
    # https://github.com/suitenumerique/drive/pull/361
    yield from ("/" + target, re.sub("/{2,}", "/", location) + mark + query)
    if unslashed.endswith(path):
        prefix = unslashed.removesuffix(path)
        forwarded = f"/{request.first('X-Forwarded-Prefix').strip('/')}"
        # SCRIPT_NAME in PUBLIC_URL too: https://github.com/benoitc/gunicorn/issues/2969
        once = re.sub(r"(/.+)\1$", r"\1", prefix) if len(prefix) <= 100 else prefix
        # https://github.com/contentful/node-apps-toolkit/issues/820
        for candidate in (once, "", forwarded, forwarded + prefix):
            yield candidate.rstrip("/") + target[len(prefix) :]
    yield location  # https://github.com/SmartThingsCommunity/smartapp-sdk-nodejs/issues/255
    # https://github.com/traefik/traefik/issues/896
    names = ("X-Original-URI", "X-Original-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path")
    for url in (*request.others, *(request.headers.get(name) or "" for name in names)):
        yield split(url)[2][:MAX_BYTES]
    # https://github.com/nginx/nginx/issues/501 and https://github.com/bmlt-enabled/yap/pull/1629
    plain = unquote(target)
    yield from (plain, quote(plain, safe="/:?&=@!$'()*,;~+", errors="surrogatepass"))
    yield from (target.replace("%20", "+"), target.replace("+", "%20"))


def _timestamps(timestamp: str) -> Iterator[str]:
    yield timestamp  # of two: https://github.com/ZoeyVid/NPMplus/issues/3815
    # None, seconds or a float: https://github.com/HubSpot/hubspot-api-python/issues/263, issue 11
    yield from ("", timestamp[:-3], f"{timestamp}.0")


def _bodies(body: bytes) -> Iterator[bytes]:
    # https://github.com/sendgrid/sendgrid-csharp/issues/1018
    yield from (body.strip(), body + b"\n", body + b"\r\n")
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return
    # https://github.com/cyrusagents/cyrus/pull/996
    for order in (payload, dict(sorted(payload.items()))) if isinstance(payload, dict) else ():
        for separators in ((",", ":"), (", ", ": ")):
            written = json.dumps(order, separators=separators, ensure_ascii=False)
            yield written.encode("utf-8", "surrogatepass")
