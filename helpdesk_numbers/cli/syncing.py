"""`flask portals sync`: where the app was uninstalled, by HubSpot's journal."""

import click

from helpdesk_numbers.install import sync as syncing
from helpdesk_numbers.service import current_service
from hubspot.errors import LookupFailed

from .output import as_json, count, emit, example, of_hubspot


@click.command(epilog=example("portals sync"))
@as_json
def sync() -> None:
    """Learn from HubSpot's journal which portals uninstalled the app, and purge those whose time is
    over. For a scheduler, once a day; it may run twice at once.

    Each uninstall is proven by a refresh of the portal's token. The journal keeps three days; the
    running service notices an uninstall by itself, with the next refresh.
    """
    service = current_service()
    if not service.settings.hubspot_client_id:
        raise click.ClickException("set HUBSPOT_CLIENT_ID: the app whose installs they are")
    try:
        done = syncing.sync(service.app)
    except LookupFailed as error:
        raise click.ClickException(of_hubspot(error)) from None
    lines = [
        f"{count(done.files, 'file')} of HubSpot's journal read.",
        *(f"Portal {portal_id}: the app is gone." for portal_id in done.gone),
        *(f"Portal {portal_id}: purged." for portal_id in done.purged),
    ]
    emit(done._asdict(), lines)
