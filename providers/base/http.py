"""HTTP to carriers: one pooled session for a worker's accounts, and every failure in our words.

A `Listing` is one walk through an account's pages. It keeps the lookup's deadline even against a
server that drips, stays on the configured host, stops on a repeated page, caps the answer's size
and turns every failure into a ProviderError. `HTTPProvider` is the base of adapters that need no
more than constants and pure readers.
"""

import io
import math
import os
import random
import re
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from threading import Condition
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import requests
from cachetools import cached
from msgspec import Meta
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NameResolutionError, ProtocolError
from urllib3.util import parse_url

from .errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from .options import URL
from .provider import ANYBODY, PhoneNumber, Provider, Query

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""For one page, decompressed. Twilio's largest, 1,000 numbers, has 1.5 MB."""

POOL_SIZE = 64
"""Connections kept to one host; more are opened when needed and closed after use."""

HOSTS = 1_000
"""Hosts to which connections are kept. Some carriers have one for each customer."""

SECOND_TRY_S = (0.02, 0.1)
"""How long a second try waits, at random, so that many do not come at once."""

BaseURL = Annotated[URL, Meta(description="another host: a proxy, a region, a test server")]

JSON = dict[str, Any]
"""A JSON object whose fields may be null, missing or odd: a number's, above all."""


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic, in UTF-8: https://www.rfc-editor.org/rfc/rfc7617"""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """The header that carries a key or token: https://www.rfc-editor.org/rfc/rfc6750"""
    return {"Authorization": f"Bearer {token}"}


class Request(NamedTuple):
    """A page to ask for: a path below the provider's `base_url` (or a whole URL on the same host)
    and query parameters, of which those that are None are left out."""

    path: str
    params: Mapping[str, object] = {}


Next = Callable[[Request], Request | None]
"""Makes the next page's request from this page's: see providers/base/paging.py."""


class Page(NamedTuple):
    """A page's numbers, and the request for the next one, how to make it, or None."""

    numbers: Iterable[PhoneNumber]
    next: Request | Next | None = None


class User(NamedTuple):
    """A user of the carrier: the id, as in `PhoneNumber.owners`, and the e-mail addresses."""

    id: str
    emails: Iterable[str]


class Users(NamedTuple):
    """A page's users, and what leads to the next one, as in `Page`."""

    users: Iterable[User]
    next: Request | Next | None = None


