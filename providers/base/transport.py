"""HTTP by libcurl: one request and its answer, over by the deadline whatever the other side does.

libcurl's total timeout covers DNS, connecting, a proxy, TLS, head and body, so that neither silence
nor dripped bytes hold a thread: https://curl.se/libcurl/c/CURLOPT_TIMEOUT_MS.html

Connections are kept for all accounts of a worker. Each belongs to an easy handle of libcurl, which
one thread uses at a time: https://curl.se/libcurl/c/threadsafe.html
"""

import os
import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache

import pycurl

from .errors import ProviderError, Refused, Unreachable, Unreadable
from .provider import Deadline
from .trust import Trusted, source, trusted

MAX_ANSWER_BYTES = 8 * 1024 * 1024  # libcurl limits a head: to 300 kB and 5,000 lines
"""For one page, decompressed. Twilio's largest, 1,000 numbers, has 1.5 MB."""

POOL_SIZE = 64
"""Connections kept to one origin; more are opened when needed and closed after use."""

HOSTS = 1_000
"""Origins to which connections are kept. Some carriers have one for each customer."""

RETRY_JITTER_S = (0.02, 0.1)
"""How long a second try waits, at random, so that many do not come at once."""

# What pycurl has no names for: https://github.com/curl/curl/blob/master/include/curl/curl.h
_SUPPRESS_CONNECT_HEADERS, _QUICK_EXIT, _E_PROXY, _E_TOO_LARGE = 265, 322, 97, 100

_OPTIONS = {
    pycurl.NOSIGNAL: 1,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.USERAGENT: "helpdesk-numbers",
    pycurl.ACCEPT_ENCODING: "gzip, deflate",
    pycurl.MAXFILESIZE: MAX_ANSWER_BYTES,
    _SUPPRESS_CONNECT_HEADERS: 1,  # a proxy's head is no part of the answer's
    _QUICK_EXIT: 1,  # else closing a handle waits for a name server that says nothing
}

_PROXY = "the proxy of HTTPS_PROXY or HTTP_PROXY"
_CA_VARIABLES = "REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
_TOO_LARGE = Unreadable, f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB", False

_FAILURES: Mapping[int, tuple[type[ProviderError], str, bool]] = {
    pycurl.E_COULDNT_RESOLVE_HOST: (Unreachable, "the host name was not found", True),
    pycurl.E_COULDNT_RESOLVE_PROXY: (Unreachable, f"{_PROXY} was not found", True),
    _E_PROXY: (Unreachable, f"{_PROXY} refused", False),
    pycurl.E_OPERATION_TIMEDOUT: (Unreachable, "no whole answer in time", False),
    pycurl.E_SSL_CONNECT_ERROR: (Unreachable, "TLS failed", False),
    pycurl.E_PEER_FAILED_VERIFICATION: (Unreachable, "TLS failed", False),
    pycurl.E_UNSUPPORTED_PROTOCOL: (Unreachable, "the answer is not HTTP", False),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (Unreachable, "the answer is not HTTP", False),
    _E_TOO_LARGE: (Unreadable, "the answer's head is too large", False),
    pycurl.E_FILESIZE_EXCEEDED: _TOO_LARGE,
    pycurl.E_WRITE_ERROR: _TOO_LARGE,
    pycurl.E_BAD_CONTENT_ENCODING: (Unreadable, "the answer's compression is broken", False),
}
"""libcurl's errors in our words, and whether a second try may help; all others are connections that
failed. libcurl's own words hold hosts and URLs: no more is passed on than what OpenSSL says, which
is constant (`certificate has expired`)."""

_OPENSSL = re.compile(r"(?:problem|verify result|SSL routines:\w*|SSL): ?([\w ,/-]*\w)")

_UNSENDABLE = re.compile("[\0\r\n\u0100-\U0010ffff]")


def send(
    origin: str,
    target: str,
    headers: Mapping[str, str],
    deadline: Deadline,
    body: bytes | None = None,
    authorise: Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]] | None = None,
) -> tuple[int, list[bytes], bytes]:
    """Send a GET, or a body by POST, to a path at `https://host:port`; return status, head, body.

    `authorise` makes each try's headers of its method, whole URL, these headers and body: a second
    one may need another time. A body without a Content-Type is a form.

    A connection that failed before the answer began is tried once more: the carrier may have
    restarted just then. (One that it closed while it was idle libcurl itself replaces.)

    Raises:
        Unreachable: the connection failed, or there was no whole answer by the deadline.
        Unreadable: the answer is too large, or its compression is broken.
        Refused: HTTP cannot carry the headers, or there are no certificates to trust.
    """
    trust, method, url = trusted(), "GET" if body is None else "POST", origin + target
    idle = idle_handles(os.getpid(), origin, trust)
    for last in (False, True):
        if not (timeout_ms := int(deadline.left() * 1000)):
            break
        lines = _lines(authorise(method, url, headers, body or b"") if authorise else headers)
        try:
            handle = idle.pop()
        except IndexError:
            handle = _new_handle(origin, trust)
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.HTTPHEADER, lines)
        handle.setopt(pycurl.TIMEOUT_MS, timeout_ms)
        if body is None:
            handle.setopt(pycurl.HTTPGET, 1)
        else:
            handle.setopt(pycurl.POSTFIELDS, body)
        code, head, answer = _perform(handle)
        if not code:
            status = handle.getinfo(pycurl.RESPONSE_CODE)
            idle.append(handle)
            return status, head, answer
        error, again = _failure(handle, code, bool(head))
        del handle  # and close its connection, which the error's traceback would keep open
        if last or not again:
            raise error
        time.sleep(min(deadline.left(), random.uniform(*RETRY_JITTER_S)))  # noqa: S311 - no secret
    raise Unreachable("not all pages came in time")


