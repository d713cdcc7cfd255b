"""The usual suspects: what each part of a request may have been before something changed it.

Each function maps what may have been signed to the changes that turned it into what arrived. They
are those of public reports: proxies that end TLS, tunnels that rewrite the host, gateways that
strip a prefix, decode or sort, frameworks that parse the body and write it anew.
"""

import base64
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import quote, unquote

from .signature import (
    OLD_HEADER,
    OLD_VERSION_HEADER,
    TIMESTAMP_HEADER,
    V3_HEADER,
    Headers,
    Version,
    decode_uri,
)

T = TypeVar("T")

BASE = "{base}"
"""In a remedy: the base URL that HubSpot signed, which is known once the signature is found."""


class Change(NamedTuple):
    """What happened on the way, and what to do about it."""

    cause: str
    remedy: str


Variants = dict[T, tuple[Change, ...]]

_SET_PUBLIC_URL = f"set PUBLIC_URL={BASE}"
_LONGEST_URL = 500  # for which it is worth the time while a caller waits; HubSpot's has about 60
_LONGEST_BODY = 1_000  # likewise; HubSpot's has about 50 bytes
# Usual stages of API gateways and mount points, for a prefix that nobody tells.
_PREFIXES = (
    "/api", "/v1", "/app", "/dev", "/test", "/stage", "/staging", "/prod", "/Prod", "/production",
    "/default", "/hubspot", "/webhook", "/webhooks",
)  # fmt: skip


def versions(version: Version, headers: Headers) -> Variants[Version]:
    """The version, and whether the headers say that it is this one."""
    named = headers.get(OLD_VERSION_HEADER)
    if headers.get(V3_HEADER) is not None:
        arrived_as = "v3"
    else:
        arrived_as = named if named in ("v1", "v2") else "v2" if version == "v3" else version
    if version == arrived_as:
        return {version: ()}
    header = V3_HEADER if version == "v3" else f"{OLD_HEADER} with {OLD_VERSION_HEADER}: {version}"
    cause = f"a {version} signature arrived as {arrived_as}"
    return {version: (Change(cause, f"whoever signs or forwards has to send it as {header}"),)}


def split(uri: str) -> tuple[str, str, str]:
    """Scheme, host with port, and all that follows."""
    scheme, _, rest = uri.partition("://")
    host = re.split("[/?]", rest, maxsplit=1)[0]
    return scheme, host, rest[len(host) :]


def origins(uri: str, headers: Headers, others: Iterable[str], *, thorough: bool) -> Variants[str]:
    """Scheme and host. `others` are URLs whose host may have been meant."""
    scheme, host, _ = split(uri)
    bare = re.sub(r":\d*$", "", host)
    hosts = [host, *(split(other)[1] for other in others), *_said(headers), bare, host.lower()]
    if thorough:
        hosts += [f"{bare}:{port}" for port in _ports(headers)]
    found: Variants[str] = {}
    for other in dict.fromkeys(filter(None, hosts)):
        for signed in dict.fromkeys((scheme, "https", "http")):
            changes = []
            if signed != scheme:
                changes.append(
                    Change(
                        f"{scheme} for {signed}",
                        f"{_SET_PUBLIC_URL} (or, without it, TRUSTED_PROXIES to the number of"
                        " proxies that set X-Forwarded-Proto)",
                    )
                )
            if other != host:
                changes.append(
                    Change(f"another host ({_cut(host)} for {_cut(other)})", _SET_PUBLIC_URL)
                )
            found[f"{signed}://{other}"] = tuple(changes)
    return found


def _said(headers: Headers) -> Iterator[str]:
    """The hosts that headers tell of."""
    for name in ("Host", "X-Forwarded-Host", "X-Original-Host"):
        yield (headers.get(name) or "").partition(",")[0].strip()
    forwarded = re.search(r'\bhost="?([^";,\s]+)', headers.get("Forwarded") or "", re.IGNORECASE)
    yield forwarded[1] if forwarded else ""


def _ports(headers: Headers) -> Iterator[str]:
    yield from ("443", "80")
    port = (headers.get("X-Forwarded-Port") or "").partition(",")[0].strip()
    if re.fullmatch("[0-9]{1,5}", port):
        yield port


