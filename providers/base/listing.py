"""One walk through the pages of an account, and what a carrier's statuses mean."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from .errors import RateLimited, Refused, Unreachable, Unreadable
from .paging import Request
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


Authorise = Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]]
"""As `HTTPProvider.authorise`."""


class Listing:
    """One walk through the pages of one account, under one deadline, on one host."""

    def __init__(
        self,
        base_url: str,
        query: Query,
        retry_after: tuple[str, ...] = ("Retry-After",),
        explain: Callable[[Answer], str] = lambda _: "",
        authorise: Authorise = lambda method, url, headers, body: headers,
    ) -> None:
        self.query = query
        self._base_url = base_url.rstrip("/") + "/"
        self._retry_after, self._explain, self._authorise = retry_after, explain, authorise
        self._seen: set[tuple[str, bytes | None]] = set()
        self._origin = _origin(self._base_url)
        if not self._origin:
            raise Refused("base_url cannot be sent")

    def ask(self, request: Request, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a page, given as a whole URL, a path on the host, or a path below the base URL.

        Raises:
            Unreachable, RateLimited, Refused: as providers/base/errors.py says.
            Unreadable: the URL is on another host, or was asked for before with the same method and
                body (what leads to the next page leads astray), the answer is a redirect, or it is
                too large.
        """
        target, body = self._asked(request)
        kind = {} if body is None else {"Content-Type": "application/json"}
        return self._send(target, {**kind, **(headers or {})}, body)

    def has_asked(self, request: Request) -> bool:
        """Return whether `ask` has had an answer to this before."""
        return self._asked(request) in self._seen

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """POST a form to a URL as `ask` takes it, on the same host; fails as `ask` does."""
        target, _ = self._asked(Request(url))
        return self._send(target, headers, urlencode(form).encode())

    def _asked(self, request: Request) -> tuple[str, bytes | None]:
        """What is asked: path and query, and the body of a POST."""
        target = _target(self._base_url, request.path)
        if given := _given(request.params):
            target += ("&" if "?" in target else "?") + urlencode(given)
        if request.body is None:
            return target, None
        return target, msgspec.json.encode(_given(request.body))

    def _send(self, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        from .transport import send  # not above: who asks nobody does without libcurl's 10 ms

        if (target, body) in self._seen:
            raise Unreadable("the next page's link was followed before")
        deadline = self.query.deadline
        answer = Answer(*send(self._origin, target, headers, deadline, body, self._authorise))
        _check(answer, self._retry_after, self._explain)
        self._seen.add((target, body))
        if answer.body.count(b",") + answer.body.count(b"<") > MAX_PARTS:
            raise Unreadable(f"the answer has more than {MAX_PARTS:,} values")
        return answer


def _given(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


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


def _check(answer: Answer, retry_after: tuple[str, ...], explain: Callable[[Answer], str]) -> None:
    """Raise what the status says, with the carrier's own error code if there is one."""
    status = answer.status
    if 200 <= status < 300:
        return
    message = f"answered {status}{explain(answer)}"
    if status == 429:
        raise RateLimited(message, _retry_after_s(answer, retry_after))
    if status >= 500 or status in (408, 423):  # Webex locks what is busy
        raise Unreachable(message)
    if status >= 400:
        raise Refused(message, status)
    raise Unreadable(f"{message}, and redirects are not followed")


_CODE = re.compile(r"[A-Za-z_.:-]{0,40}\d{0,6}")
_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""What codes and ids look like that may be shown: no words, and no number that may be a phone's."""

MAX_ERROR_BYTES = 64 * 1024
"""Of an error's body, beyond which no code is looked for."""


def carriers_words(
    answer: Answer, code_at: tuple[str, ...], id_at: str, secrets: Sequence[str]
) -> str:
    """Return ` with code 20003`, `, request 1b9c…`, both or nothing, as an error has them.

    The places are as `HTTPProvider.error_code_at` says. Never what may hold one of the secrets.
    """
    body = answer.body
    if len(body) > MAX_ERROR_BYTES:
        return ""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = dict(re.findall(r"<(\w+)>\s*([^<>\s]{1,64})\s*</\1>", body.decode("latin-1")))

    def at(place: str) -> str:
        header = (answer.header(place[:-1]) or "") if place.endswith(":") else ""
        return header.partition(":")[0] or _at(error, place)  # AWS may add `:` and a URL

    code = next((code for code in map(at, code_at) if code and _CODE.fullmatch(code)), "")
    id_ = at(id_at) if id_at else ""
    hidden = [s for s in secrets if s and (s in code or (len(code) > 6 and code in s))]
    shown = f" with code {code}" if code and not hidden else ""
    return shown + (f", request {id_}" if _ID.fullmatch(id_) and id_ not in secrets else "")


def _at(value: Any, place: str) -> str:
    """The text or whole number at a dotted place; empty if there is none."""
    for key in place.split("."):
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


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
