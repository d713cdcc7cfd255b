"""How the commands ask HubSpot about a portal's users."""

import click

from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError
from helpdesk_numbers.users.people import People


def people_of(service: Service, portal_id: int) -> People:
    """Return HubSpot's users of the portal; LookupFailed if it has no token."""
    try:
        directory = service.directory.of(portal_id)
    except ConfigurationError:  # a command may run where no directory is
        directory = None
    return People(service.settings, directory, portal_id)


def user_id_of(service: Service, portal_id: int, user_id: int | None, address: str | None) -> int:
    """Return the id of the user that --user-id or --user names; UsageError unless one does."""
    if (user_id is None) == (address is None):
        raise click.UsageError("give --user-id or --user, and not both")
    if user_id:
        return user_id
    found = people_of(service, portal_id).find_by_email(address or "")
    if found is None:
        raise click.ClickException(f"HubSpot has no active user {address} in this portal")
    return found.id
