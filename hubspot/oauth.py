"""HubSpot's OAuth for one app: installs, tokens of portals, and the token of the app itself.

https://developers.hubspot.com/docs/api-reference/latest/authentication/manage-oauth-tokens
(read November 2026). Its v1, which stops on 2027-02-16, is not used.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from .api import GENERATIONS, Answer, decode
from .errors import AppRefused, CodeRefused, HubSpotRefused, HubSpotUnavailable, PortalGone
from .retry_after import wait_s

AUTHORIZE_URL = "https://app.hubspot.com/oauth/authorize"
"""HubSpot moves users of other data centres on from there, parameters kept."""

Post = Callable[[str, Mapping[str, str]], Answer]
"""Sends a form by POST to a path; raises HubSpotUnavailable if no answer comes."""


class Client(NamedTuple):
    """The app: its client id, and its client secrets, of which one is good."""

    id: str
    secrets: Sequence[str]

    def __repr__(self) -> str:
        return f"Client({self.id!r})"


class Tokens(msgspec.Struct):
    """What the token endpoint gives: the access token is good for `expires_in` seconds.

    HubSpot's descriptions have the portal's id (`hub_id`) as optional, and an app's own token has
    none; a refresh token need not come with each.
    """

    access_token: str
    expires_in: float
    refresh_token: str | None = None
    hub_id: int | None = None
    scopes: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"Tokens(hub_id={self.hub_id})"


class _Signed(msgspec.Struct, rename="camel"):
    hublet: str | None = None


class Introspection(msgspec.Struct):
    """What HubSpot says about a token. `user` is the address of who installed the app."""

    active: bool
    hub_id: int | None = None
    app_id: int | None = None
    user_id: int | None = None
    user: str | None = None
    scopes: tuple[str, ...] = ()
    signed_access_token: _Signed | None = None

    @property
    def region(self) -> str:
        """Return the portal's data centre, such as `eu1`, empty if HubSpot does not say."""
        hublet = self.signed_access_token and self.signed_access_token.hublet
        return hublet if hublet and re.fullmatch(r"[a-z0-9]{2,8}", hublet) else ""

    def __repr__(self) -> str:
        return f"Introspection(hub_id={self.hub_id})"


class _Refusal(msgspec.Struct):
    error: str | None = None
    status: str | None = None
    message: str | None = None
    error_description: str | None = None


def authorize_url(
    client_id: str, redirect_uri: str, scopes: Sequence[str], optional: Sequence[str], state: str
) -> str:
    """Return where a portal's admin installs the app; HubSpot then sends them to `redirect_uri`.

    `scopes` are all that the app requires: HubSpot stops an install that asks for others.
    """
    asked = {"client_id": client_id, "redirect_uri": redirect_uri, "scope": " ".join(scopes)}
    if optional:
        asked["optional_scope"] = " ".join(optional)
    return f"{AUTHORIZE_URL}?{urlencode({**asked, 'state': state}, quote_via=quote)}"