def targets(
    target: str, path: str, headers: Headers, others: Iterable[str], *, thorough: bool
) -> Variants[str]:
    """Path and query; `path` is the webhook's own. `others` are URLs that may have been meant."""
    found: Variants[str] = {target: ()}
    if not thorough and len(target) > _LONGEST_URL:
        return found
    for text, change in _reshaped(target, path, headers, thorough=thorough):
        found.setdefault(text, (change,))
    meant = [split(other)[2] for other in others]
    for name in ("X-Original-URI", "X-Original-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path"):
        named = headers.get(name) or ""
        meant.append(split(named)[2] if "://" in named.partition("?")[0] else named)
    for text in filter(None, meant):
        if thorough or len(text) <= _LONGEST_URL:
            change = Change(
                f"another path or query ({_cut(target)} for {_cut(text)})",
                "something in front rewrites the URL: let it pass path and query untouched",
            )
            found.setdefault(text, (change,))
    for text, changes in list(found.items()) if thorough else [(target, ())]:
        for escaped, change in _escaped(text):
            found.setdefault(escaped, (*changes, change))
    return found


def _reshaped(
    target: str, path: str, headers: Headers, *, thorough: bool
) -> Iterator[tuple[str, Change]]:
    location, mark, query = target.partition("?")
    query = mark + query
    register = (
        f"register exactly the URL that arrives: flask channel-connection update --url {BASE}{path}"
    )
    if location.endswith("/"):
        text = location[:-1] + query
        yield text, Change("a trailing slash was added on the way", "have the proxy add none")
    yield location + "/" + query, Change("a trailing slash was lost on the way", register)
    yield "/" + target, Change("a doubled slash was merged on the way", register)
    yield re.sub("/{2,}", "/", location) + query, Change("a slash was doubled", register)
    yield from _requeried(location, query, thorough=thorough)
    prefix = location.removesuffix("/").removesuffix(path)
    if prefix != location.removesuffix("/"):
        named = "/" + (headers.get("X-Forwarded-Prefix") or "").strip("/")
        for other in ("", named, *(_PREFIXES if thorough else ())):
            if other not in (prefix, "/"):
                cause = (
                    f"another path prefix ({_cut(prefix) or 'none'} for {_cut(other) or 'none'})"
                )
                yield other + target[len(prefix) :], Change(cause, _SET_PUBLIC_URL)


def _requeried(location: str, query: str, *, thorough: bool) -> Iterator[tuple[str, Change]]:
    remedy = "something in front changes the query: turn that off, or register a URL without one"
    if not query:
        yield location + "?", Change("an empty query was dropped on the way", remedy)
        return
    parts = query[1:].split("&")
    added = Change("a query was added on the way", remedy)
    yield location, added
    if 1 < len(parts) <= 20:
        for n in range(len(parts)):
            yield f"{location}?{'&'.join(parts[:n] + parts[n + 1 :])}", added
            yield f"{location}?{'&'.join(parts[:n])}".rstrip("?"), added
    if 1 < len(parts) <= (5 if thorough else 3):
        for order in itertools.permutations(parts):
            text = f"{location}?{'&'.join(order)}"
            if text != location + query:
                yield text, Change("the query was put in another order", remedy)


def _escaped(text: str) -> Iterator[tuple[str, Change]]:
    remedy = "something in front rewrites the URL: turn that off, or register one without escapes"
    location, mark, query = text.partition("?")
    spaces = Change("spaces in the query were rewritten on the way", remedy)
    yield location + mark + query.replace("%20", "+"), spaces
    yield location + mark + query.replace("+", "%20"), spaces
    rewritten = Change("the URL's escapes were rewritten (%C3 for %c3 or so)", remedy)
    yield re.sub("%[0-9A-Fa-f]{2}", lambda found: found[0].lower(), text), rewritten
    yield re.sub("%[0-9A-Fa-f]{2}", lambda found: found[0].upper(), text), rewritten
    yield unquote(text), Change("the URL was encoded on the way", remedy)
    for encoding, safe in itertools.product(("utf-8", "latin-1"), ("", "+")):
        plain = unquote(text, errors="surrogateescape")
        try:
            raw = plain.encode(encoding, "surrogateescape")
        except UnicodeEncodeError:
            continue
        yield (
            quote(raw, safe="/:?&=@!$'()*,;~" + safe),
            Change("the URL was decoded on the way", remedy),
        )


