"""What the commands ask by: portal, user, URL, and the secrets that requests are signed with."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError, Settings
from hubspot.schema import MAX_ID

F = TypeVar("F", bound=Callable[..., Any])


def as_id(text: str) -> int:
    """Return a HubSpot id. Its range is checked here, so that no `--help` shows 2^63 - 1."""
    return int(click.IntRange(1, MAX_ID - 1)(text))


def user(command: F) -> F:
    """Add --user-id and --user, of which one has to be given."""
    by_id = click.option(
        "--user-id", type=as_id, metavar="ID", help="A user of that HubSpot account."
    )
    by_address = click.option(
        "--user",
        "address",
        metavar="ADDRESS",
        help="The same by e-mail address: HubSpot is asked for the id.",
    )
    return by_id(by_address(command))


portal = click.option(
    "--portal-id",
    "--portal",
    type=as_id,
    metavar="ID",
    help="The HubSpot account. [default: the directory's portal, if it has just one]",
)


def only_portal(service: Service) -> int:
    """Return the id of the directory's portal; UsageError where it does not have just one."""
    with suppress(ConfigurationError, ValueError):
        (portal_id,) = service.directory.current().portals
        return portal_id
    raise click.UsageError("give --portal-id: there is no directory with just one portal here")


def as_url(text: str) -> str:
    """Return the text of an option; BadParameter if it is no URL of http or https."""
    with suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname:
            return text
    raise click.BadParameter(f"{text} is not an http or https URL")


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return the client secrets; ConfigurationError if there is none."""
    if not settings.hubspot_client_secret:
        raise ConfigurationError(("HUBSPOT_CLIENT_SECRET: missing; requests are signed with it",))
    return settings.hubspot_client_secret