class OAuth:
    """HubSpot's OAuth for an app. It remembers which generation HubSpot has, and which secret is
    good.

    Each method raises HubSpotUnavailable where it may be tried again later, and AppRefused where
    the app's own configuration is wrong.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._secret = 0
        self._generation: str | None = None

    def exchange(self, post: Post, code: str, redirect_uri: str) -> Tokens:
        """Return a portal's tokens for the code of its install; CodeRefused if it is none."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return self._tokens(post, form, CodeRefused)

    def refresh(self, post: Post, refresh_token: str) -> Tokens:
        """Return a portal's new tokens; PortalGone if the app is no longer installed there."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._tokens(post, form, PortalGone)

    def app_token(self, post: Post, scopes: Sequence[str]) -> Tokens:
        """Return a token of the app itself, of no portal."""
        form = {"grant_type": "client_credentials", "scope": " ".join(scopes)}
        return self._tokens(post, form, AppRefused)

    def introspect(self, post: Post, access_token: str) -> Introspection:
        """Return what HubSpot says about an access token; it is not `active` if unknown."""
        form = {"token": access_token, "token_type_hint": "access_token"}
        return decode(self._send(post, "/introspect", form, AppRefused).body, Introspection)

    def revoke(self, post: Post, refresh_token: str) -> None:
        """Have a refresh token, known or not, mean nothing. Access tokens live on for up to half an
        hour, and the app stays in the portal's list."""
        form = {"token": refresh_token, "token_type_hint": "refresh_token"}
        self._send(post, "/revoke", form, AppRefused)

    def _tokens(self, post: Post, form: Mapping[str, str], refused: type[HubSpotRefused]) -> Tokens:
        tokens = decode(self._send(post, "", form, refused).body, Tokens)
        if not (tokens.access_token and 0 < tokens.expires_in < float("inf")):
            raise HubSpotUnavailable("HubSpot's answer has no token that is good for any time")
        return tokens

    def _send(
        self, post: Post, rest: str, form: Mapping[str, str], refused: type[HubSpotRefused]
    ) -> Answer:
        """The answer, if it is good: by the secret that was good last, or else the others."""
        secrets = self._client.secrets
        for turn in range(len(secrets)):
            number = (self._secret + turn) % len(secrets)
            client = {"client_id": self._client.id, "client_secret": secrets[number]}
            answer = self._ask(post, rest, {**form, **client})
            if 200 <= answer.status < 300:
                self._secret = number
                return answer
            error = _judge(answer, refused)
            if not (isinstance(error, AppRefused) and error.of_secret):
                break
        raise error

    def _ask(self, post: Post, rest: str, form: Mapping[str, str]) -> Answer:
        for generation in [self._generation] if self._generation else GENERATIONS:
            answer = post(f"/oauth/{generation}/token{rest}", form)
            if answer.status != 404:
                self._generation = generation
                return answer
        self._generation = None
        raise HubSpotUnavailable("what answers at HUBSPOT_API_BASE_URL is not HubSpot's API")


_OF_THE_APP = {
    "BAD_CLIENT_ID": "HUBSPOT_CLIENT_ID: HubSpot does not know the client id",
    "BAD_CLIENT_SECRET": "HUBSPOT_CLIENT_SECRET: HubSpot refuses the client secret",
    "BAD_REDIRECT_URI": "the redirect URL is not one of the app's",
    "BAD_SCOPES": "HubSpot does not give the app these scopes",
    "BAD_GRANT_TYPE": "HubSpot does not take this grant",
    "invalid_client": "HubSpot refuses the client id or the client secret",
    "unauthorized_client": "HubSpot does not let this client do that",
    "invalid_scope": "HubSpot does not give the app these scopes",
    "unsupported_grant_type": "HubSpot does not take this grant",
}
_OF_SECRETS = {"BAD_CLIENT_SECRET", "invalid_client"}
_OF_THE_GRANT = {
    PortalGone: {"BAD_REFRESH_TOKEN", "BAD_HUB", "invalid_grant", "access_denied"},
    CodeRefused: {"BAD_AUTH_CODE", "BAD_CODE_VERIFIER", "BAD_HUB", "invalid_grant"},
}


def _judge(answer: Answer, refused: type[HubSpotRefused]) -> HubSpotUnavailable | HubSpotRefused:
    """The error that an answer is: of the app's configuration, of what was granted, or passing.

    What is not known is passing: a secret that was exchanged must not look as if all portals were
    gone.
    """
    said = _Refusal()
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = msgspec.json.decode(answer.body, type=_Refusal)
    codes = [code for code in (said.status, said.error) if code]
    if answer.status in (400, 401, 403):
        for code in codes:
            if why := _OF_THE_APP.get(code):
                return AppRefused(f"{why} ({answer.status})", of_secret=code in _OF_SECRETS)
        if "issued to this client" in f"{said.message} {said.error_description}":
            # One portal's token, which is no reason to leave the others alone.
            return HubSpotUnavailable("the token is of another app than HUBSPOT_CLIENT_ID's (400)")
        if _OF_THE_GRANT.get(refused, set()).intersection(codes):
            return refused()  # type: ignore[call-arg] # PortalGone and CodeRefused say it themselves
    asked = answer.header("Retry-After")
    wait = wait_s(asked) if asked or answer.status == 429 else None
    return HubSpotUnavailable(f"HubSpot answered {answer.status}", wait)
