"""HubSpot as an app that is installed meets it: OAuth, the journal and the uninstall, and who a
portal's users are, by the tokens that it gives.

Facts: wrong credentials, codes and refresh tokens are all 400, told apart by `error` and `status`;
an unknown token is not active; a revoked refresh token leaves access tokens good for a while.
"""

import itertools
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from providers.testing.carrier import Asked, Fault, Reply
from tests.support.hubspot_api import APP_ID, refusal
from tests.support.hubspot_users import HubSpotUsers, Person

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
SECRET = "a-client-secret-of-tests"
REDIRECT_URI = "https://numbers.example.com/hubspot/callback"
APP_TOKEN = "the-app's-own-token-of-tests"
INSTALLER = "boss@acme.example"
SCOPES = ("oauth", "crm.objects.owners.read")
_PATH = re.compile(r"/oauth/([\w-]+)/token(/introspect|/revoke)?")


def oauth_refusal(error: str | None, status: str, message: str = "no") -> Reply:
    """An error of the token endpoint, as it has them since January 2026."""
    rfc = {"error": error, "error_description": message} if error else {}
    return Reply({**rfc, "status": status, "message": message}, 400)


BAD_CLIENT_ID = oauth_refusal("invalid_client", "BAD_CLIENT_ID")
BAD_CLIENT_SECRET = oauth_refusal("invalid_client", "BAD_CLIENT_SECRET")
BAD_REFRESH_TOKEN = oauth_refusal(
    "invalid_grant", "BAD_REFRESH_TOKEN", "refresh token is invalid, expired or revoked"
)
BAD_HUB = oauth_refusal("access_denied", "BAD_HUB")
BAD_AUTH_CODE = oauth_refusal(None, "BAD_AUTH_CODE", "missing or unknown auth code")
OTHER_CLIENT = oauth_refusal(
    "invalid_grant", "BAD_REFRESH_TOKEN", "refresh token was not issued to this client"
)


@dataclass
class Install:
    """The app in a portal."""

    portal_id: int
    refresh_token: str
    access_tokens: list[str] = field(default_factory=list)
    scopes: tuple[str, ...] = SCOPES


