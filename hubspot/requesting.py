"""One request to HubSpot for a command, by `requests`."""

from typing import Any

import requests

from .errors import HubSpotUnavailable
from .settings_api import TIMEOUT_S, why_no_answer


def ask(method: str, url: str, token: str | None = None, body: Any = None) -> requests.Response:
    """Return the answer to a request with this token, and with a body as JSON if there is one.

    Raises HubSpotUnavailable if there is no answer.
    """
    try:
        return requests.request(
            method,
            url,
            json=body,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            auth=lambda request: request,  # in place of what ~/.netrc may have for this host
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
    except (requests.RequestException, ValueError) as error:
        raise HubSpotUnavailable(f"HubSpot was not reached: {why_no_answer(error)}") from None
