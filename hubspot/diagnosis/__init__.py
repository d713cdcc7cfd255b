"""Why a signature does not match: which usual suspect, changed back, makes it match.

Pure, like hubspot/signature.py.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote

from ..signature import (
    MAX_AGE_MS,
    OLD_HEADER,
    OLD_VERSION_HEADER,
    TIMESTAMP_HEADER,
    V3_HEADER,
    Headers,
    Version,
    matches,
    sign_as_is,
)
from . import candidates
from .candidates import BASE, SET_PUBLIC_URL, Change, Variants


class Diagnosis(NamedTuple):
    """One cause in words, and what to do about it."""

    cause: str
    remedy: str


class RefusedRequest(NamedTuple):
    """A request that was refused, as it arrived.

    `uri` is the URL that it was verified for, `others` are URLs that HubSpot may have signed: the
    one that is registered, or the one that a failing request was seen with.
    """

    method: str
    uri: str
    headers: Headers
    body: bytes
    others: tuple[str, ...] = ()


_Variant = tuple[Any, tuple[Change, ...]]


class _Found(NamedTuple):
    """What was signed, and the changes that made of it what arrived."""

    version: Version
    uri: str
    timestamp: str
    changes: Sequence[Change]


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
    """The one cause that fits best, and its remedy.

    `path` is the webhook's path, to tell the base URL by. Not `thorough`, it makes at most some
    hundred signatures of small requests, for use while a caller waits. `just_arrived` says that
    `now_ms` is the time at which the request arrived, rather than a later one. `public_url` is
    PUBLIC_URL, if that is set.
    """
    headers = request.headers
    in_old = headers.get(V3_HEADER) is None and headers.get(OLD_HEADER) is not None
    where = OLD_HEADER if in_old else V3_HEADER
    given = headers.get(where)
    if given is None or not given.strip():
        return Diagnosis(
            "no signature header arrived" if given is None else "the signature header is empty",
            f"if HubSpot sent this, something in front drops {where}: let it pass",
        )
    in_words = partial(_in_words, path=path, public_url=public_url)
    find = partial(_find, request, secrets=secrets, path=path, thorough=thorough)
    found = find(given)
    if found:
        changes = [*_misnamed(found.version, headers), *found.changes]
        if found.version == "v3":
            changes += _off_time(found.timestamp, now_ms, just_arrived, changes)
        if found.version not in versions and (found.version == "v3" or not changes):
            changes.append(_not_accepted(found.version))
        return in_words(changes, found.uri) if changes else _NOTHING
    if spoilt := _spoilt(request, where, given):
        return spoilt
    # HubSpot may send an older signature beside v3: v2 vouches for URL and body, v1 for the body,
    # both for the secret.
    beside = find(headers.get(OLD_HEADER) or "") if where == V3_HEADER else None
    if beside and beside.version in _BESIDE:
        return in_words([*beside.changes, _BESIDE[beside.version]], beside.uri)
    if where == V3_HEADER and not re.fullmatch("[0-9]{13}", headers.get(TIMESTAMP_HEADER) or ""):
        return Diagnosis(
            "the timestamp was rewritten on the way",
            f"HubSpot's has 13 digits: let {TIMESTAMP_HEADER} pass untouched",
        )
    return Diagnosis(
        "wrong secret",
        "HUBSPOT_CLIENT_SECRET is not the secret of the app that signed: copy the client secret"
        " from the app's Auth page (not a pat-… token, not the developer API key); if it is the"
        " right one, the request was forged or changed beyond recognition"
        + ("" if thorough else ": `flask webhook explain` tries more"),
    )


_NOTHING = Diagnosis("nothing: the signature is valid", "look for another cause than the signature")
# What it means that nothing makes the v3 signature match, and an older one beside it does.
_BESIDE = {
    "v2": Change(
        "the timestamp was changed on the way (the v2 signature beside it matches)",
        f"something in front changes {TIMESTAMP_HEADER}: let it pass untouched",
    ),
    "v1": Change(
        "HubSpot signed another URL (the v1 signature beside it, which leaves out the URL,"
        " matches)",
        "compare the URL that this service saw with the registered one (`flask"
        " channel-connection show`), and register one without a query",
    ),
}


def _in_words(
    changes: Sequence[Change], uri: str, *, path: str, public_url: str | None
) -> Diagnosis:
    base = uri.partition("?")[0].rstrip("/").removesuffix(path).rstrip("/")[:200]
    causes = dict.fromkeys(change.cause for change in changes)
    texts = [change.remedy for change in changes]
    if public_url:  # it may well be right for HubSpot, and this request a test of somebody's
        other = (
            f"PUBLIC_URL is {public_url}, and whoever signed called {BASE}: {SET_PUBLIC_URL} only"
            " if HubSpot calls that (`flask channel-connection show`); else correct the sender"
        )
        texts = [other if text.startswith(SET_PUBLIC_URL) else text for text in texts]
    remedies = list(dict.fromkeys(text.replace(BASE, base) for text in texts))
    told = [one for one in remedies if not any(one + " " in other for other in remedies)]
    return Diagnosis(" and ".join(causes), "; ".join(told))


def _misnamed(version: Version, headers: Headers) -> Iterator[Change]:
    """What is wrong with the headers around a signature that matches."""
    named = headers.get(OLD_VERSION_HEADER)
    if headers.get(V3_HEADER) is not None:
        arrived_as = "v3"
    else:
        arrived_as = named if named in ("v1", "v2") else "v2" if version == "v3" else version
    if version != arrived_as:
        old = f"{OLD_HEADER} with {OLD_VERSION_HEADER}: {version}"
        yield Change(
            f"a {version} signature arrived as {arrived_as}",
            "whoever signs or forwards has to send it as "
            + (V3_HEADER if version == "v3" else old),
        )
    elif version != "v3" and headers.get(TIMESTAMP_HEADER):  # which HubSpot sends with v3 alone
        yield Change(
            f"{V3_HEADER} did not arrive, though its timestamp did",
            f"something in front drops {V3_HEADER}: let it pass",
        )
    elif version not in ("v3", named):
        yield Change(
            f"{OLD_VERSION_HEADER} does not name the version",
            f"whoever signs or forwards has to send {OLD_VERSION_HEADER}: {version}",
        )


def _not_accepted(version: Version) -> Change:
    caution = "" if version == "v3" else "; it does not protect against replay"
    return Change(
        f"signed with {version}, which is not accepted",
        f"add {version} to HUBSPOT_SIGNATURE_VERSIONS{caution}",
    )


def _off_time(
    timestamp: str, now_ms: int, just_arrived: bool, others: Sequence[Change]
) -> Iterator[Change]:
    """What is wrong with the time, although the signature matches."""
    in_ms = f"whoever signs has to send {TIMESTAMP_HEADER} in milliseconds since 1970, 13 digits"
    if not re.fullmatch("[0-9]{1,19}", timestamp):
        yield Change("the timestamp is not a whole number", in_ms)
        return
    age_ms = now_ms - int(timestamp)
    if abs(age_ms) <= MAX_AGE_MS:
        return
    if unit := {10: "seconds", 16: "microseconds", 19: "nanoseconds"}.get(len(timestamp)):
        yield Change(f"the timestamp is in {unit}, not in milliseconds", in_ms)
    elif just_arrived or not others:
        caution = " (judged by the time now: receivedAt says when it arrived)"
        yield Change(
            f"the timestamp is {abs(age_ms) // 1000} s {'old' if age_ms > 0 else 'in the future'}",
            "if the request was fresh, this machine's clock is wrong: set it by NTP; else it was"
            " sent again later, and is rightly refused" + ("" if just_arrived else caution),
        )


def _spoilt(request: RefusedRequest, where: str, given: str) -> Diagnosis | None:
    """What can be seen to be wrong with a request whose signature nothing makes match."""
    headers = request.headers
    if not _possible_versions(given):
        return Diagnosis(
            "the signature header does not hold a signature of HubSpot's",
            f"{where} has to hold 44 characters of Base64 (v3) or 64 hexadecimal digits (v2, v1);"
            " if HubSpot sent this, something in front cuts or rewrites it",
        )
    if where == V3_HEADER and not headers.get(TIMESTAMP_HEADER):
        return Diagnosis(
            "the timestamp header is missing",
            f"if HubSpot sent this, something in front drops {TIMESTAMP_HEADER}: let it pass",
        )
    if request.method.upper() != "POST":
        return Diagnosis(
            f"HubSpot sends POST, and {request.method[:20]} arrived",
            "a redirect on the way makes POST another method: register the URL it leads to",
        )
    if not request.body:
        return Diagnosis(
            "the body is missing",
            "HubSpot's requests have one: something in front drops it, or it was not written down",
        )
    length = headers.get("Content-Length") or ""
    if re.fullmatch("[0-9]{1,9}", length) and int(length) != len(request.body):
        return Diagnosis(
            f"the body is not the one that was sent (Content-Length {length}, {len(request.body)}"
            " bytes here)",
            "something in front changes the body, or it was not written down to the byte",
        )
    return None


# How far to search, in bytes to be signed, and as how many of them each signature counts besides.
# Whoever sends the request decides how much there is to be tried.
_LIVE, _THOROUGH = 2**20, 2**28
_SIGNATURE = 2**12


def _find(
    request: RefusedRequest, given: str, *, secrets: Sequence[str], path: str, thorough: bool
) -> _Found | None:
    """The version and the fewest changes with which the signature matches."""
    left = _THOROUGH if thorough else _LIVE
    bare = _bare(_unwrapped(given))
    for version in _possible_versions(given):
        axes = _axes(version, request, secrets, path, thorough)
        for choice in _choices(axes, thorough=thorough):
            body, timestamp, target, host, scheme, secret = (value for value, _ in choice)
            uri = f"{scheme}://{host}{target}"
            left -= _SIGNATURE + len(uri) + len(body)
            if left < 0:
                return None
            expected = sign_as_is(version, secret, request.method, uri, body, timestamp)
            if matches(bare, [_bare(expected)]):
                changes = [change for _, made in reversed(choice) for change in made]
                if "," in given:
                    changes.append(candidates.sent_twice("signature"))
                if given.partition(",")[0] != expected:
                    changes.append(_ALTERED)
                return _Found(version, uri, timestamp, changes)
    return None


_ALTERED = Change(
    "the signature header was altered ('+' to a space, escapes, quotes, padding or case)",
    "something in front treats headers as form data: let it pass them untouched",
)


def _possible_versions(given: str) -> tuple[Version, ...]:
    """A signature's form tells the version: Base64 for v3, hexadecimal for the older ones."""
    given = _unwrapped(given)
    if re.fullmatch("[0-9A-Fa-f]{64}", given):
        return ("v1", "v2")  # v1 leaves out the URL, so there is less to try
    return ("v3",) if re.fullmatch("[A-Za-z0-9+/ _-]{40,44}", given.rstrip("=")) else ()