class HubSpotApp(HubSpotUsers):
    """The server, for one app in many portals.

    `rotates` is whether each refresh brings a new refresh token and ends the old one. `refreshed`
    counts refreshes by portal, `at_once` is how many of one portal were ever under way together.
    """

    def __init__(self, *persons: Person) -> None:
        self.secrets, self.codes = {SECRET}, dict[str, int]()
        self.installs: dict[int, Install] = {}
        self.rotates, self.expires_in = False, 1800
        self.introspects, self.redirect_uri = True, REDIRECT_URI
        self.scopes_given: tuple[str, ...] = SCOPES
        self.refreshed, self.at_once = Counter[int](), 0
        self.while_refreshing: Callable[[], None] = lambda: None
        self._under_way, self._lock = Counter[int](), threading.Lock()
        self._numbers = itertools.count(1)
        super().__init__(*persons)
        self.generations["oauth"] = {"2026-09", "2026-03"}
        self.generations["webhooks-journal"] = {"2026-09", "2026-03"}
        self.journal: list[Any] = []
        self.subscribed = 0
        self.generations["appinstalls"] = {"2026-09", "2026-03"}

    def code_for(self, portal_id: int) -> str:
        """A code as HubSpot sends an admin of the portal back with."""
        code = f"na1-code-{next(self._numbers)}"
        self.codes[code] = portal_id
        return code

    def takes(self, token: str) -> bool:
        """Whether it is an access token of a portal."""
        return any(token in install.access_tokens for install in self.installs.values())

    def _reply_to(self, asked: Asked) -> Reply | Fault:
        if asked.path.startswith("/webhooks-journal/") and not (self.then or self.always):
            return self._journal(asked)
        if asked.path.startswith("/journal-files/"):
            assert asked.headers["Authorization"] is None, "it is signed already"
            return Reply(self.journal[int(asked.path.rpartition("/")[2])])
        if asked.method == "DELETE" and not (self.then or self.always):
            return self._uninstall(asked)
        found = _PATH.fullmatch(asked.path)
        if not found or self.then or self.always:
            return super()._reply_to(asked)
        if found[1] not in self.generations["oauth"]:
            return Reply(b"<html><body>404 Not found</body></html>", 404)
        form = asked.form
        if form.get("client_id") != CLIENT_ID:
            return BAD_CLIENT_ID
        if form.get("client_secret") not in self.secrets:
            return BAD_CLIENT_SECRET
        if found[2] == "/introspect":
            return self._introspect(form["token"])
        if found[2] == "/revoke":
            for install in self.installs.values():
                if install.refresh_token == form["token"]:
                    install.refresh_token = ""
            return Reply(b"")
        kind = form.get("grant_type", "")
        answers: dict[str, Callable[[dict[str, str]], Reply]] = {
            "authorization_code": self._exchange,
            "refresh_token": self._refresh,
            "client_credentials": self._app_token,
        }
        return answers[kind](form) if kind in answers else oauth_refusal(None, "BAD_GRANT_TYPE")

    def _journal(self, asked: Asked) -> Reply:
        """The files of `journal`; its offsets are texts, of which an unknown one has no next."""
        if asked.headers["Authorization"] != f"Bearer {APP_TOKEN}":
            return refusal(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        _, _, part, generation, *rest = asked.path.split("/")
        if generation not in self.generations["webhooks-journal"]:
            return Reply(b"<html><body>404 Not found</body></html>", 404)
        if part == "subscriptions":
            self.subscribed += 1
            return Reply({"id": 1}) if self.subscribed == 1 else refusal(409, "it exists")
        at = 0 if rest == ["earliest"] else int(rest[1].removeprefix("at-")) + 1
        if at >= len(self.journal):
            return Reply(status=204)
        url = f"{asked.url}/journal-files/{at}"
        return Reply({"url": url, "expiresAt": "soon", "currentOffset": f"at-{at}"})

    def _uninstall(self, asked: Asked) -> Reply:
        if asked.path not in [
            f"/appinstalls/{version}/external-install"
            for version in self.generations["appinstalls"]
        ]:
            return Reply(b"<html><body>404 Not found</body></html>", 404)
        token = (asked.headers["Authorization"] or "").removeprefix("Bearer ")
        for portal_id, install in self.installs.items():
            if token in install.access_tokens:
                del self.installs[portal_id]
                return Reply(status=204)
        return refusal(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")

    def _exchange(self, form: dict[str, str]) -> Reply:
        if form["redirect_uri"] != self.redirect_uri:
            return oauth_refusal(None, "BAD_REDIRECT_URI")
        portal_id = self.codes.pop(form["code"], None)
        if portal_id is None:
            return BAD_AUTH_CODE
        token = f"na1-refresh-{next(self._numbers)}"
        install = Install(portal_id, token, scopes=self.scopes_given)
        self.installs[portal_id] = install
        return self._tokens(install)

    def _refresh(self, form: dict[str, str]) -> Reply:
        token = form["refresh_token"]
        with self._lock:
            known = [i for i in self.installs.values() if i.refresh_token == token]
            if not known:
                return BAD_REFRESH_TOKEN
            (install,) = known
            self._under_way[install.portal_id] += 1
            self.at_once = max(self.at_once, self._under_way[install.portal_id])
        self.while_refreshing()
        with self._lock:
            self._under_way[install.portal_id] -= 1
            self.refreshed[install.portal_id] += 1
            if self.rotates:
                install.refresh_token = f"na1-refresh-{next(self._numbers)}"
            return self._tokens(install, new_refresh_token=self.rotates)

    def _tokens(self, install: Install, *, new_refresh_token: bool = True) -> Reply:
        install.access_tokens.append(f"access-{install.portal_id}-{next(self._numbers)}")
        body: dict[str, Any] = {
            "token_type": "bearer",
            "access_token": install.access_tokens[-1],
            "hub_id": install.portal_id,
            "scopes": list(install.scopes),
            "expires_in": self.expires_in,
            "token_use": "access_token",
        }
        return Reply(body | ({"refresh_token": install.refresh_token} if new_refresh_token else {}))

    def _app_token(self, form: dict[str, str]) -> Reply:
        return Reply(
            {
                "token_type": "bearer",
                "access_token": APP_TOKEN,
                "expires_in": self.expires_in,
                "token_use": "access_token",
            }
        )

    def _introspect(self, token: str) -> Reply:
        if not self.introspects:
            return Reply(status=500)
        for install in self.installs.values():
            if token in install.access_tokens:
                return Reply(
                    {
                        "active": True,
                        "token": token,
                        "hub_id": install.portal_id,
                        "user_id": 1001,
                        "client_id": CLIENT_ID,
                        "app_id": APP_ID,
                        "user": INSTALLER,
                        "hub_domain": "acme.example",
                        "scopes": list(install.scopes),
                        "expires_in": self.expires_in,
                        "is_private_distribution": False,
                        "token_use": "access_token",
                        "token_type": "Bearer",
                        "signed_access_token": {"hublet": "eu1", "appInstallId": 1},
                    }
                )
        return Reply({"active": False})
