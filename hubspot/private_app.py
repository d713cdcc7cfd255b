"""What HubSpot says about a private app's token, for the commands."""

import msgspec

from .errors import HubSpotUnavailable
from .requesting import ask

PREFIX = "pat-"
"""What the tokens begin with, then the data centre: `pat-na1-…`."""


class TokenInfo(msgspec.Struct, rename="camel"):
    """Which portal a token is for, and what it may do."""

    hub_id: int
    scopes: tuple[str, ...] = ()


def fetch_token_info(base_url: str, token: str) -> TokenInfo | None:
    """Return what HubSpot says about the token; None if it does not know it.

    The path is in no documentation; HubSpot's own `@hubspot/mcp-server` (npm) asks it.

    Raises:
        HubSpotUnavailable: it says nothing, or something else.
    """
    url = f"{base_url.rstrip('/')}/oauth/v2/private-apps/get/access-token-info"
    answer = ask("POST", url, body={"tokenKey": token})
    if answer.status_code in (400, 401, 403):
        return None
    if answer.status_code != 200:
        raise HubSpotUnavailable(f"HubSpot answered {answer.status_code}")
    try:
        return msgspec.json.decode(answer.content, type=TokenInfo)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HubSpotUnavailable("HubSpot's answer cannot be read") from None