def _bare(signature: str) -> str:
    """What is left of a signature whatever a header goes through."""
    return re.sub("[^a-z0-9]", "", signature.lower())


def _unwrapped(signature: str) -> str:
    given = unquote(unquote(signature[:500])).partition(",")[0].strip("\"' ")
    return re.sub("^(sha256|v[123])=", "", given)


def _axes(
    version: Version, request: RefusedRequest, secrets: Sequence[str], path: str, thorough: bool
) -> list[Variants[Any]]:
    """What may have been signed: body, timestamp, path with query, host, scheme and secret.

    The longest come first, for of equally many changes those in the last are tried first.
    """
    headers, others = request.headers, request.others
    scheme, host, target = candidates.split(request.uri)
    timestamp = headers.get(TIMESTAMP_HEADER) or ""
    schemes: Variants[str] = {scheme: ()}
    hosts: Variants[str] = {host: ()}
    targets: Variants[str] = {target: ()}
    times: Variants[str] = {timestamp: ()}
    if version != "v1":
        schemes = candidates.schemes(scheme)
        hosts = candidates.hosts(host, headers, others)
        targets = candidates.targets(target, path, headers, others, thorough=thorough)
    if version == "v3":
        targets = candidates.as_v3_signs(targets)
        times = candidates.timestamps(timestamp, thorough=thorough)
    bodies = candidates.bodies(request.body, thorough=thorough)
    return [bodies, times, targets, hosts, schemes, candidates.secrets(secrets)]


def _choices(axes: Sequence[Variants[Any]], *, thorough: bool) -> Iterator[tuple[_Variant, ...]]:
    """Every choice of one variant an axis, those that take the fewest changes first."""
    by_number: list[dict[int, list[_Variant]]] = [{} for _ in axes]
    for groups, axis in zip(by_number, axes, strict=True):
        for variant in axis.items():
            groups.setdefault(len(variant[1]), []).append(variant)
    for numbers in sorted(itertools.product(*by_number), key=sum):
        if numbers[0] and sum(numbers) > 1 and not thorough:
            continue  # a changed body is tried with all else as it is
        yield from itertools.product(*map(dict.__getitem__, by_number, numbers))
