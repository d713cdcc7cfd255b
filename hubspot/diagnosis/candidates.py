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
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from ..signature import TIMESTAMP_HEADER, Headers, decode_uri

T = TypeVar("T")

BASE = "{base}"
"""In a remedy: the base URL that was signed, which is known once the signature is found."""

SET_PUBLIC_URL = f"set PUBLIC_URL={BASE}"


class Change(NamedTuple):
    """What happened on the way, and what to do about it."""

    cause: str
    remedy: str


Variants = dict[T, tuple[Change, ...]]

# Whoever sends a request decides how much there is to try. What is longer is left as it is.
_LONGEST_BODY = 1_000  # HubSpot's has about 50 bytes
_LONGEST_TARGET = 4_000  # what servers take; HubSpot's has about 30 characters
_LONGEST_TARGET_LIVE = 500  # while a caller waits
# Usual stages of API gateways and mount points, for a prefix that nobody tells.
_PREFIXES = (
    "/api", "/v1", "/app", "/dev", "/test", "/stage", "/staging", "/prod", "/Prod", "/production",
    "/default", "/hubspot", "/webhook", "/webhooks",
)  # fmt: skip


def _variants(given: T, changed: Iterable[tuple[T, Change]]) -> Variants[T]:
    found: Variants[T] = {given: ()}
    for value, change in changed:
        found.setdefault(value, (change,))
    return found


def split(uri: str) -> tuple[str, str, str]:
    """Scheme, host with port, and all that follows; without a scheme, all of it follows."""
    scheme, mark, rest = uri.partition("://")
    if not mark or re.search("[/?]", scheme):
        return "", "", uri
    host = re.split("[/?]", rest, maxsplit=1)[0]
    return scheme, host, rest[len(host) :]


def _first(headers: Headers, name: str) -> str:
    """The first of the header's values."""
    return (headers.get(name) or "").partition(",")[0].strip()


def schemes(scheme: str) -> Variants[str]:
    """The scheme."""
    remedy = (
        f"{SET_PUBLIC_URL} (or, without it, TRUSTED_PROXIES to the number of proxies that set"
        " X-Forwarded-Proto)"
    )
    others = ("https", "http")
    return _variants(scheme, ((one, Change(f"{scheme} for {one}", remedy)) for one in others))


def hosts(host: str, headers: Headers, others: Iterable[str]) -> Variants[str]:
    """The host with its port. `others` are URLs whose host may have been meant."""
    bare = re.sub(r":\d*$", "", host)
    forwarded = re.search(r'\bhost="?([^";,\s]+)', headers.get("Forwarded") or "", re.IGNORECASE)
    ports = ("443", "80", _first(headers, "X-Forwarded-Port"))
    meant = [
        *(split(other)[1] for other in others),
        *(_first(headers, name) for name in ("Host", "X-Forwarded-Host", "X-Original-Host")),
        forwarded[1] if forwarded else "",
        bare,
        host.lower(),
        *(f"{bare}:{port}" for port in ports if re.fullmatch("[0-9]{1,5}", port)),
    ]
    causes = ((one, f"another host ({_cut(host)} for {_cut(one)})") for one in meant if one)
    return _variants(host, ((one, Change(cause, SET_PUBLIC_URL)) for one, cause in causes))


def targets(
    target: str, path: str, headers: Headers, others: Iterable[str], *, thorough: bool
) -> Variants[str]:
    """Path and query; `path` is the webhook's own. `others` are URLs that may have been meant."""
    longest = _LONGEST_TARGET if thorough else _LONGEST_TARGET_LIVE
    if len(target) > longest:
        return {target: ()}
    told = ("X-Original-URI", "X-Original-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path")
    meant = [split(uri)[2] for uri in (*others, *(headers.get(name) or "" for name in told))]
    found = _variants(target, _reshaped(target, path, headers, thorough=thorough))
    for one in meant:
        if 0 < len(one) <= longest:
            change = Change(
                f"another path or query ({_cut(target)} for {_cut(one)})",
                "something in front rewrites the URL: let it pass path and query untouched",
            )
            found.setdefault(one, (change,))
    for text, changes in list(found.items()) if thorough else [(target, ())]:
        for escaped, change in _escaped(text):
            found.setdefault(escaped, (*changes, change))
    return found


def _reshaped(
    target: str, path: str, headers: Headers, *, thorough: bool
) -> Iterator[tuple[str, Change]]:
    location, mark, query = target.partition("?")
    query = mark + query
    bare = location.removesuffix("/")
    added = Change("a trailing slash was added on the way", "have the proxy add none")
    yield bare + query, added
    register = (
        f"register exactly the URL that arrives: flask channel-connection update --url {BASE}{path}"
    )
    yield location + "/" + query, Change("a trailing slash was lost on the way", register)
    yield "/" + target, Change("a doubled slash was merged on the way", register)
    yield re.sub("/{2,}", "/", location) + query, Change("a slash was doubled", register)
    yield from _requeried(location, query, thorough=thorough)
    if bare.endswith(path):
        prefix = bare.removesuffix(path)
        told = (headers.get("X-Forwarded-Prefix") or "").strip("/")
        for other in ("", *([f"/{told}"] if told else []), *(_PREFIXES if thorough else ())):
            cause = f"another path prefix ({_cut(prefix) or 'none'} for {_cut(other) or 'none'})"
            yield other + target[len(prefix) :], Change(cause, SET_PUBLIC_URL)


