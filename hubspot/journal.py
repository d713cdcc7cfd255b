"""HubSpot's webhooks journal: where the app was uninstalled, in files that are read one by one.

https://developers.hubspot.com/docs/api-reference/latest/webhooks/webhooks-journal/guide
(read November 2026)
"""

import re
from typing import NamedTuple

import msgspec

from .api import GENERATIONS, decode
from .errors import HubSpotRefused, HubSpotUnavailable
from .requesting import ask

SCOPES = (
    "developer.webhooks_journal.read",
    "developer.webhooks_journal.subscriptions.read",
    "developer.webhooks_journal.subscriptions.write",
)
"""What the app's own token needs."""

RETENTION_S = 3 * 86_400.0
"""How long a file stays in the journal."""

_UNINSTALLS = {
    "subscriptionType": "APP_LIFECYCLE_EVENT",
    "eventTypeId": "4-1916193",
    "properties": [],
}


class File(NamedTuple):
    """A file of the journal: the portals that it says uninstalled the app, and what is read after
    it."""

    uninstalled: list[int]
    offset: str


class _Place(msgspec.Struct, rename="camel"):
    url: str
    current_offset: int | str


class _Event(msgspec.Struct, rename="camel"):
    action: str = ""
    portal_id: int | str | None = None


class _Events(msgspec.Struct, rename="camel"):
    journal_events: list[msgspec.Raw] = []


class Journal:
    """The journal of the app whose own token is given.

    Each method raises HubSpotUnavailable and HubSpotRefused.
    """

    def __init__(self, base_url: str, token: str) -> None:
        self._url, self._token = f"{base_url.rstrip('/')}/webhooks-journal", token

    def subscribe(self) -> None:
        """Have uninstalls written to the journal from now on; once is enough, and twice is once."""
        status = 404
        for generation in GENERATIONS:
            url = f"{self._url}/subscriptions/{generation}"
            status = ask("POST", url, self._token, _UNINSTALLS).status_code
            if status != 404:
                break
        if status != 409:
            _check(status)

    def read(self, after: str | None) -> File | None:
        """Return the file after an offset, or the earliest there is; None if there is none yet."""
        place = f"offset/{after}/next" if after else "earliest"
        for generation in GENERATIONS:
            answer = ask("GET", f"{self._url}/journal/{generation}/{place}", self._token)
            if answer.status_code != 404:
                break
        if answer.status_code in (204, 404):
            return None
        _check(answer.status_code)
        found = decode(answer.content, _Place)
        if not re.match(r"https?://[^/?#@]+/", found.url):
            raise HubSpotUnavailable("HubSpot's journal names no URL of a file")
        file = ask("GET", found.url)  # signed already: our token is not for this host
        _check(file.status_code)
        events = decode(file.content, _Events).journal_events
        return File([*filter(None, map(_uninstalled, events))], str(found.current_offset))


def _check(status: int) -> None:
    if status in (400, 401, 403):
        raise HubSpotRefused(
            f"HubSpot refuses the app its webhooks journal ({status})",
            "the running service notices uninstalls all the same, by the next refresh of a token",
        )
    if not 200 <= status < 300:
        raise HubSpotUnavailable(f"HubSpot answered {status}")


def _uninstalled(raw: msgspec.Raw) -> int | None:
    """The portal, if that is what the event tells; one that cannot be read costs no other."""
    try:
        event = msgspec.json.decode(raw, type=_Event)
        return int(event.portal_id or 0) if event.action == "APP_UNINSTALL" else None
    except (msgspec.DecodeError, ValueError):
        return None
