"""Why a signature does not match: which usual suspect, changed back, makes it match.

Pure, like hubspot/signature.py.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from . import suspects
from .signature import (
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
from .suspects import BASE, Change, Variants


class Diagnosis(NamedTuple):
    """One cause in words, and what to do about it."""

    cause: str
    remedy: str


class Refused(NamedTuple):
    """A request that was refused, as it arrived.

    `uri` is the URL that it was verified for, `others` are URLs that HubSpot may have signed: the
    one that is registered, or the one that a failing request was seen with.
    """

    method: str
    uri: str
    headers: Headers
    body: bytes
    others: tuple[str, ...] = ()


class _Limit(NamedTuple):
    """How far to search. Whoever sends the request decides what there is to be tried."""

    changes: int
    signatures: int
    signed_bytes: int


_LIVE = _Limit(3, 400, 2**20)
_THOROUGH = _Limit(4, 150_000, 2**29)


class _Found(NamedTuple):
    version: Version
    uri: str
    changes: tuple[Change, ...]


def diagnose(
    request: Refused,
    *,
    secrets: Sequence[str],
    path: str,
    now_ms: int,
    versions: Iterable[Version] = ("v3",),
    thorough: bool = True,
    just_arrived: bool = True,
) -> Diagnosis:
    """The one cause that fits best, and its remedy.

    `path` is the webhook's path, to tell the base URL by. Not `thorough`, it makes at most some
    hundred signatures of small requests, for use while a caller waits. `just_arrived` says that
    `now_ms` is the time at which the request arrived, rather than a later one.
    """
    headers = request.headers
    in_v3 = headers.get(V3_HEADER)
    given = in_v3 if in_v3 is not None else headers.get(OLD_HEADER)
    where = V3_HEADER if in_v3 is not None or given is None else OLD_HEADER
    if given is None or not given.strip():
        return Diagnosis(
            "no signature header arrived" if given is None else "the signature header is empty",
            f"if HubSpot sent this, something in front drops {where}: let it pass",
        )
    found = _find(request, given, secrets, path, thorough)
    if found is None:
        return _unfound(request, given, secrets, path, thorough)
    version, changes = found.version, [*found.changes]
    moved = bool(suspects.versions(version, headers)[version])
    if version == "v3":
        changes += _off_time(headers.get(TIMESTAMP_HEADER) or "", now_ms, just_arrived, changes)
    elif where == OLD_HEADER and not moved:
        changes += _unnamed(version, headers)
    if version not in versions and not moved and (version == "v3" or not changes):
        changes.append(_not_accepted(version))
    return _in_words(changes, found.uri, path) if changes else _NOTHING


_NOTHING = Diagnosis("nothing: the signature is valid", "look for another cause than the signature")


def _in_words(changes: Sequence[Change], uri: str, path: str) -> Diagnosis:
    base = uri.partition("?")[0].rstrip("/").removesuffix(path).rstrip("/")[:200]
    causes = dict.fromkeys(change.cause for change in changes)
    remedies = list(dict.fromkeys(change.remedy.replace(BASE, base) for change in changes))
    told = [one for one in remedies if not any(one + " " in other for other in remedies)]
    return Diagnosis(" and ".join(causes), "; ".join(told))


def _off_time(
    timestamp: str, now_ms: int, just_arrived: bool, others: Sequence[Change]
) -> Iterator[Change]:
    """What is wrong with the time, although the signature matches."""
    if any("timestamp" in change.cause for change in others):
        return
    if not re.fullmatch("[0-9]{1,19}", timestamp):
        yield Change(
            "the timestamp is not a whole number",
            f"whoever signs has to send {TIMESTAMP_HEADER} in milliseconds since 1970, 13 digits",
        )
        return
    age_ms = now_ms - int(timestamp)
    if abs(age_ms) <= MAX_AGE_MS:
        return
    for unit, factor in (("seconds", 1000), ("microseconds", 1e-3), ("nanoseconds", 1e-6)):
        if 0.5 < int(timestamp) * factor / max(now_ms, 1) < 2:
            yield Change(
                f"the timestamp is in {unit}, not in milliseconds",
                f"whoever signs has to send {TIMESTAMP_HEADER} in milliseconds since 1970, 13"
                " digits",
            )
            return
    if not just_arrived and others:
        return
    yield Change(
        f"the timestamp is {abs(age_ms) // 1000} s {'old' if age_ms > 0 else 'in the future'}",
        "if the request was fresh, this machine's clock is wrong: set it by NTP; else it was sent"
        " again later, and is rightly refused"
        + ("" if just_arrived else " (judged by the time now: receivedAt says when it arrived)"),
    )


def _unnamed(version: Version, headers: Headers) -> Iterator[Change]:
    """What is wrong with the headers around an older signature that matches."""
    if headers.get(TIMESTAMP_HEADER):  # which HubSpot sends with v3 alone
        yield Change(
            f"{V3_HEADER} did not arrive, though its timestamp did",
            f"something in front drops {V3_HEADER}: let it pass",
        )
    elif headers.get(OLD_VERSION_HEADER) != version:
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


def _unfound(
    request: Refused, given: str, secrets: Sequence[str], path: str, thorough: bool
) -> Diagnosis:
    """What can be said of a signature that nothing makes match."""
    headers, in_v3 = request.headers, request.headers.get(V3_HEADER) is not None
    where, timestamp = V3_HEADER if in_v3 else OLD_HEADER, headers.get(TIMESTAMP_HEADER)
    if not _possible_versions(given):
        return Diagnosis(
            "the signature header does not hold a signature of HubSpot's",
            f"{where} has to hold 44 characters of Base64 (v3) or 64 hexadecimal digits (v2, v1);"
            " if HubSpot sent this, something in front cuts or rewrites it",
        )
    if in_v3 and not timestamp:
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
    if in_v3 and (beside := _by_the_older(request, secrets, path, thorough)):
        return beside
    if timestamp and not re.fullmatch("[0-9]{13}", timestamp) and in_v3:
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


def _by_the_older(
    request: Refused, secrets: Sequence[str], path: str, thorough: bool
) -> Diagnosis | None:
    """What the signature tells that HubSpot sends beside v3: v2 vouches for URL and body, v1 for
    the body, both for the secret."""
    given = request.headers.get(OLD_HEADER) or ""
    found = _find(request, given, secrets, path, thorough) if given else None
    if found is None or found.version == "v3":
        return None
    misplaced = suspects.versions(found.version, request.headers)[found.version]
    changes = [change for change in found.changes if change not in misplaced]
    if found.version == "v2":
        last = Change(
            "the timestamp was changed on the way (the v2 signature beside it matches)",
            f"something in front changes {TIMESTAMP_HEADER}: let it pass untouched",
        )
    else:
        last = Change(
            "HubSpot signed another URL (the v1 signature beside it, which leaves out the URL,"
            " matches)",
            "compare the URL that this service saw with the registered one (`flask"
            " channel-connection show`), and register one without a query",
        )
    return _in_words([*changes, last], found.uri, path)


def _find(
    request: Refused, given: str, secrets: Sequence[str], path: str, thorough: bool
) -> _Found | None:
    """The version and the fewest changes with which the signature matches."""
    limit = _THOROUGH if thorough else _LIVE
    signatures_left, bytes_left = limit.signatures, limit.signed_bytes
    plans = [
        plan
        for version in _possible_versions(given)
        for plan in _plans(version, request, secrets, path, thorough)
    ]
    core = _bare(_unwrapped(given))
    for count, plan in itertools.product(range(limit.changes + 1), plans):
        for (version, secret, origin, target, body, timestamp), changes in _choices(plan, count):
            signatures_left -= 1
            bytes_left -= len(body) + len(target)
            if signatures_left < 0 or bytes_left < 0:
                return None
            uri = origin + target
            expected = sign_as_is(version, secret, request.method, uri, body, timestamp)
            if matches(given, [expected]):
                return _Found(version, uri, changes)
            if matches(core, [_bare(expected)]):
                return _Found(version, uri, (*changes, _ALTERED))
    return None


_ALTERED = Change(
    "the signature header was altered ('+' to a space, escapes, quotes, padding or case)",
    "something in front treats headers as form data: let it pass them untouched",
)


def _possible_versions(given: str) -> tuple[Version, ...]:
    """A signature's form tells the version: Base64 for v3, hexadecimal for the older ones."""
    given = _unwrapped(given)
    if re.fullmatch("[0-9A-Fa-f]{64}", given):
        return ("v2", "v1")
    return ("v3",) if re.fullmatch("[A-Za-z0-9+/ _-]{40,44}", given.rstrip("=")) else ()