def _requeried(location: str, query: str, *, thorough: bool) -> Iterator[tuple[str, Change]]:
    remedy = "something in front changes the query: turn that off, or register a URL without one"
    if not query:
        yield location + "?", Change("an empty query was dropped on the way", remedy)
        return
    added = Change("a query was added on the way", remedy)
    yield location, added
    parts = query[1:].split("&")
    if len(parts) <= 20:
        for n in range(len(parts)):
            yield f"{location}?{'&'.join(parts[:n] + parts[n + 1 :])}", added
            yield f"{location}?{'&'.join(parts[: n + 1])}", added
    if len(parts) <= (5 if thorough else 3):
        for order in itertools.permutations(parts):
            ordered = f"{location}?{'&'.join(order)}"
            yield ordered, Change("the query was put in another order", remedy)


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
    decoded = Change("the URL was decoded on the way", remedy)
    plain = unquote(text, errors="surrogateescape")
    for encoding in ("utf-8", "latin-1"):  # some servers show a URL's bytes as Latin-1
        try:
            raw = plain.encode(encoding, "surrogateescape")
        except UnicodeEncodeError:
            continue
        for kept in ("", "+"):
            yield quote(raw, safe="/:?&=@!$'()*,;~" + kept), decoded


def as_v3_signs(targets: Variants[str]) -> Variants[str]:
    """Paths and queries with the escapes of HubSpot's table decoded."""
    undecoded = Change(
        "HubSpot's own escapes were signed undecoded",
        "whoever signs has to decode them first; a URL without query and escapes has none",
    )
    found: Variants[str] = {}
    for target, changes in targets.items():
        found.setdefault(decode_uri(target), changes)
    for target, changes in targets.items():
        found.setdefault(target, (*changes, undecoded))
    return found


def bodies(body: bytes, *, thorough: bool) -> Variants[bytes]:
    """The body."""
    changed = _recoded(body, thorough=thorough) if len(body) <= _LONGEST_BODY else ()
    return _variants(body, changed)


def _recoded(body: bytes, *, thorough: bool) -> Iterator[tuple[bytes, Change]]:
    untouched = "let it pass the bytes untouched"
    edges = Change(
        "white space around the body was changed on the way",
        f"something in front trims or ends the body: {untouched}",
    )
    for text in (body.strip(), body + b"\n", body + b"\r\n"):
        yield text, edges
    coded = Change(
        "the body was encoded anew on the way (byte order mark, line ends or Base64)",
        f"something in front converts the body: {untouched}",
    )
    mark = b"\xef\xbb\xbf"
    unix = body.replace(b"\r\n", b"\n")
    for text in (body.removeprefix(mark), mark + body, unix, unix.replace(b"\n", b"\r\n")):
        yield text, coded
    if re.fullmatch(rb"[A-Za-z0-9+/]{8,}={0,2}", body) and len(body) % 4 == 0:
        yield base64.b64decode(body), coded
    parsed = Change(
        "the body was parsed and written anew on the way",
        f"something in front rewrites the JSON body: {untouched}",
    )
    for text in _rewritten(body.removeprefix(mark), thorough=thorough):
        yield text, parsed


def _rewritten(body: bytes, *, thorough: bool) -> Iterator[bytes]:
    """The same JSON as others write it: spaces, order of keys, escapes, kinds of numbers."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(payload, str):
        yield _utf8(payload)
    # HubSpot's is a flat object. A deep one grows with every indent, beyond all bounds.
    if not isinstance(payload, dict) or any(isinstance(v, dict | list) for v in payload.values()):
        return
    # HubSpot documents appId, portalId, userId, which is the alphabet's order too.
    orders: list[dict[str, Any]] = [payload, dict(sorted(payload.items()))]
    if thorough and len(payload) <= 4:
        orders += map(dict, itertools.permutations(payload.items()))
    orders += [{name: _whole(value) for name, value in order.items()} for order in orders]
    styles = [{"separators": (",", ":")}, {}, {"indent": 2}, {"indent": 4}, {"indent": "\t"}]
    for order, style, ascii_only in itertools.product(
        {repr(order): order for order in orders}.values(),
        styles,
        (True, False) if thorough else (False,),
    ):
        text = json.dumps(order, ensure_ascii=ascii_only, **style)
        yield _utf8(text)
        if ascii_only:
            yield _utf8(text.replace("/", "\\/"))


def _whole(value: object) -> object:
    """The integer that a parser may have made a text or a float of."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def sent_twice(what: str) -> Change:
    """A header arrived more than once, which HTTP joins by commas."""
    return Change(
        f"the {what} header was sent twice",
        "something in front adds it to requests that have it: let it pass as it comes",
    )


def timestamps(given: str, *, thorough: bool) -> Variants[str]:
    """The timestamp header."""
    once = given.partition(",")[0].strip("\"' ")
    texts = [once]
    if re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,19})?([eE]\+?[0-9]{1,2})?", once):
        number = int(float(once))
        texts.append(str(number))
        if thorough and 10**9 <= number < 10**10:  # seconds: what was cut off can be tried
            texts += (f"{number}{ms:03d}" for ms in range(1000))
    rewritten = Change(
        "the timestamp was rewritten on the way",
        f"something in front parses and rewrites headers: let {TIMESTAMP_HEADER} pass untouched",
    )
    changes = {once: sent_twice("timestamp")} if "," in given else {}
    return _variants(given, ((text, changes.get(text, rewritten)) for text in texts))


def secrets(given: Sequence[str]) -> Variants[str]:
    """The secrets, and what is in them if they were pasted with quotes."""
    quoted = Change(
        "the secret has quotes around it", "take the quotes out of HUBSPOT_CLIENT_SECRET"
    )
    return {one.strip("\"' "): (quoted,) for one in given} | dict.fromkeys(given, ())


def _cut(text: str) -> str:
    return text[:100]
