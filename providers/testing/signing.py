"""Whether a request came as it was signed, as AWS and Azure find out: from what came alone."""

import base64
import hashlib
import hmac
import re

from .carrier import Asked


def signed_for_aws(asked: Asked, key_id: str, secret: str, region: str, service: str) -> bool:
    """Whether the request has a Signature Version 4 of that key, region and service, over the time,
    the host and, of a POST, the body's type."""
    pattern = r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})"
    found = re.fullmatch(pattern, asked.headers["Authorization"] or "")
    if not found:
        return False
    credential, names, signature = found.groups()
    at = asked.headers["X-Amz-Date"] or ""
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    wanted = {"host", "x-amz-date"} | ({"content-type"} if asked.method == "POST" else set())
    listed = names.split(";")
    if credential != f"{key_id}/{scope}" or not wanted <= set(listed) or listed != sorted(listed):
        return False
    path, _, query = asked.target.partition("?")
    lines = [asked.method, path.replace("%", "%25"), "&".join(sorted(query.split("&")))]
    lines += [f"{name}:{(asked.headers[name] or '').strip()}" for name in listed]
    lines += ["", names, hashlib.sha256(asked.body).hexdigest()]
    request = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{request}"
    return hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), signature)


def signed_for_azure(asked: Asked, key: str) -> bool:
    """Whether the request has Azure's HMAC of that access key."""
    hashed = base64.b64encode(hashlib.sha256(asked.body).digest()).decode()
    covered = ";".join((asked.headers["x-ms-date"] or "", asked.headers["Host"] or "", hashed))
    text = f"{asked.method}\n{asked.target}\n{covered}"
    mac = hmac.new(base64.b64decode(key), text.encode(), "sha256").digest()
    names = "x-ms-date;host;x-ms-content-sha256"
    wanted = f"HMAC-SHA256 SignedHeaders={names}&Signature={base64.b64encode(mac).decode()}"
    told = asked.headers["x-ms-content-sha256"] == hashed
    return told and hmac.compare_digest(asked.headers["Authorization"] or "", wanted)
