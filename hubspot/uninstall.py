"""The app taken out of a portal, for a command.

https://developers.hubspot.com/docs/api-reference/latest/app-management/app-uninstalls/guide
(read November 2026)
"""

from .api import GENERATIONS
from .errors import HubSpotRefused, HubSpotUnavailable
from .requesting import ask


def uninstall(base_url: str, access_token: str) -> None:
    """Uninstall the app from the portal of a token; HubSpot tells its admins by mail.

    Raises:
        HubSpotUnavailable, HubSpotRefused: it is still installed, as far as HubSpot said.
    """
    for generation in GENERATIONS:
        url = f"{base_url.rstrip('/')}/appinstalls/{generation}/external-install"
        answer = ask("DELETE", url, access_token)
        if answer.status_code == 204:
            return
        if answer.status_code in (401, 403):
            raise HubSpotRefused(
                f"HubSpot refuses to uninstall the app ({answer.status_code})",
                "uninstall it in the portal: Settings, Integrations, Connected Apps",
            )
        if answer.status_code != 404:
            raise HubSpotUnavailable(f"HubSpot answered {answer.status_code}")
    raise HubSpotUnavailable("what answers at HUBSPOT_API_BASE_URL is not HubSpot's API")