@lru_cache(HOSTS)
def idle_handles(pid: int, origin: str, trust: Trusted) -> deque[pycurl.Curl]:
    """Return the handles, with their connections, that a process keeps for an origin.

    A forked child leaves those of its parent alone: it would talk into the parent's connections.
    """
    return deque(maxlen=POOL_SIZE)


def _new_handle(origin: str, trust: Trusted) -> pycurl.Curl:
    handle = pycurl.Curl()
    for option, value in _OPTIONS.items():
        handle.setopt(option, value)
    handle.setopt(pycurl.CAINFO, trust.file)  # pycurl has set both to the system's
    handle.setopt(pycurl.CAPATH, trust.folder)
    handle.setopt(pycurl.PROXY_CAINFO, trust.file)
    handle.setopt(pycurl.PROXY_CAPATH, trust.folder)
    # libcurl reads the other variables itself: https://curl.se/libcurl/c/libcurl-env.html
    if origin.startswith("http:") and "http_proxy" not in os.environ:
        handle.setopt(pycurl.PROXY, os.environ.get("HTTP_PROXY"))
    return handle


def _lines(headers: Mapping[str, str]) -> list[bytes]:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if "accept" not in map(str.lower, headers):
        lines.append("Accept: application/json")
    if any(map(_UNSENDABLE.search, lines)):
        raise Refused("credentials hold characters that HTTP cannot carry")
    return [line.encode("latin-1") for line in lines]


def _perform(handle: pycurl.Curl) -> tuple[int, list[bytes], bytes]:
    """Make the call; return libcurl's error, and what came of head and body."""
    code = size = 0
    head: list[bytes] = []
    chunks: list[bytes] = []

    def write(chunk: bytes) -> int | None:
        nonlocal size
        size += len(chunk)
        chunks.append(chunk)
        return -1 if size > MAX_ANSWER_BYTES else None

    handle.setopt(pycurl.HEADERFUNCTION, head.append)
    handle.setopt(pycurl.WRITEFUNCTION, write)
    try:
        handle.perform()
        if not chunks and head[-1].strip():  # libcurl takes a head's end for the answer's
            code = pycurl.E_PARTIAL_FILE
    except pycurl.error as error:
        code = int(error.args[0])
    body = b"".join(chunks)
    chunks.clear()  # the handle holds on to them until its next call
    return code, head, body


def _proxy_variable(handle: pycurl.Curl) -> str:
    """The variable that the proxy comes from, in libcurl's order."""
    kind = "http" if handle.getinfo(pycurl.EFFECTIVE_URL).startswith("http:") else "https"
    names = f"{kind}_proxy", f"{kind.upper()}_PROXY", "all_proxy", "ALL_PROXY"
    return next((name for name in names if os.environ.get(name)), _PROXY)


def _failure(handle: pycurl.Curl, code: int, answered: bool) -> tuple[ProviderError, bool]:
    """Our error for libcurl's, and whether a second try may help."""
    if (by_proxy := handle.getinfo(pycurl.HTTP_CONNECTCODE)) >= 300:
        return Unreachable(f"{_PROXY} refused with {by_proxy}"), False
    if handle.errstr().startswith("Unsupported proxy"):  # scheme or syntax; it quotes the value
        return Unreachable(
            f"{_proxy_variable(handle)} is not a proxy's URL: scheme://host:port"
        ), False
    if code == pycurl.E_COULDNT_CONNECT and handle.getinfo(pycurl.USED_PROXY):
        return Unreachable(f"{_PROXY} was not reached"), True
    if code == pycurl.E_SSL_CACERT_BADFILE:
        return Refused(f"{_CA_VARIABLES}: no certificates in {source()}"), False
    broke = "the connection broke off within the answer" if answered else "the connection failed"
    kind, words, again = _FAILURES.get(code, (Unreachable, broke, True))
    if openssl := _OPENSSL.search(handle.errstr()):
        words += f": {openssl[1]}"
    return kind(words), again and not answered
