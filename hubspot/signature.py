"""Did HubSpot send this? Signatures v3, v2 and v1.

Pure: bytes, texts and the time go in. The rules, and which are HubSpot's and which ours:
https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
(read November 2026). A timestamp from the future is refused as well, which is stricter than
HubSpot's own clients.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Literal, Protocol

from .errors import InvalidSignature

Version = Literal["v3", "v2", "v1"]


class Headers(Protocol):
    """A request's headers, by name, whatever its case."""

    def get(self, name: str, /) -> str | None:
        """Return the header's value, or None if there is no such header."""


V3_HEADER = "X-HubSpot-Signature-v3"
TIMESTAMP_HEADER = "X-HubSpot-Request-Timestamp"
OLD_HEADER = "X-HubSpot-Signature"
OLD_VERSION_HEADER = "X-HubSpot-Signature-Version"

MAX_AGE_MS = 5 * 60 * 1000
"""A v3 timestamp may be this far from now, either way; exactly this far is still good."""

# HubSpot's table of escapes to decode in a v3 URI; all other escapes stay.
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$",
    "%27": "'", "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
_ESCAPES = re.compile("|".join(_DECODED), re.IGNORECASE)


def decode_uri(uri: str) -> str:
    """Return the URI as v3 signs it: the twelve escapes of HubSpot's table decoded, once.

    >>> decode_uri("https://x.example/hook?to=%3a%2F%20")
    'https://x.example/hook?to=:/%20'
    """
    return _ESCAPES.sub(lambda escape: _DECODED[escape[0].upper()], uri)


def sign(
    version: Version, secret: str | bytes, method: str, uri: str, body: bytes, timestamp: str = ""
) -> str:
    """Return the signature that HubSpot puts on a request.

    `uri` is the whole URL as called. `timestamp`, for v3 alone, is the header's exact text.
    """
    return encode(version, digest(version, secret, method, uri, body, timestamp))


def encode(version: Version, digest: bytes) -> str:
    """Write a digest as its version's signature: Base64 for v3, lower-case hex for v2 and v1."""
    return base64.b64encode(digest).decode() if version == "v3" else digest.hex()


def digest(
    version: Version, secret: str | bytes, method: str, uri: str, body: bytes, timestamp: str
) -> bytes:
    """Return the 32 bytes that the signature writes as text."""
    key = secret if isinstance(secret, bytes) else _bytes(secret)
    if version == "v1":
        return hashlib.sha256(key + body).digest()
    if version == "v2":
        return hashlib.sha256(key + _bytes(method + uri) + body).digest()
    source = _bytes(method + decode_uri(uri)) + body + _bytes(timestamp)
    return hmac.digest(key, source, "sha256")


def derived_key(secret: str, purpose: str) -> bytes:
    """Return a key for a purpose of our own, which tells nothing about the secret."""
    return hmac.digest(_bytes(secret), _bytes(purpose), "sha256")


def signed_headers(
    version: Version, secret: str, method: str, uri: str, body: bytes, now_ms: int
) -> dict[str, str]:
    """Return the headers that HubSpot would send with this request."""
    timestamp = str(now_ms)
    signature = sign(version, secret, method, uri, body, timestamp)
    if version == "v3":
        return {V3_HEADER: signature, TIMESTAMP_HEADER: timestamp}
    return {OLD_HEADER: signature, OLD_VERSION_HEADER: version}


def verify(
    headers: Headers,
    *,
    secrets: Iterable[str | bytes],
    method: str,
    uri: str,
    body: bytes,
    now_ms: int,
    versions: Iterable[Version] = ("v3",),
) -> Version:
    """Verify that the request is HubSpot's; return the version by which it is proven.

    `uri` is the URL as HubSpot called it: outside scheme and host, raw path and query. A request
    that carries a v3 signature is judged by v3 alone.

    Raises:
        InvalidSignature: it is not proven; `reason` says why.
    """
    signature = headers.get(V3_HEADER)
    timestamp = headers.get(TIMESTAMP_HEADER) or ""
    version: Version = "v3"
    if signature is None:
        signature = headers.get(OLD_HEADER)
        if signature is None:
            raise InvalidSignature("no signature header")
        old_version = headers.get(OLD_VERSION_HEADER)
        if old_version not in ("v1", "v2"):
            raise InvalidSignature(f"{OLD_VERSION_HEADER} names neither v1 nor v2")
        version = "v1" if old_version == "v1" else "v2"
    if version not in versions:
        raise InvalidSignature(
            f"signed with {version}, which HUBSPOT_SIGNATURE_VERSIONS does not accept"
        )
    if version == "v3":
        _check_age(timestamp, now_ms)
    expected = [sign(version, secret, method, uri, body, timestamp) for secret in secrets]
    if not matches(signature, expected):
        raise InvalidSignature("signature does not match")
    return version


def _check_age(timestamp: str, now_ms: int) -> None:
    """Raise unless the header's text is a time in milliseconds within MAX_AGE_MS of now."""
    if not re.fullmatch(r"[0-9]{1,19}", timestamp):
        raise InvalidSignature(f"{TIMESTAMP_HEADER} is missing or not a time in milliseconds")
    age_ms = now_ms - int(timestamp)
    if abs(age_ms) > MAX_AGE_MS:
        where = "old" if age_ms > 0 else "in the future"
        raise InvalidSignature(
            f"timestamp {abs(age_ms) // 1000} s {where}, more than 5 minutes: a replay, or this"
            " machine's clock is wrong"
        )


def matches(signature: str, expected: Iterable[str]) -> bool:
    """Return whether one of them is equal, in a time that tells nothing about how far or which."""
    equal = [hmac.compare_digest(_bytes(signature), _bytes(other)) for other in expected]
    return any(equal)


def _bytes(text: str) -> bytes:
    """Encode as UTF-8, and never fail: what is not text is no signature either."""
    return text.encode("utf-8", "surrogatepass")
