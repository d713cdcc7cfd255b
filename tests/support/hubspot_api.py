"""HubSpot's settings API to test against: a real HTTP server with HubSpot's behaviour.

`python -m tests.support.hubspot_api` runs it for trying out the commands by hand.
"""

import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from providers.testing.carrier import Asked, Carrier, Reply

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


def refusal(status: int, message: str, category: str = "", **more: Any) -> Reply:
    """An error in HubSpot's own shape."""
    kind = {"category": category} if category else {}
    body = {"status": "error", "message": message, "correlationId": CORRELATION_ID, **kind, **more}
    return Reply(body, status)


def rate_limited(retry_after: str | None = None) -> Reply:
    """A 429 as HubSpot documents it: without a category."""
    said = "You have reached your ten_secondly_rolling limit."
    reply = refusal(429, said, errorType="RATE_LIMIT", policyName="TEN_SECONDLY_ROLLING")
    return replace(reply, headers={} if retry_after is None else {"Retry-After": retry_after})


class HubSpotAPI(Carrier):
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
        super().__init__(self._at_its_time, port)

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

    def _at_its_time(self, asked: Asked) -> Reply:
        if asked.method == "HEAD":  # whoever wants to know the time alone
            self.asked.remove(asked)
        reply = self._reply_to(asked) if asked.method != "HEAD" else Reply(status=404)
        date = format_datetime(self.now(), usegmt=True)
        return replace(reply, headers={"Date": date, **reply.headers})

    def _reply_to(self, asked: Asked) -> Reply:
        if self.then:
            return self.then.pop(0)
        found = _ROUTE.fullmatch(asked.path)
        if not found:
            return Reply(b"<html><body>Not found</body></html>", 404)
        if refused := self._unauthorised(asked):
            return refused
        app_id = next(filter(None, found.groups()))
        if int(app_id) != APP_ID or self.calling is None:
            return refusal(404, f"No settings found for app {app_id}.", "OBJECT_NOT_FOUND")
        if found.groups()[-1]:
            return self._channel_connection(asked)
        return Reply(self.calling) if asked.method == "GET" else Reply(status=405)

    def _unauthorised(self, asked: Asked) -> Reply | None:
        bearer = asked.headers["Authorization"]
        if bearer is not None:
            if bearer == f"Bearer {TOKEN}":
                return None
            if bearer == f"Bearer {EXPIRED}":
                said = "The OAuth token used to make this call expired 2 hour(s) ago."
                return refusal(401, said, "EXPIRED_AUTHENTICATION")
        key = asked.params.get("hapikey")
        if key == KEY:
            return None
        said = f"This hapikey ({key}) doesn't exist." if key else "Authentication is missing."
        return refusal(401, said, "INVALID_AUTHENTICATION")

    def _channel_connection(self, asked: Asked) -> Reply:
        if asked.method == "POST" and self.connection is not None:
            return refusal(409, "Settings exist already.", "CONFLICT")
        if asked.method != "POST" and self.connection is None:
            said = "No channel connection settings found."
            return refusal(404, said, "OBJECT_NOT_FOUND")
        if asked.method == "DELETE":
            self.connection = None
            return Reply(status=204)
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
        return Reply(self.connection)


if __name__ == "__main__":
    with HubSpotAPI(port=8089) as running:
        print(f"HUBSPOT_API_BASE_URL={running.url} HUBSPOT_APP_ID={APP_ID}")
        print(f"HUBSPOT_DEVELOPER_API_KEY={KEY}", flush=True)
        threading.Event().wait()
