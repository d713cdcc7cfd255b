"""Signatures over a request as it is sent, for an adapter's `authorise`: AWS's and Azure's."""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import reduce
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from .errors import Refused

_UNRESERVED = "-_.~"


class AWSKey(NamedTuple):
    """An access key, and what its signature is good for. `token` belongs to temporary ones."""

    id: str
    secret: str
    region: str
    service: str
    token: str | None = None


def signed_for_aws(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    key: AWSKey,
    now: datetime | None = None,
) -> dict[str, str]:
    """Return the headers with those of AWS's Signature Version 4, which covers all of them, the
    method, the URL and the body, and is good for some minutes from `now` on.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    at = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    more = {"X-Amz-Security-Token": key.token} if key.token else {}
    sent = {**headers, "X-Amz-Date": at, **more}
    parts = urlsplit(url)
    signed = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    signed["host"] = parts.netloc
    names = ";".join(sorted(signed))
    query = sorted(
        (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    request = (
        method,
        quote(parts.path or "/", safe=f"/{_UNRESERVED}"),  # once more: only S3 has it otherwise
        "&".join(f"{name}={value}" for name, value in query),
        *(f"{name}:{signed[name]}" for name in sorted(signed)),
        "",
        names,
        sha256(body).hexdigest(),
    )
    scope = at[:8], key.region, key.service, "aws4_request"
    hashed = sha256("\n".join(request).encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", at, "/".join(scope), hashed))
    derived = reduce(_hmac, scope, f"AWS4{key.secret}".encode())
    sent["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={'/'.join((key.id, *scope))}, SignedHeaders={names}, "
        f"Signature={_hmac(derived, text).hex()}"
    )
    return sent


def signed_for_azure(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    key: str,
    now: datetime | None = None,
) -> dict[str, str]:
    """Return the headers with those of Azure's HMAC, which covers the method, the URL, the body and
    the time, `now`. `key` is in Base64, as the portal shows it.

    Raises:
        Refused: the key is not Base64.

    https://learn.microsoft.com/rest/api/communication/authentication
    """
    try:
        decoded = b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("the access key is not Base64") from None
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    date = (now or datetime.now(UTC)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    hashed = b64encode(sha256(body).digest()).decode()
    signature = _hmac(decoded, f"{method}\n{target}\n{date};{parts.netloc};{hashed}")
    return {
        **headers,
        "x-ms-date": date,
        "x-ms-content-sha256": hashed,
        "Authorization": "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256"
        f"&Signature={b64encode(signature).decode()}",
    }


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
