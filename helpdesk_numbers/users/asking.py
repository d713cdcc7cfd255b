"""How HubSpot is asked about a portal's users: with which token, and by libcurl."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from helpdesk_numbers.directory.model import Directory
from hubspot.api import HOW, Answer, Send
from hubspot.errors import HubSpotRefused, HubSpotUnavailable, PortalGone
from providers.base import listing
from providers.base.errors import ProviderError, Refused
from providers.base.options import Secret
from providers.base.provider import Deadline

if TYPE_CHECKING:
    from hubspot.oauth import Post

Fields = Mapping[str, str]

TokenOf = Callable[[Directory, int], Secret | None]
"""Gives a portal's token, None if there is none; raises LookupFailed if it is of no use now."""

SendBy = Callable[[Deadline], Send]
"""Gives what sends requests whose answers are due by the deadline."""


def tokens(only: Secret | None, clock: Callable[[], float] = time.time) -> TokenOf:
    """Return what gives a portal's own token, or that of the app's install there, or else `only`,
    which is that of the only portal: None with a database, of which `directory` is a part."""

    def token_of(directory: Directory, portal_id: int) -> Secret | None:
        portal = directory.portals.get(portal_id)
        if portal and portal.token:
            return portal.token
        if portal and (install := portal.install):
            if install.gone:
                raise PortalGone
            if not install.token or install.expires_at <= clock():
                raise HubSpotUnavailable("the portal's token has expired, and is not refreshed yet")
            return install.token
        return only if portal and len(directory.portals) == 1 else None

    return token_of


class NoToken(HubSpotRefused):
    """The portal has no token."""

    def __init__(self, portal_id: int) -> None:
        super().__init__(
            "the portal has no token, so HubSpot cannot be asked who a user is",
            f"give portals.{portal_id} a `token`, or set HUBSPOT_PORTAL_TOKEN if there is no other"
            f" portal, and no database: {HOW}",
        )


PostBy = Callable[[Deadline], "Post"]
"""Gives what sends forms whose answers are due by the deadline."""


def sender(base_url: str) -> SendBy:
    """Return what sends requests to HubSpot's API there."""
    return lambda deadline: partial(_by_curl, base_url, deadline)


def poster(base_url: str) -> PostBy:
    """Return what sends forms to HubSpot's API there."""

    def post_by(deadline: Deadline) -> "Post":
        return lambda target, form: _by_curl(base_url, deadline, target, {}, form)

    return post_by


def _by_curl(
    base_url: str, deadline: Deadline, target: str, headers: Fields, form: Fields | None = None
) -> Answer:
    # Not above: who asks nobody does without libcurl's 10 ms.
    from providers.base.transport import send

    parts = urlsplit(base_url)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/") + target
    body = None if form is None else urlencode(form).encode()
    try:
        return listing.Answer(*send(origin, path, headers, deadline, body))
    except Refused as error:
        raise HubSpotRefused(f"the portal's token: {error}", HOW) from None
    except ProviderError as error:
        late = "no answer came in time"
        why = str(error) if deadline.left() else late
        raise HubSpotUnavailable(f"HubSpot was not reached: {why}") from None