class Answer(NamedTuple):
    """A carrier's 2xx answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Listing:
    """One walk through the pages of one account, under one deadline, on one host."""

    def __init__(
        self, base_url: str, query: Query, retry_after: tuple[str, ...] = ("Retry-After",)
    ) -> None:
        self.query = query
        self._base_url = base_url.rstrip("/") + "/"
        self._origin = _origin(self._base_url)
        self._deadline = query.deadline
        self._retry_after = retry_after
        self._seen: set[str] = set()

    def get(
        self,
        url: str,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: AuthBase | tuple[str, str] | None = None,
    ) -> Answer:
        """GET a page, given as a whole URL, a path on the host, or a path below the base URL.

        Raises:
            Unreachable, RateLimited, Refused: as providers/base/errors.py says.
            Unreadable: the URL is on another host or was asked for before (a next link that leads
                astray), the answer is a redirect, or it has over MAX_ANSWER_BYTES.
        """
        url = urljoin(self._base_url, url)
        given = {name: value for name, value in (params or {}).items() if value is not None}
        if given:
            url += ("&" if urlsplit(url).query else "?") + urlencode(given)
        if _origin(url) != self._origin:
            raise Unreadable("the next page's link names another host")
        if url in self._seen:
            raise Unreadable("the next page's link was followed before")
        answer = self._send("GET", url, headers, auth)
        self._seen.add(url)
        return answer

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """POST a form to a whole URL on the host; fails as `get` does."""
        return self._send("POST", url, headers, None, form)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        auth: AuthBase | tuple[str, str] | None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            with self._open(method, url, headers, auth, form) as response:
                body = _read(response)
        except requests.RequestException as error:
            # a ValueError of requests shows the header or URL that it refuses
            raise _failure(error) from (None if isinstance(error, ValueError) else error)
        except UnicodeError:
            raise Refused(
                "credentials or base_url hold characters that HTTP cannot carry"
            ) from None
        _check(response.status_code, response.headers, body, self._retry_after)
        return Answer(response.status_code, response.headers, body)

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        auth: AuthBase | tuple[str, str] | None,
        form: Mapping[str, str] | None,
    ) -> requests.Response:
        """The answer's head.

        A connection that failed or broke before it is tried once more: a kept one may have been
        closed by the carrier just then.
        """
        for last in (False, True):
            left = self._deadline.left()
            if not left:
                break
            try:
                return session().request(
                    method,
                    url,
                    data=form,
                    headers=dict(headers or {}),
                    auth=auth,
                    timeout=Timeout(total=left),  # type: ignore[arg-type] # requests takes it
                    allow_redirects=False,
                    stream=True,
                    proxies=_proxies(*self._origin),
                )
            except requests.ConnectionError as error:
                late = isinstance(error, requests.Timeout | requests.exceptions.SSLError)
                if last or late or _answered(error):
                    raise
                time.sleep(min(left, random.uniform(*SECOND_TRY_S)))  # noqa: S311 - no secret
        raise Unreachable("not all pages came in time")


_AnyPage = TypeVar("_AnyPage", Page, Users)


class HTTPProvider(Provider):
    """An adapter of constants and pure readers: no `try`, no status codes, no environment, no loop.

    A missing key or a wrong type in an answer becomes Unreadable, with its place.
    """

    base_url: ClassVar[str]

    Reply: ClassVar[Any] = Any
    """The type that an answer's JSON is decoded to: a msgspec Struct that names the fields wanted,
    or any JSON value if left out. Say what has to be there, and leave numbers to be `JSON`."""

    UserReply: ClassVar[Any] = Any
    """The same for the answer to `first_users`."""

    narrows = frozenset()
    """The parts of a query that `first_page` asks for less by, such as `numbers`: it sees no
    others."""

    no_content: ClassVar[bytes] = b""
    """The body that a 204 stands for, at carriers that answer so when there are no numbers."""

    retry_after: ClassVar[tuple[str, ...]] = ("Retry-After",)
    """Headers that say when to come back, the first that is there. Seconds, UNIX time, HTTP dates
    and ISO 8601 are understood."""

    class Options(Provider.Options, frozen=True, kw_only=True):
        base_url: BaseURL = ""

    options: Options

    @property
    def finds_users(self) -> bool:
        return type(self).first_users is not HTTPProvider.first_users

    def base(self) -> str:
        """Where requests go; carriers with a host for each tenant override it."""
        return self.options.base_url or self.base_url

    def headers(self) -> Mapping[str, str]:
        """Headers for every request, authorisation above all: see `basic` and `bearer`."""
        return {}

    def first_page(self, query: Query) -> Request:
        """The request that a listing starts with."""
        raise NotImplementedError

    def read_page(self, reply: Any) -> Page:
        """Our words from the carrier's decoded answer."""
        raise NotImplementedError

    def first_users(self, email: str | None) -> Request:
        """The request for the users, where numbers have their owners' ids alone: for the one with
        this address, and others if need be, or for all of them.

        It is sent only for rules that name an address.
        """
        raise NotImplementedError

    def read_users(self, reply: Any) -> Users:
        """Our words from the decoded answer to `first_users`."""
        raise NotImplementedError

    def decode(self, body: bytes) -> Any:
        """An answer's bytes as `Reply`; carriers that do not speak JSON override it."""
        return decode_json(body, self.Reply)

    def fetch(self, listing: Listing, request: Request) -> Answer:
        """Send a request with this account's authorisation."""
        return listing.get(request.path, request.params, self.headers())

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        listing = Listing(self.base(), query, self.retry_after)
        emails = self._emails(listing, query.owner or "")
        pages = self._walk(
            listing, self.first_page(query), lambda body: self.read_page(self.decode(body))
        )
        for page in pages:
            for number in page.numbers:
                found = [email for owner in number.owners for email in emails.get(owner, ())]
                if found:
                    yield msgspec.structs.replace(number, owners=(*number.owners, *found))
                else:
                    yield number

    def _emails(self, listing: Listing, owner: str) -> dict[str, list[str]]:
        """Addresses by user id, if the query needs any."""
        if not (self.finds_users and "@" in owner):
            return {}
        pages = self._walk(
            listing,
            self.first_users(None if owner == ANYBODY else owner),
            lambda body: self.read_users(decode_json(body, self.UserReply)),
        )
        return {user.id: list(user.emails) for page in pages for user in page.users}

    def _walk(
        self, listing: Listing, first: Request, read: Callable[[bytes], _AnyPage]
    ) -> Iterator[_AnyPage]:
        request: Request | None = first
        while request:
            page = read(self._body(self.fetch(listing, request)))
            yield page
            request = page.next(request) if callable(page.next) else page.next

    def _body(self, answer: Answer) -> bytes:
        return self.no_content if answer.status == 204 else answer.body


