"""What `flask webhook explain` reads: a request as it arrived, or log lines that tell of some."""

import json
import re
from contextlib import suppress
from typing import Any

import click
import msgspec

from hubspot.diagnosis.candidates import split


class FailedRequest(msgspec.Struct, rename="camel"):
    """A request as it arrived, and its headers' `get`, whatever their case."""

    url: str
    headers: dict[str, str | int | float | list[str]]
    body: str
    method: str = "POST"
    received_at: int | None = None

    def get(self, name: str, /) -> str | None:
        """Join the values of a header as HTTP does; None if there is none."""
        values = [value for key, value in self.headers.items() if key.lower() == name.lower()]
        texts = (",".join(value) if isinstance(value, list) else str(value) for value in values)
        return ",".join(texts) if values else None

    def verified_for(self, public_url: str | None, trusted_proxies: int) -> str:
        """Tell the URL that a service with these settings verifies it for."""
        public = (public_url or "").rstrip("/")
        if public and (self.url + "/").startswith(public + "/"):
            return self.url
        scheme, host, target = split(self.url)
        target = target if scheme else "/" + target.removeprefix("/")
        if public:
            return public + target
        told = (self.get("X-Forwarded-Proto") or "").split(",")
        if not scheme and 0 < trusted_proxies <= len(told):
            scheme = told[-trusted_proxies].strip()
        return f"{scheme or 'http'}://{host or self.get('Host') or ''}{target}"


def read_failed_request(content: bytes) -> FailedRequest:
    """Read the request.

    Raises:
        ClickException: it is not one; the message says what is wrong and what it has to be.
    """
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"), type=FailedRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "It has to be a JSON object with method, url, headers and body."
        if "$.body" in str(error):
            hint = "The body has to be a string, the exact text that arrived: every byte is signed."
        elif b'"event"' in content and b'"status"' in content:
            hint = "For this service's log lines there is --from-log."
        elif not content.strip():
            hint = "It is empty. " + hint
        raise click.ClickException(f"not a failed request: {error}\n{hint}") from None


def read_log(content: bytes) -> list[dict[str, Any]]:
    """Collect each cause of a 401 in the log: remedy, URL, how often, and when last."""
    times: dict[tuple[str, ...], list[Any]] = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        record = _object_in(line)
        for name in ("log", "MESSAGE"):  # what Docker and journald put our line into
            record = _object_in(str(record[name])) if name in record else record
        if record.get("status") == 401 and "cause" in record:
            told = tuple(str(record.get(name, "")) for name in ("cause", "remedy", "url"))
            times.setdefault(told, []).append(record.get("time"))
    return [
        {"cause": cause, "remedy": remedy, "url": url, "count": len(seen), "last": seen[-1]}
        for (cause, remedy, url), seen in times.items()
    ]


def _object_in(line: str) -> dict[str, Any]:
    """Find the JSON object in a line, whatever a platform has put before it; empty without one."""
    for brace in list(re.finditer("{", line))[:20]:
        with suppress(ValueError, RecursionError):
            return dict(json.JSONDecoder().raw_decode(line, brace.start())[0])
    return {}
