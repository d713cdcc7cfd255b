"""What the commands ask by: portal, user, URL, and the secrets that requests are signed with."""

from contextlib import suppress
from urllib.parse import urlsplit

import click

from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError, Settings
from hubspot.schema import MAX_ID


def _as_id(text: str) -> int:
    """A HubSpot id. Its range is checked here, so that no `--help` shows 2^63 - 1."""
    return int(click.IntRange(1, MAX_ID - 1)(text))


user = click.option(
    "--user-id", type=_as_id, metavar="ID", required=True, help="A user of that HubSpot account."
)
portal = click.option(
    "--portal-id",
    type=_as_id,
    metavar="ID",
    help="The HubSpot account. [default: the directory's portal, if it has just one]",
)


def only_portal(service: Service) -> int:
    """Return the id of the directory's portal.

    Raises:
        UsageError: there are several portals, or no usable directory.
    """
    portal_ids: list[int] = []
    with suppress(ConfigurationError):
        portal_ids += service.directory.current().portals
    if len(portal_ids) != 1:
        raise click.UsageError("give --portal-id: no directory here has just one portal")
    return portal_ids[0]


def as_url(text: str) -> str:
    """Return the text, the type of an option.

    Raises:
        BadParameter: it is no URL of http or https.
    """
    with suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname:
            return text
    raise click.BadParameter(f"{text} is not an http or https URL")


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return the client secrets.

    Raises:
        ConfigurationError: there is none.
    """
    if not settings.hubspot_client_secret:
        raise ConfigurationError(("HUBSPOT_CLIENT_SECRET: missing; requests are signed with it",))
    return settings.hubspot_client_secret