def decode_json(body: bytes | str, kind: Any = Any, *, strict: bool = True) -> Any:
    """JSON as `kind`; numbers may be written as text unless `strict`.

    Raises:
        Unreadable: it is not JSON, or not of that shape; the message says where.
    """
    try:
        return msgspec.json.decode(body, type=kind, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec shows types and places, never values: https://jcristharif.com/msgspec/usage.html
        text = str(error) if isinstance(error, msgspec.DecodeError) else "not JSON in UTF-8"
        raise Unreadable(f"the answer cannot be read: {text}") from error


@cached({}, condition=Condition())  # functools.cache would let each of many first threads make one
def session() -> requests.Session:
    """The worker's session: pooled, without cookies (accounts share it), redirects or retries."""
    made = requests.Session()
    made.trust_env = False  # else each call reads proxies anew, and ~/.netrc replaces credentials
    made.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    made.headers.update({"User-Agent": "helpdesk-numbers", "Accept": "application/json"})
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter(pool_connections=HOSTS, pool_maxsize=POOL_SIZE))
    return made


@lru_cache(maxsize=1024)
def _proxies(scheme: str, host: str, port: int | None) -> dict[str, str]:
    return dict(get_environ_proxies(f"{scheme}://{host}" + (f":{port}" if port else "")))


def _origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port, read as requests reads them: urllib.parse sees `b` in `http://a\\@b/`,
    where requests would call `a`."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        return "", "", None
    scheme = parts.scheme or ""
    return scheme, parts.host or "", parts.port or {"http": 80, "https": 443}.get(scheme)


def _answered(error: requests.ConnectionError) -> bool:
    """Whether the connection failed over an answer that had begun."""
    reason = error.args[0] if error.args else None
    cause = reason.args[-1] if isinstance(reason, ProtocolError) else None
    return isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected)


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(65_536):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise Unreadable(f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(body)


def _check(
    status: int, headers: Mapping[str, str], body: bytes, retry_after: tuple[str, ...]
) -> None:
    """Raise what the status says, with the carrier's own error code if there is one."""
    if 200 <= status < 300:
        return
    said = f"answered {status}{_code(body)}"
    if status == 429:
        raise RateLimited(said, _retry_after_s(headers, retry_after))
    if status >= 500 or status == 408:
        raise Unreachable(said)
    if status >= 400:
        raise Refused(said, status)
    raise Unreadable(f"{said}, which is no answer")


class _ErrorBody(msgspec.Struct):
    code: int | str = ""


def _code(body: bytes) -> str:
    try:
        code = str(msgspec.json.decode(body, type=_ErrorBody).code)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f" with code {code}" if re.fullmatch(r"[A-Za-z_.-]{0,32}\d{0,6}", code) and code else ""


def _retry_after_s(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    """Seconds to wait, at most an hour, by the first of the headers that can be read."""
    read = (_seconds(headers[name].strip()) for name in names if name in headers)
    return next((seconds for seconds in read if seconds is not None), None)


def _seconds(text: str) -> float | None:
    """From seconds, UNIX time or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after

    Aircall sends a UNIX time, Zoom an ISO date where the standard has seconds.
    """
    for read in (_number, datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, OverflowError):
            value = read(text)
            if isinstance(value, float):
                return value
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() - time.time()
    return None


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError("no time to wait")
    return number - time.time() if number > 1e9 else number


def _failure(error: requests.RequestException) -> ProviderError:
    """Our word for a failure of requests. Its own texts hold URLs, so none is passed on."""
    if isinstance(error, requests.Timeout):
        return Unreachable("no whole answer in time")
    if isinstance(error, requests.exceptions.SSLError):
        return Unreachable("TLS failed")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return Unreadable("the answer's compression is broken")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return Unreachable("the connection broke off within the answer")
    if isinstance(error, ValueError):  # InvalidURL, InvalidHeader, MissingSchema and their kind
        return Refused("base_url or credentials cannot be sent")
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    if isinstance(reason, NameResolutionError):
        return Unreachable("the host name was not found")
    if "timed out" in str(reason):  # urllib3's ReadTimeoutError, while a body is read
        return Unreachable("no whole answer in time")
    return Unreachable("the connection failed")


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes, all of them within the socket's timeout.

    A socket's timeout counts the silence between two bytes, so a server that drips holds a reader
    for ever: https://requests.readthedocs.io/en/latest/user/quickstart/#timeouts
    """

    def __init__(self, sock: Any, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw
        timeout = sock.gettimeout()
        self._at = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._at is not None:
            left = self._at - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


@cached({}, condition=Condition())
def _tls() -> ssl.SSLContext:
    """Whom we trust, read once: requests would read it for each connection, which takes 16 ms."""
    trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    trusted = trusted or DEFAULT_CA_BUNDLE_PATH
    try:
        if os.path.isdir(trusted):
            return ssl.create_default_context(capath=trusted)
        return ssl.create_default_context(cafile=trusted)
    except OSError:
        raise Refused(
            f"REQUESTS_CA_BUNDLE or SSL_CERT_FILE: no certificates in {trusted}"
        ) from None


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": _tls()}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context verifies. The original has it read all certificates again."""
