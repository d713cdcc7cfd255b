"""HubSpot's settings of the app: the webhook's registration, and the calling settings it needs.

https://developers.hubspot.com/docs/api-reference/2026-03/crm/extensions/calling-extensions/third-party-calling
(read November 2026). All four generations of the API take and give the same.
"""

import logging
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import msgspec
import requests

from .retry_after import wait_s

# Its lines, such as the warning of a malformed header, show the URL, and with it the key.
logging.getLogger("urllib3").setLevel(logging.ERROR)

T = TypeVar("T")

TIMEOUT_S = (5, 20)
"""To connect, and between two bytes of the answer."""

MAX_WAIT_S = 30.0
"""The longest that a 429 is waited for; HubSpot's windows are 10 s. A longer one is an error."""


class SettingsError(Exception):
    """The app's settings at HubSpot could not be read or changed."""


class APIError(SettingsError):
    """HubSpot refused, in its own words. `status` is HTTP's; `correlation_id` is for its support.

    `category` is HubSpot's, such as VALIDATION_ERROR; empty where it gives none.
    """

    def __init__(self, status: int, message: str, category: str, correlation_id: str) -> None:
        self.status, self.category, self.correlation_id = status, category, correlation_id
        kind = f" {category}" if category else ""
        trace = f" (correlation id {correlation_id})" if correlation_id else ""
        super().__init__(f"HubSpot answered {status}{kind}: {message}{trace}")


class NoAnswer(SettingsError):
    """HubSpot could not be reached, or what answered is not HubSpot."""


class ChannelConnection(msgspec.Struct, frozen=True, rename="camel"):
    """The webhook as HubSpot has it registered. The times are aware, None if HubSpot gives none."""

    url: str
    is_ready: bool
    created_at: datetime | None = None
    updated_at: datetime | None = None


class CallingSettings(msgspec.Struct, frozen=True, rename="camel"):
    """Of the app's calling settings, what help desk depends on."""

    supports_inbound_calling: bool | None = None


