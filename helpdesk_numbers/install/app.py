"""Our app at HubSpot: its installs, and how its OAuth is spoken."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from helpdesk_numbers.database.editing import editing
from helpdesk_numbers.database.installs import Installs
from helpdesk_numbers.database.opening import Database
from helpdesk_numbers.database.purge import purge
from helpdesk_numbers.settings import Settings
from helpdesk_numbers.users.asking import PostBy, poster
from hubspot.errors import HubSpotUnavailable
from hubspot.oauth import Client, Introspection, OAuth, Tokens, authorize_url
from providers.base.provider import Deadline

from .refresher import Refresher

INSTALL, CALLBACK = "/hubspot/install", "/hubspot/callback"
"""Below PUBLIC_URL: where an install begins, and where HubSpot sends its admin back to."""

ANSWER_S = 10.0
"""What HubSpot gets for an install's two answers, while its admin waits."""


DAY_S = 86_400.0


class WrongInstall(Exception):
    """HubSpot installed something else than it was asked for. The message says what."""


class Installed(NamedTuple):
    """A portal where the app has just been installed, and how many accounts it has."""

    portal_id: int
    accounts: int


class App:
    """The app. `clock` gives seconds since 1970."""

    def __init__(
        self, settings: Settings, database: Database, clock: Callable[[], float] = time.time
    ) -> None:
        client_id = settings.hubspot_client_id or ""
        self.settings, self.database, self.clock = settings, database, clock
        self.installs = Installs(database, client_id)
        self.oauth = OAuth(Client(client_id, settings.hubspot_client_secret))
        self.post_by: PostBy = poster(settings.hubspot_api_base_url)

    @property
    def redirect_uri(self) -> str:
        """Return where HubSpot sends back to: one of the redirect URLs in the app's file."""
        return (self.settings.public_url or "").rstrip("/") + CALLBACK

    def authorize_url(self, state: str) -> str:
        """Return the page at HubSpot on which an admin installs the app."""
        settings = self.settings
        scopes, optional = settings.hubspot_scopes.split(), settings.hubspot_optional_scopes.split()
        client_id = settings.hubspot_client_id or ""
        return authorize_url(client_id, self.redirect_uri, scopes, optional, state)

    def refresher(self, refreshed: Callable[[int], None]) -> Refresher:
        """Return what keeps the tokens fresh; `refreshed` is told of each portal's new one."""
        return Refresher(
            self.installs, self.oauth, self.post_by, refreshed, self.purge_gone, self.clock
        )

    def purge_gone(self) -> Iterator[int]:
        """Delete the portals that uninstalled the app longer ago than they are kept for; yield
        each. Whoever else does it at the same time deletes others."""
        before = self.clock() - self.settings.hubspot_uninstall_grace_days * DAY_S
        for portal_id in self.installs.gone(before):
            if purge(self.database, portal_id, "purge after the uninstall", before) is not None:
                yield portal_id

    def install(self, code: str) -> Installed:
        """Keep the tokens that HubSpot gives for a code, and the portal. Which portal that is, the
        answer says, and nothing else.

        Raises:
            WrongInstall: a scope is missing, or it is another app.
            LookupFailed: as `OAuth.exchange` does.
            SQLAlchemyError: the database did not keep it.
        """
        deadline = Deadline(ANSWER_S)
        post = self.post_by(deadline)
        tokens = self.oauth.exchange(post, code, self.redirect_uri)
        about = Introspection(active=True)
        with suppress(HubSpotUnavailable):  # it is installed all the same
            about = self.oauth.introspect(post, tokens.access_token)
        portal_id = self._portal_id(tokens, about)
        self.installs.put(
            portal_id, tokens, self.clock(), region=about.region, user_id=about.user_id
        )
        with editing(self.database, f"install by HubSpot's user {about.user_id}") as editor:
            stored = editor.portal(portal_id)
            if stored is None:
                users = self.settings.hubspot_new_portal_users
                editor.put_portal(portal_id, {"accounts": [], "users": users})
        return Installed(portal_id, len(stored.table["accounts"]) if stored else 0)

    def _portal_id(self, tokens: Tokens, about: Introspection) -> int:
        app_id = self.settings.hubspot_app_id
        if None not in (app_id, about.app_id) and app_id != about.app_id:
            raise WrongInstall(f"HUBSPOT_CLIENT_ID is app {about.app_id}'s, not {app_id}'s")
        granted = tokens.scopes or about.scopes
        missing = [scope for scope in self.settings.hubspot_scopes.split() if scope not in granted]
        if granted and missing:
            raise WrongInstall(f"HubSpot did not give the scope {missing[0]}")
        portal_id = tokens.hub_id or about.hub_id
        if not portal_id or not tokens.refresh_token:
            raise HubSpotUnavailable("HubSpot's answer has no portal, or no refresh token")
        return portal_id
