"""One walk through the pages of an account, and what a carrier's statuses mean."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from .errors import RateLimited, Refused, Unreachable, Unreadable
from .provider import Query

_HOST = re.compile(r"[a-z0-9_][a-z0-9_.-]*|[0-9a-f.]*:[0-9a-f:.]+")
"""A host's name or address that is read in one way only."""


MAX_PARTS = 250_000
"""Commas of JSON or tags of XML in one page: each may become an object of a hundred bytes, and
eight megabytes of `{},` two hundred. A page of Twilio's has 40,000."""


class Answer(NamedTuple):
    """A carrier's answer: `head` has its header lines as they came."""

    status: int
    head: list[bytes]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the header's value, several of the name joined by commas, or None."""
        start = f"{name}:".lower()
        lines = (line.decode("latin-1") for line in self.head)
        values = [line[len(start) :].strip() for line in lines if line.lower().startswith(start)]
        return ", ".join(values) if values else None


class Listing:
    """One walk through the pages of one account, under one deadline, on one host."""

    def __init__(
        self, base_url: str, query: Query, retry_after: tuple[str, ...] = ("Retry-After",)
    ) -> None:
        self.query = query
        self._base_url = base_url.rstrip("/") + "/"
        self._retry_after = retry_after
        self._seen: set[str] = set()
        self._origin = _origin(self._base_url)
        if not self._origin:
            raise Refused("base_url cannot be sent")

    def get(
        self,
        url: str,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET a page, given as a whole URL, a path on the host, or a path below the base URL.

        Parameters that are None are left out.

        Raises:
            Unreachable, RateLimited, Refused: as providers/base/errors.py says.
            Unreadable: the URL is on another host or was asked for before (a next link that leads
                astray), the answer is a redirect, or it is too large.
        """
        target = _target(self._base_url, url)
        if given := {name: value for name, value in (params or {}).items() if value is not None}:
            target += ("&" if "?" in target else "?") + urlencode(given)
        if target in self._seen:
            raise Unreadable("the next page's link was followed before")
        answer = self._send(target, headers or {})
        self._seen.add(target)
        return answer

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """POST a form to a URL as `get` takes it; fails as `get` does."""
        return self._send(_target(self._base_url, url), headers, form)

    def _send(
        self, target: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> Answer:
        from .transport import send  # not above: who asks nobody does without libcurl's 10 ms

        answer = Answer(*send(self._origin, target, headers, self.query.deadline, form))
        _check(answer, self._retry_after)
        if answer.body.count(b",") + answer.body.count(b"<") > MAX_PARTS:
            raise Unreadable(f"the answer has more than {MAX_PARTS:,} values")
        return answer


@lru_cache(maxsize=1024)
def _target(base_url: str, url: str) -> str:
    """The URL's path and query, by which no other host than the base URL's can be meant."""
    joined = urljoin(base_url, url)
    if not joined.startswith(base_url) and _origin(joined) != _origin(base_url):
        raise Unreadable("the next page's link names another host")
    parts = urlsplit(joined)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(target, safe="!#$%&'()*+,/:;=?@[]~")  # as requests does


@lru_cache(maxsize=1024)
def _origin(url: str) -> str:
    """Scheme, host and port in the one way that we write them; empty where in doubt."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not _HOST.fullmatch(host):
        return ""
    at = f"{parts.scheme}://" + (f"[{host}]" if ":" in host else host)
    return at if port in (None, {"http": 80, "https": 443}[parts.scheme]) else f"{at}:{port}"


def _check(answer: Answer, retry_after: tuple[str, ...]) -> None:
    """Raise what the status says, with the carrier's own error code if there is one."""
    status = answer.status
    if 200 <= status < 300:
        return
    message = f"answered {status}{_code(answer.body)}"
    if status == 429:
        raise RateLimited(message, _retry_after_s(answer, retry_after))
    if status >= 500 or status == 408:
        raise Unreachable(message)
    if status >= 400:
        raise Refused(message, status)
    raise Unreadable(f"{message}, and redirects are not followed")


class _ErrorBody(msgspec.Struct):
    code: int | str = ""


def _code(body: bytes) -> str:
    try:
        code = str(msgspec.json.decode(body, type=_ErrorBody).code)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f" with code {code}" if re.fullmatch(r"[A-Za-z_.-]{0,32}\d{0,6}", code) and code else ""


def _retry_after_s(answer: Answer, names: tuple[str, ...]) -> float | None:
    """Seconds to wait, by the first of the headers that can be read."""
    waits = (_wait_s(answer.header(name) or "") for name in names)
    return next((wait_s for wait_s in waits if wait_s is not None), None)


def _wait_s(text: str) -> float | None:
    """From seconds, UNIX time or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after

    Aircall sends a UNIX time, Zoom an ISO date where the standard has seconds.
    """
    if re.fullmatch(r"\d{1,12}(\.\d*)?", text):
        return float(text) - (time.time() if float(text) >= 1e9 else 0)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, OverflowError):
            at = read(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time.time()
    return None