def as_v3_signs(targets: Variants[str]) -> Variants[str]:
    """Paths and queries with the escapes of HubSpot's table decoded."""
    undecoded = Change(
        "HubSpot's own escapes were signed undecoded",
        "whoever signs has to decode them first; a URL without query and escapes has none",
    )
    found: Variants[str] = {}
    for target, changes in sorted(targets.items(), key=lambda one: len(one[1])):
        found.setdefault(decode_uri(target), changes)
    for target, changes in targets.items():
        found.setdefault(target, (*changes, undecoded))
    return found


def bodies(body: bytes, *, thorough: bool) -> Variants[bytes]:
    """The body; long ones are left alone unless `thorough`."""
    found: Variants[bytes] = {body: ()}
    if len(body) > (2**16 if thorough else _LONGEST_BODY):
        return found
    untouched = "let it pass the bytes untouched"
    edges = Change(
        "white space around the body was changed on the way",
        f"something in front trims or ends the body: {untouched}",
    )
    for text in (body.strip(), body + b"\n", body + b"\r\n"):
        found.setdefault(text, (edges,))
    coded = Change(
        "the body was encoded anew on the way (byte order mark, line ends or Base64)",
        f"something in front converts the body: {untouched}",
    )
    mark = b"\xef\xbb\xbf"
    unix = body.replace(b"\r\n", b"\n")
    for text in (body.removeprefix(mark), mark + body, unix, unix.replace(b"\n", b"\r\n")):
        found.setdefault(text, (coded,))
    if re.fullmatch(rb"[A-Za-z0-9+/]{8,}={0,2}", body) and len(body) % 4 == 0:
        found.setdefault(base64.b64decode(body), (coded,))
    parsed = Change(
        "the body was parsed and written anew on the way",
        f"something in front rewrites the JSON body: {untouched}",
    )
    for text in _rewritten(body.removeprefix(mark), thorough=thorough):
        found.setdefault(text, (parsed,))
    return found


_STYLES: tuple[tuple[int | str | None, tuple[str, str]], ...] = (
    (None, (",", ":")),
    (None, (", ", ": ")),
    (2, (",", ": ")),
    (4, (",", ": ")),
    ("\t", (",", ": ")),
)


def _rewritten(body: bytes, *, thorough: bool) -> Iterator[bytes]:
    """The same JSON as others write it: spaces, order of keys, escapes, kinds of numbers."""
    try:
        payload = json.loads(body)
        if isinstance(payload, str):
            yield payload.encode("utf-8", "surrogatepass")
        if not isinstance(payload, dict):
            return
        # HubSpot documents appId, portalId, userId, which is the alphabet's order too.
        orders = [payload, dict(sorted(payload.items()))]
        if thorough and len(payload) <= 4:
            orders += [dict(order) for order in itertools.permutations(payload.items())]
        whole = [{name: _whole(value) for name, value in order.items()} for order in orders]
        for order, (indent, separators), ascii_only in itertools.product(
            orders if whole == orders and repr(whole) == repr(orders) else orders + whole,
            _STYLES,
            (True, False) if thorough else (False,),
        ):
            text = json.dumps(order, indent=indent, separators=separators, ensure_ascii=ascii_only)
            yield text.encode("utf-8", "surrogatepass")
            if thorough and ascii_only:
                yield text.replace("/", "\\/").encode()
    except (ValueError, RecursionError):
        return


def _whole(value: object) -> object:
    """The integer that a parser may have made a text or a float of."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def timestamps(given: str, *, thorough: bool) -> Variants[str]:
    """The timestamp header."""
    rewritten = Change(
        "the timestamp was rewritten on the way",
        f"something in front parses and rewrites headers: let {TIMESTAMP_HEADER} pass untouched",
    )
    found: Variants[str] = {given: ()}
    once = given.partition(",")[0].strip("\"' ")
    found.setdefault(once, (rewritten,))
    if re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,19})?([eE]\+?[0-9]{1,2})?", once):
        value = float(once)
        found.setdefault(str(int(value)), (rewritten,))
        if thorough and 10**9 <= value < 10**10:  # seconds: what was cut off can be tried
            for ms in range(1000):
                found.setdefault(f"{int(value)}{ms:03d}", (rewritten,))
    return found


def secrets(given: Sequence[str]) -> Variants[str]:
    """The secrets, and what is in them if they were pasted with quotes."""
    quoted = Change(
        "the secret has quotes around it", "take the quotes out of HUBSPOT_CLIENT_SECRET"
    )
    return {one.strip("\"' "): (quoted,) for one in given} | dict.fromkeys(given, ())


def _cut(text: str) -> str:
    return text[:100]
