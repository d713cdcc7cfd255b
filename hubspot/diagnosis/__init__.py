"""Why a signature does not match. Pure, like hubspot/signature.py."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..signature import (
    MAX_AGE_MS,
    OLD_HEADER,
    OLD_VERSION_HEADER,
    TIMESTAMP_HEADER,
    V3_HEADER,
    Version,
)
from .candidates import Match, RefusedRequest, bare, find, split

__all__ = ["VALID", "Diagnosis", "RefusedRequest", "diagnose"]


class Diagnosis(NamedTuple):
    """One cause in words, and what to do about it."""

    cause: str
    remedy: str


VALID = Diagnosis("nothing: the signature is valid", "look for another cause")


def diagnose(
    request: RefusedRequest,
    *,
    secrets: Sequence[str],
    path: str,
    now_ms: int,
    versions: Iterable[Version] = ("v3",),
    thorough: bool = True,
    just_arrived: bool = True,
    public_url: str | None = None,
) -> Diagnosis:
    """Return the one cause that fits best, and its remedy.

    `path` is the webhook's path, which ends the base URL. Unless `thorough`, few signatures are
    tried, and only on small requests: a caller waits. `just_arrived` says that `now_ms` is the time
    at which the request arrived, rather than a later one. `public_url` is PUBLIC_URL, if set.
    """
    headers = request.headers
    in_old = headers.get(V3_HEADER) is None and headers.get(OLD_HEADER) is not None
    header = OLD_HEADER if in_old else V3_HEADER
    signature = headers.get(header) or ""
    match = find(request, signature, secrets, path, thorough=thorough)
    if not match:
        return next(_malformed(request, header, thorough))
    faults = [
        *_wrong_header(match.version, request),
        *_wrong_url(request, match, path, public_url),
        *_wrong_parts(request, match, signature),
    ]
    if match.version == "v3":
        faults += _clock(request, now_ms, just_arrived, alone=not faults)
    if match.version not in versions and (match.version == "v3" or not faults):
        caution = "" if match.version == "v3" else "; it does not protect against replay"
        remedy = f"add {match.version} to HUBSPOT_SIGNATURE_VERSIONS{caution}"
        faults.append(Diagnosis(f"signed with {match.version}, which is not accepted", remedy))
    if not faults:
        return VALID
    causes, remedies = map(dict.fromkeys, zip(*faults, strict=True))
    return Diagnosis(" and ".join(causes), "; ".join(remedies))


_FRONT = "something in front of the service"
_BODY = f"{_FRONT} changes the body: have it passed on unchanged"
_HEADERS = f"{_FRONT} changes headers: have them passed on unchanged"
_URL = f"{_FRONT} changes the URL: stop that, or register a URL that is left unchanged"
_AS_SENT = f"the sender has to sign the text of {TIMESTAMP_HEADER} exactly as it sends it"
_IN_MS = f"the sender has to give {TIMESTAMP_HEADER} in milliseconds since 1970: 13 digits"


def _malformed(request: RefusedRequest, header: str, thorough: bool) -> Iterator[Diagnosis]:
    """Tell what is odd about a request whose signature nothing makes match, best guess first."""
    signature, timestamp = (request.headers.get(name) for name in (header, TIMESTAMP_HEADER))
    lost = f"if HubSpot sent this, {_FRONT} drops {{}}: have it passed on"
    if not signature or not signature.strip():
        missing = signature is None
        cause = "no signature header arrived" if missing else "the signature header is empty"
        yield Diagnosis(cause, lost.format(header))
    elif not re.fullmatch("[0-9a-f]{64}|[0-9a-z]{34,43}", bare(signature)):
        yield Diagnosis(
            "the signature header does not hold a HubSpot signature",
            f"{header} has to hold 44 characters of Base64 (v3) or 64 hexadecimal digits (v2, v1);"
            f" if HubSpot sent this, {_FRONT} cuts or rewrites it",
        )
    if header == V3_HEADER and not timestamp:
        yield Diagnosis("the timestamp header is missing", lost.format(TIMESTAMP_HEADER))
    if request.method.upper() != "POST" or not request.body:
        # https://github.com/Gitlawb/node/issues/336
        arrived = f"{request.method[:20]} with {len(request.body)} bytes"
        remedy = "register the URL that a redirect leads to, or have the body passed on"
        yield Diagnosis(f"HubSpot sends POST with a body, not {arrived}", remedy)
    if header == V3_HEADER and not re.fullmatch("[0-9]{13}", timestamp or ""):
        remedy = f"HubSpot's has 13 digits: have {TIMESTAMP_HEADER} passed on unchanged"
        yield Diagnosis("the timestamp was rewritten on the way", remedy)
    yield Diagnosis(
        "wrong secret",
        "HUBSPOT_CLIENT_SECRET is not the secret of the app that signed: copy the client secret"
        " from the app's Auth page (not a pat-… token, not the developer API key); if it is the"
        " right one, the request was forged or changed beyond recognition"
        + ("" if thorough else "; `flask webhook explain FILE` tries more if you have the request"),
    )


def _wrong_header(version: Version, request: RefusedRequest) -> Iterator[Diagnosis]:
    in_v3 = request.headers.get(V3_HEADER) is not None
    name = request.headers.get(OLD_VERSION_HEADER)
    arrived = "as v3" if in_v3 else f"as {name[:20]}" if name else f"without {OLD_VERSION_HEADER}"
    if arrived != f"as {version}":
        to = V3_HEADER if version == "v3" else f"{OLD_HEADER} with {OLD_VERSION_HEADER}: {version}"
        remedy = f"the sender, or a proxy on the way, has to send it as {to}"
        yield Diagnosis(f"a {version} signature arrived {arrived}", remedy)
    elif not in_v3 and request.headers.get(TIMESTAMP_HEADER):  # which HubSpot sends with v3 alone
        # https://github.com/stripe/stripe-dotnet/issues/1880
        cause = f"{V3_HEADER} did not arrive, though its timestamp did"
        yield Diagnosis(cause, f"{_FRONT} drops {V3_HEADER}: have it passed on")


def _wrong_url(
    request: RefusedRequest, match: Match, path: str, public_url: str | None
) -> Iterator[Diagnosis]:
    scheme, host, target = split(request.uri)
    arrived, signed = target.partition("?")[0], match.target.partition("?")[0]
    prefix, signed_prefix = (
        location.rstrip("/").removesuffix(path).rstrip("/") for location in (arrived, signed)
    )
    base = f"{match.scheme}://{match.host}{signed_prefix}"[:200]
    remedy = f"set PUBLIC_URL={base}"
    if public_url:  # it may well be right for HubSpot, and this request a test of somebody's
        remedy = (
            f"PUBLIC_URL is {public_url}, and the sender signed for {base}: {remedy} only if"
            " HubSpot calls that (`flask channel-connection show`); else correct the sender"
        )
    elif (host, prefix) == (match.host, signed_prefix):
        number = "the number of proxies that set X-Forwarded-Proto"
        remedy += f" (or, without it, TRUSTED_PROXIES to {number})"
    if scheme != match.scheme:
        yield Diagnosis(f"{scheme} for {match.scheme}", remedy)
    if host != match.host:
        yield Diagnosis(f"another host ({host[:100]} for {match.host[:100]})", remedy)
    twice = prefix.removeprefix(signed_prefix)
    if signed == arrived + "/":
        register = "register exactly the URL that arrives: flask channel-connection update --url"
        yield Diagnosis("a trailing slash was lost on the way", f"{register} {base}{path}")
    elif arrived == signed + "/":
        yield Diagnosis("a trailing slash was added on the way", "stop the proxy from adding it")
    elif prefix == signed_prefix + twice != signed_prefix and signed_prefix.endswith(twice):
        remedy = f"SCRIPT_NAME has it already, so set PUBLIC_URL={base.removesuffix(twice)}"
        yield Diagnosis(f"the path prefix {twice[:100]} is there twice", remedy)
    elif prefix + path == arrived != signed == signed_prefix + path and "%" not in signed:
        shown = (text[:100] or "none" for text in (prefix, signed_prefix))
        yield Diagnosis("another path prefix ({} for {})".format(*shown), remedy)
    elif target != match.target:
        # A value may be somebody's address or number, and causes are logged.
        shown = (re.sub("=[^&]*", "=…", url)[:100] for url in (target, match.target))
        yield Diagnosis("another path or query ({} for {})".format(*shown), _URL)


def _wrong_parts(request: RefusedRequest, match: Match, signature: str) -> Iterator[Diagnosis]:
    if match.quoted:
        remedy = "take the quotes out of HUBSPOT_CLIENT_SECRET"
        yield Diagnosis("the secret has quotes around it", remedy)
    timestamp = request.headers.get(TIMESTAMP_HEADER) or ""
    if match.timestamp != timestamp and "," not in timestamp:
        words = {"": "not signed", timestamp[:-3]: "signed in seconds and sent in milliseconds"}
        how = words.get(match.timestamp, f"signed as {match.timestamp[:30]}, not as it was sent")
        yield Diagnosis(f"the timestamp was {how}", _AS_SENT)
    if match.body.strip() != request.body.strip():
        yield Diagnosis("the body was parsed and written anew on the way", _BODY)
    elif match.body != request.body:
        yield Diagnosis("white space around the body was changed on the way", _BODY)
    for name, text in (("timestamp", timestamp), ("signature", signature)):
        if "," in text:  # https://github.com/ZoeyVid/NPMplus/issues/3815
            yield Diagnosis(f"the {name} header was sent twice", _HEADERS)
    if bare(signature) != bare(match.signature):  # issue 11
        form = "44 characters of Base64" if match.version == "v3" else "64 hexadecimal digits"
        remedy = f"the sender has to write a {match.version} signature that way"
        yield Diagnosis(f"the signature is not written as {form}", remedy)
    elif signature.partition(",")[0] != match.signature:
        # https://eshopman-com.pages.dev/insights/hubspot-development/decoding-hubspot-v3-signature-validation-when-spaces-become-plus-signs/
        forms = "'+' to a space, escapes, quotes, padding or case"
        yield Diagnosis(f"the signature header was altered ({forms})", _HEADERS)


def _clock(
    request: RefusedRequest, now_ms: int, just_arrived: bool, *, alone: bool
) -> Iterator[Diagnosis]:
    timestamp = request.first(TIMESTAMP_HEADER)
    if not re.fullmatch("[0-9]{1,19}", timestamp):
        yield Diagnosis("the timestamp is not a whole number", _IN_MS)
        return
    age_ms = now_ms - int(timestamp)
    unit = {10: "seconds", 16: "microseconds", 19: "nanoseconds"}.get(len(timestamp))
    if abs(age_ms) > MAX_AGE_MS and unit:
        yield Diagnosis(f"the timestamp is in {unit}, not in milliseconds", _IN_MS)
    elif abs(age_ms) > MAX_AGE_MS and (just_arrived or alone):
        # https://github.com/JSONbored/loopover/issues/3811
        later = "" if just_arrived else " (judged by the time now: receivedAt says when it arrived)"
        yield Diagnosis(
            f"the timestamp is {abs(age_ms) // 1000} s {'old' if age_ms > 0 else 'in the future'}",
            "if the request was fresh, this machine's clock is wrong: set it by NTP; if not, it was"
            f" sent again later, and is rightly refused{later}",
        )