@dataclass(frozen=True)
class Client:
    """The settings of one app. Give an API key, an access token, or both: the token wins.

    Every method raises APIError if HubSpot refuses and NoAnswer if it cannot be reached. Neither
    shows the key, which travels in the URL.
    """

    app_id: int
    base_url: str = "https://api.hubapi.com"
    version: str = "v3"
    api_key: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    sleep: Callable[[float], None] = time.sleep

    def fetch(self) -> ChannelConnection | None:
        """Return the registration; None if there is none."""
        return self._fetch("channel-connection", ChannelConnection)

    def create(self, url: str, is_ready: bool) -> ChannelConnection:
        """Register the webhook, and return the registration."""
        fields = {"url": url, "isReady": is_ready}
        return _decode(self._send("POST", "channel-connection", fields), ChannelConnection)

    def update(self, url: str | None = None, is_ready: bool | None = None) -> ChannelConnection:
        """Change the URL, the flag, or both (None changes nothing); return the registration."""
        fields = {"url": url, "isReady": is_ready}
        changed = {name: value for name, value in fields.items() if value is not None}
        return _decode(self._send("PATCH", "channel-connection", changed), ChannelConnection)

    def delete(self) -> None:
        """Delete the registration."""
        if self._send("DELETE", "channel-connection").content:  # HubSpot's is an empty 204
            raise NoAnswer(f"{_NOT_HUBSPOT}, so the registration may still be there")

    def fetch_calling(self) -> CallingSettings | None:
        """Return the app's calling settings; None if HubSpot has none for this app."""
        return self._fetch("", CallingSettings)

    def _fetch(self, part: str, kind: type[T]) -> T | None:
        try:
            return _decode(self._send("GET", part), kind)
        except APIError as error:
            if error.status == 404:
                return None
            raise

    def _send(
        self, method: str, part: str = "", payload: Mapping[str, object] | None = None
    ) -> requests.Response:
        answer = self._send_once(method, part, payload)
        if (
            answer.status_code == 429
            and (pause_s := wait_s(answer.headers.get("Retry-After"))) <= MAX_WAIT_S
        ):
            self.sleep(pause_s)
            answer = self._send_once(method, part, payload)
        if answer.status_code >= 400:
            raise self._refusal(answer)
        if answer.status_code >= 300:
            raise NoAnswer(f"{_NOT_HUBSPOT}: it redirects")
        return answer

    def _send_once(
        self, method: str, part: str, payload: Mapping[str, object] | None
    ) -> requests.Response:
        root, version = "extensions/calling", self.version  # the dated generations are alike
        family = f"{version}/{root}" if version == "v3" else f"{root}/{version}"
        url = f"{self.base_url.rstrip('/')}/crm/{family}/{self.app_id}/settings"
        token = {"Authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        try:
            return requests.request(
                method,
                f"{url}/{part}" if part else url,
                json=payload,
                params=None if token else {"hapikey": self.api_key},
                headers={"Accept": "application/json", **token},
                auth=lambda request: request,  # in place of what ~/.netrc may have for this host
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as error:
            # Their own texts hold the URL, and so the key. ValueError: a token that no header holds
            raise NoAnswer(
                f"HubSpot cannot be reached at {self.base_url}: {why_no_answer(error)}"
            ) from None

    def _refusal(self, answer: requests.Response) -> APIError:
        """Put HubSpot's error object in words; any part may be missing, and it may be HTML."""
        try:
            error = msgspec.json.decode(answer.content, type=dict[str, Any])
            words = list(dict.fromkeys(_words(error)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            error, words = {}, []
        if not words:
            words = [f"{answer.reason or 'no reason given'}, and no error body of HubSpot's"]
        if answer.status_code == 429:
            asked_s = wait_s(answer.headers.get("Retry-After"))
            words.append(f"it asks us to wait {asked_s:.0f} s")
        trace = error.get("correlationId") or answer.headers.get("x-hubspot-correlation-id")
        return APIError(
            answer.status_code,
            self._without_keys("; ".join(words)),
            self._without_keys(error.get("category") or error.get("errorType") or ""),
            self._without_keys(trace or ""),
        )

    def _without_keys(self, text: object) -> str:
        """Hide the key and the token: HubSpot has been seen to quote the key that it refuses."""
        shown = str(text)
        for key in filter(None, (self.api_key, self.access_token)):
            for written in (key, quote(key, safe=""), quote_plus(key)):
                shown = shown.replace(written, "***")
        return shown


_NOT_HUBSPOT = "what answers at HUBSPOT_API_BASE_URL is not HubSpot's settings API"


def _decode(answer: requests.Response, kind: type[T]) -> T:
    """Read the answer's JSON as `kind`. Times come as RFC 3339 by the specification, and as
    `2024-04-30 12:01` by the guide; without an offset they are taken for UTC."""
    try:
        payload = msgspec.json.decode(answer.content)
        if isinstance(payload, dict):
            payload |= {
                name: _time(payload[name]) for name in ("createdAt", "updatedAt") if name in payload
            }
        return msgspec.convert(payload, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = f": {error}" if isinstance(error, msgspec.ValidationError) else ""
        raise NoAnswer(f"{_NOT_HUBSPOT}{where}") from None


def _time(text: object) -> datetime | None:
    try:
        time_read = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time_read.replace(tzinfo=time_read.tzinfo or UTC)


def _words(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield all that an error object says: message, details, and which scopes are missing."""
    yield from filter(None, [str(error.get("message") or "")])
    listed = error.get("errors")
    details = [
        part for part in (listed if isinstance(listed, list) else ()) if isinstance(part, dict)
    ]
    for detail in details:
        at = f"{detail['in']}: " if detail.get("in") else ""
        yield from filter(None, [at + str(detail.get("message") or detail.get("code") or "")])
    for context in [error.get("context"), *(detail.get("context") for detail in details)]:
        if isinstance(context, dict):
            for name, values in context.items():
                texts = map(str, values if isinstance(values, list) else [values])
                yield f"{name}: {', '.join(texts)}"


PROXIES = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, in capitals or not,"


def why_no_answer(error: Exception) -> str:
    """Return why a request by `requests` got no answer, without its texts, which hold the URL."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        said = re.search(r"certificate verify failed: ([\w ,'-]*\w)", str(error))  # OpenSSL's words
        why = f" ({said[1]})" if said and "match" not in said[1] else ""  # which may name the host
        return f"TLS failed: the certificate is not valid for this host, or not trusted here{why}"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy of HTTPS_PROXY or HTTP_PROXY refused"
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return f"{PROXIES} is not a proxy's URL: scheme://host:port"
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in str(error):
        return f"{PROXIES} names a SOCKS proxy: for the commands, pip install pysocks"
    if isinstance(error, ValueError):  # InvalidURL, InvalidHeader, UnicodeError and their kind
        return "the URL or the credential holds characters that cannot be sent"
    reason = getattr(error.args[0], "reason", None) if error.args else None  # urllib3's
    if isinstance(getattr(reason, "__cause__", None), socket.gaierror):
        return "the host name was not found"
    if isinstance(getattr(reason, "__cause__", None), ConnectionRefusedError):
        return "the connection failed: it was refused"
    return "the connection failed"
