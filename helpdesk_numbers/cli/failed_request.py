"""What `flask webhook explain` reads: a request as it arrived, or log lines that tell of some."""

import ast
import json
import re
from collections.abc import Iterator
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
        """The header of that name; several of one name as HTTP joins them."""
        values: list[str] = []
        for key, value in self.headers.items():
            if key.lower() == name.lower():
                values += value if isinstance(value, list) else [str(value)]
        return ",".join(values) if values else None

    def verified_for(self, public_url: str | None, trusted_proxies: int) -> str:
        """The URL that a service with these settings verifies it for."""
        public = (public_url or "").rstrip("/")
        if public and (self.url + "/").startswith(public + "/"):
            return self.url
        scheme, host, target = split(self.url)
        if not scheme:
            target = "/" + target.removeprefix("/")
        if public:
            return public + target
        if not scheme:
            said = (self.get("X-Forwarded-Proto") or "").split(",")
            trusted = trusted_proxies and len(said) >= trusted_proxies
            scheme = (said[-trusted_proxies].strip() if trusted else "") or "http"
        return f"{scheme}://{host or self.get('Host') or ''}{target}"


def read_failed_request(content: bytes) -> FailedRequest:
    """The request.

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
    """Each cause of a 401 in the log: remedy, URL, how often, and when last."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in _records(content.decode("utf-8", "replace")):
        if str(record.get("status")) != "401" or "cause" not in record:
            continue
        said = {name: str(record.get(name, "")) for name in ("cause", "remedy", "url")}
        one = found.setdefault(tuple(said.values()), {**said, "count": 0})
        one["count"] += 1
        one["last"] = record.get("time")
    return list(found.values())


def _records(text: str) -> Iterator[dict[str, Any]]:
    """Our own lines, whatever a platform has put before them or around them."""
    try:
        yield from _inside(json.loads(text))
    except (ValueError, RecursionError):
        for line in text.split("\n"):
            yield from _in_line(line)


def _in_line(line: str) -> Iterator[dict[str, Any]]:
    for brace in list(re.finditer("{", line))[:20]:
        try:
            value, _ = json.JSONDecoder().raw_decode(line, brace.start())
        except (ValueError, RecursionError):
            continue
        yield from _inside(value)
        return
    if " request " in line:  # LOG_FORMAT=text
        yield {
            name: _unquoted(value)
            for name, value in re.findall(
                r"""\b(\w+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)""", line
            )
        }


def _unquoted(value: str) -> str:
    try:
        return str(ast.literal_eval(value)) if value[0] in "'\"" else value
    except (ValueError, SyntaxError):
        return value


def _inside(value: Any, depth: int = 4) -> Iterator[dict[str, Any]]:
    """The records in what a log collector wraps them in: objects, lists, and JSON in texts."""
    if isinstance(value, dict) and "event" in value and "status" in value:
        yield value
    elif isinstance(value, dict | list) and depth:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _inside(inner, depth - 1)
    elif isinstance(value, str) and "{" in value and depth:
        yield from _in_line(value)
