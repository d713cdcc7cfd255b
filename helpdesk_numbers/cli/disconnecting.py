"""`flask portals disconnect`: the app out of a portal, and the portal out of the database."""

from contextlib import suppress
from functools import partial

import click

from helpdesk_numbers.database.encryption import Undecipherable
from helpdesk_numbers.database.purge import purge
from helpdesk_numbers.install.app import App
from helpdesk_numbers.service import current_service
from hubspot.errors import LookupFailed, PortalGone
from hubspot.uninstall import uninstall
from providers.base.options import Secret
from providers.base.provider import Deadline

from .database import whoami
from .options import as_id
from .output import as_json, ask, emit, example, of_hubspot, wants_json

STEP_S = 20.0
"""What HubSpot gets for each step."""


@click.command(epilog=example("portals disconnect 62515"))
@click.argument("portal_id", type=as_id, metavar="ID")
@click.option("--yes", is_flag=True, help="Do it without asking, as in a script.")
@as_json
def disconnect(portal_id: int, yes: bool) -> None:
    """Uninstall the app from a portal, and delete all there is of the portal after asking.

    That is its tokens, its rules, and those of its accounts that no other portal uses. HubSpot
    tells the portal's admins by mail. If HubSpot does not uninstall it, nothing is deleted.
    """
    service = current_service()
    if not service.settings.hubspot_client_id:
        raise click.ClickException("set HUBSPOT_CLIENT_ID: the app whose install it is")
    app = service.app
    try:
        installed, refresh_token = app.installs.stored(portal_id)
    except Undecipherable:
        raise click.ClickException(
            "nothing was deleted: the portal's refresh token cannot be decrypted with any of"
            " ENCRYPTION_KEYS; set the key that it was encrypted with"
        ) from None
    if not installed:
        raise click.ClickException(
            f"the app is not installed in portal {portal_id}, as far as the database knows:"
            f" `flask portals remove {portal_id}` removes the portal alone"
        )
    if not yes:
        unanswered = "nobody is there to answer, so nothing was deleted; --yes deletes unasked"
        confirm = partial(click.confirm, abort=True, err=wants_json())
        question = f"Uninstall the app from portal {portal_id}, and delete the portal?"
        ask(confirm, click.ClickException(unanswered), question)
    try:
        was_there = _uninstalled(app, refresh_token)
    except LookupFailed as error:
        raise click.ClickException(f"nothing was deleted: {of_hubspot(error)}") from None
    removed = purge(app.database, portal_id, whoami()) or []
    lines = [
        "Uninstalled at HubSpot, and its refresh token revoked: an access token lives on for half"
        " an hour at most."
        if was_there
        else "At HubSpot, the app was no longer installed.",
        f"Deleted: the tokens of portal {portal_id}, the portal with its rules"
        + "".join(f", account {name}" for name in removed)
        + ".",
    ]
    emit({"portalId": portal_id, "uninstalled": was_there, "accounts": removed}, lines)


def _uninstalled(app: App, refresh_token: Secret | None) -> bool:
    """Uninstall the app where this token is good; False if it was not installed any more."""
    if not refresh_token:
        return False
    try:
        tokens = app.oauth.refresh(app.post_by(Deadline(STEP_S)), refresh_token)
    except PortalGone:
        return False
    uninstall(app.settings.hubspot_api_base_url, tokens.access_token)
    with suppress(LookupFailed):  # it is of no use any more, revoked or not
        app.oauth.revoke(app.post_by(Deadline(STEP_S)), tokens.refresh_token or refresh_token)
    return True
