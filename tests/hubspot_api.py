"""HubSpot's settings API to test against: a real HTTP server with HubSpot's behaviour.

`python -m tests.hubspot_api` runs it for trying out the commands by hand.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

APP_ID = 54321
KEY = "a-developer-key-of-tests"
TOKEN = "a-token-of-tests"  # whoever has this one may do everything
EXPIRED = "an-expired-token-of-tests"
CORRELATION_ID = "aeb5f871-7f07-4993-9211-075dc63e7cbf"
HTML = b"<html><body><h1>500 Internal Server Error</h1></body></html>"
PATHS = {
    "v3": "/crm/v3/extensions/calling/{}/settings",
    "2025-09": "/crm/extensions/calling/2025-09/{}/settings",
    "2026-03": "/crm/extensions/calling/2026-03/{}/settings",
    "2026-09": "/crm/extensions/calling/2026-09/{}/settings",
}
_ROUTE = re.compile(
    "(?:" + "|".join(map(re.escape, PATHS.values())).replace(r"\{\}", r"(\d+)") + ")"
    "(/channel-connection)?"
)


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]  # names in lower case
    payload: Any


@dataclass
class Reply:
    """An answer: bytes go as HTML, everything else as JSON, None as nothing."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def refusal(status: int, message: str, category: str = "", **more: Any) -> Reply:
    """An error in HubSpot's own shape."""
    kind = {"category": category} if category else {}
    body = {"status": "error", "message": message, "correlationId": CORRELATION_ID, **kind, **more}
    return Reply(status, body)


def rate_limited(retry_after: str | None = None) -> Reply:
    """A 429 as HubSpot documents it: without a category."""
    reply = refusal(
        429,
        "You have reached your ten_secondly_rolling limit.",
        errorType="RATE_LIMIT",
        policyName="TEN_SECONDLY_ROLLING",
    )
    if retry_after is not None:
        reply.headers["Retry-After"] = retry_after
    return reply


class HubSpotAPI:
    """The server, for one app. `then` holds replies that come before the true ones.

    `skew_s` puts its clock ahead; with `guide_dates`, times look as in HubSpot's guide, else as in
    its specification; None as `calling` is an app without calling settings.
    """

    def __init__(self, port: int = 0) -> None:
        self.connection: dict[str, Any] | None = None
        self.calling: dict[str, Any] | None = {
            "name": "Numbers",
            "url": "https://widget.example.com",
            "width": 400,
            "height": 600,
            "isReady": True,
            "supportsCustomObjects": False,
            "supportsInboundCalling": True,
            "usesRemote": False,
            "usesCallingWindow": True,
            "createdAt": "2026-11-01T09:00:00Z",
            "updatedAt": "2026-11-01T09:00:00Z",
        }
        self.guide_dates = False
        self.skew_s = 0
        self.then: list[Reply] = []
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.api = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> "HubSpotAPI":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def register(self, url: str, is_ready: bool = False) -> None:
        """As if it had been registered before."""
        self.connection = {"url": url, "isReady": is_ready}
        self.connection["createdAt"] = self.connection["updatedAt"] = self._now()

    def now(self) -> datetime:
        """What its clock says."""
        return datetime.now(UTC) + timedelta(seconds=self.skew_s)

    def _now(self) -> str:
        if self.guide_dates:
            return f"{self.now():%Y-%m-%d %H:%M}"
        return self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def answer(self, asked: Asked) -> Reply:
        """The reply to one request."""
        if self.then:
            return self.then.pop(0)
        found = _ROUTE.fullmatch(asked.path)
        if not found:
            return Reply(404, b"<html><body>Not found</body></html>")
        if refused := self._unauthorised(asked):
            return refused
        app_id = next(filter(None, found.groups()))
        if int(app_id) != APP_ID or self.calling is None:
            return refusal(404, f"No settings found for app {app_id}.", "OBJECT_NOT_FOUND")
        if found.groups()[-1]:
            return self._channel_connection(asked)
        return Reply(200, self.calling) if asked.method == "GET" else Reply(405)

    def _unauthorised(self, asked: Asked) -> Reply | None:
        bearer = asked.headers.get("authorization")
        if bearer is not None:
            if bearer == f"Bearer {TOKEN}":
                return None
            if bearer == f"Bearer {EXPIRED}":
                said = "The OAuth token used to make this call expired 2 hour(s) ago."
                return refusal(401, said, "EXPIRED_AUTHENTICATION")
        keys = asked.query.get("hapikey", [])
        if keys == [KEY]:
            return None
        said = f"This hapikey ({keys[0]}) doesn't exist." if keys else "Authentication is missing."
        return refusal(401, said, "INVALID_AUTHENTICATION")

    def _channel_connection(self, asked: Asked) -> Reply:
        if asked.method == "POST" and self.connection is not None:
            return refusal(409, "Settings exist already.", "CONFLICT")
        if asked.method != "POST" and self.connection is None:
            said = "No channel connection settings found."
            return refusal(404, said, "OBJECT_NOT_FOUND")
        if asked.method == "DELETE":
            self.connection = None
            return Reply(204)
        if asked.method in ("POST", "PATCH"):
            needed = {"url": str, "isReady": bool}
            given = asked.payload if isinstance(asked.payload, dict) else {}
            missing = needed.keys() - given.keys() if asked.method == "POST" else set()
            wrong = missing | {n for n, v in given.items() if type(v) is not needed.get(n)}
            if wrong:
                details = [{"message": "is required", "in": name} for name in sorted(wrong)]
                return refusal(400, "Invalid input JSON", "VALIDATION_ERROR", errors=details)
            now = self._now()
            self.connection = {"createdAt": now, **(self.connection or {}), **given}
            self.connection["updatedAt"] = now
        return Reply(200, self.connection)


class _Server(ThreadingHTTPServer):
    api: HubSpotAPI
    daemon_threads = False


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        target = urlsplit(self.path)
        asked = Asked(
            self.command,
            target.path,
            parse_qs(target.query),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(body) if body else None,
        )
        if self.command != "HEAD":
            self.server.api.asked.append(asked)
        reply = self.server.api.answer(asked) if self.command != "HEAD" else Reply(404)
        as_is = isinstance(reply.body, bytes)
        content = reply.body if as_is else json.dumps(reply.body).encode()
        if reply.body is None:
            content = b""
        self.send_response(reply.status)
        if content:
            self.send_header("Content-Type", "text/html" if as_is else "application/json")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.api.now(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is its own."""


if __name__ == "__main__":
    with HubSpotAPI(port=8089) as running:
        print(f"HUBSPOT_API_BASE_URL={running.url} HUBSPOT_APP_ID={APP_ID}")
        print(f"HUBSPOT_DEVELOPER_API_KEY={KEY}", flush=True)
        threading.Event().wait()