def _bare(signature: str) -> str:
    """What is left of a signature whatever a header goes through."""
    return re.sub("[^a-z0-9]", "", signature.lower())


def _unwrapped(signature: str) -> str:
    given = unquote(unquote(signature[:500])).partition(",")[0].strip("\"' ")
    return re.sub("^(sha256|v[123])=", "", given)


_Axis = list[tuple[Any, tuple[Change, ...]]]


def _plans(
    version: Version, request: Refused, secrets: Sequence[str], path: str, thorough: bool
) -> list[list[_Axis]]:
    """What may vary in what this version signs, part by part; one plan after the other."""
    headers, others = request.headers, request.others
    origins: Variants[str] = {"": ()}
    targets: Variants[str] = {"": ()}
    times: Variants[str] = {"": ()}
    if version != "v1":
        target = suspects.split(request.uri)[2]
        origins = suspects.origins(request.uri, headers, others, thorough=thorough)
        targets = suspects.targets(target, path, headers, others, thorough=thorough)
    if version == "v3":
        targets = suspects.as_v3_signs(targets)
        times = suspects.timestamps(headers.get(TIMESTAMP_HEADER) or "", thorough=thorough)
    fixed: list[Variants[Any]] = [suspects.versions(version, headers), suspects.secrets(secrets)]
    body: Variants[bytes] = {request.body: ()}
    bodies = suspects.bodies(request.body, thorough=thorough)
    if thorough:
        plans = [[*fixed, origins, targets, bodies, times]]
    else:  # a body is only tried with all else as it is
        plans = [
            [*fixed, origins, targets, body, times],
            [*fixed, *map(_unchanged, (origins, targets)), bodies, _unchanged(times)],
        ]
    return [[list(axis.items()) for axis in plan] for plan in plans]


def _unchanged(variants: Variants[str]) -> Variants[str]:
    return {value: changes for value, changes in variants.items() if not changes}


def _choices(
    axes: Sequence[_Axis], count: int
) -> Iterator[tuple[tuple[Any, ...], tuple[Change, ...]]]:
    """Every choice of one variant an axis that makes so many changes in all."""
    if not axes:
        if not count:
            yield (), ()
        return
    for value, changes in axes[0]:
        if len(changes) <= count:
            for values, more in _choices(axes[1:], count - len(changes)):
                yield (value, *values), (*changes, *more)
