"""`flask channel-connection`: the webhook's registration with HubSpot."""

from contextlib import suppress
from functools import partial
from typing import Any

import click
from msgspec.structs import replace

from helpdesk_numbers.service import Service, current_service
from helpdesk_numbers.settings import ConfigurationError, Settings
from helpdesk_numbers.webhook import PATH, hide_key
from hubspot.settings_api import APIError, ChannelConnection, Client, SettingsError

from .output import Group, as_json, ask, emit, example, wants_json, with_remedy
from .webhook_url import key_fault, key_is_due, new_key, usable, webhook_url

TO_TEST = """
To test it, run this in the browser's console on a HubSpot page:

  window.localStorage.setItem('LocalSettings:Calling:supportsChannelConnection', true)

Then release it to everybody: flask channel-connection update --ready"""
"""How one browser sees the app before its release:
https://developers.hubspot.com/docs/api-reference/2026-03/crm/extensions/calling-extensions/third-party-calling
"""

UNKNOWN_APP = (
    "Is HUBSPOT_APP_ID right, HUBSPOT_API_VERSION one that HubSpot serves, and the app's calling"
    " extension set up?"
)

force = click.option("--force", is_flag=True, help="Use the URL even if it looks unusable.")


class _Group(Group):
    """Turns errors of HubSpot's side into its own words, what to do, and exit status 1."""

    def run(self, ctx: click.Context) -> Any:
        try:
            return super().run(ctx)
        except SettingsError as error:
            text = hide_key(str(error), current_service().settings)
            raise click.ClickException(with_remedy(text, advice(error))) from None


channel_connection = _Group(
    "channel-connection", help="Manage the webhook's registration with HubSpot."
)


@channel_connection.command(epilog=example("channel-connection show"))
@as_json
def show() -> None:
    """Show what is registered with HubSpot, and what users see now."""
    settings = current_service().settings
    client = make_client(settings)
    connection = client.fetch()
    if connection is None and client.fetch_calling() is None:
        text = f"HubSpot has no calling settings for app {client.app_id}"
        raise click.ClickException(with_remedy(text, UNKNOWN_APP))
    nothing = [f"Nothing is registered for app {client.app_id}."]
    lines = _lines(connection, settings) if connection else nothing
    data = connection and _hidden(connection, settings)
    emit(data, [*lines, what_users_see(connection)])


@channel_connection.command(epilog=example("channel-connection create"))
@click.option("--url", help=f"The webhook's URL. [default: PUBLIC_URL followed by {PATH}]")
@click.option("--ready/--not-ready", help="Whether all users see it at once. [default: not ready]")
@force
@as_json
def create(url: str | None, ready: bool, force: bool) -> None:
    """Register the webhook with HubSpot, for testers alone unless it is ready.

    A URL that HubSpot could not call, or where this service does not answer, is refused with the
    reason. Without HUBSPOT_WEBHOOK_KEY, it offers to make one if several portals are served.
    """
    service = current_service()
    settings = service.settings
    client = make_client(settings)
    url = webhook_url(settings) if url is None else url
    if url is None:
        raise click.UsageError("give --url, or set PUBLIC_URL")
    url = usable(url, settings, force)
    if before := client.fetch():
        raise click.ClickException(
            f"app {client.app_id} has a registration already ({hide_key(before.url, settings)}):"
            " change it with `flask channel-connection update`, or delete it first"
        )
    _offer_key(service)
    created = client.create(url, ready)
    lines = ["Registered.", *_lines(created, settings), what_users_see(created)]
    emit(_hidden(created, settings), lines if created.is_ready else [*lines, TO_TEST])


@channel_connection.command(epilog=example("channel-connection update --ready"))
@click.option("--url", help="The webhook's new URL.")
@click.option("--ready/--not-ready", default=None, help="Whether all users see it.")
@force
@as_json
def update(url: str | None, ready: bool | None, force: bool) -> None:
    """Change the registered URL, the ready flag, or both, and show what was before."""
    if url is None and ready is None:
        raise click.UsageError("give --url, --ready or --not-ready")
    settings = current_service().settings
    client = make_client(settings)
    before = _registered(client)
    after = client.update(None if url is None else usable(url, settings, force), ready)
    same = (before.url == after.url, before.is_ready == after.is_ready)
    changes = [
        f"{old} (unchanged)" if alike else f"{old} → {new.partition(': ')[2]}"
        for old, new, alike in zip(
            _state(before, settings), _state(after, settings), same, strict=True
        )
    ]
    data = {"before": _hidden(before, settings), "after": _hidden(after, settings)}
    emit(data, [*changes, *_key_fault(after, settings), what_users_see(after)])


@channel_connection.command(epilog=example("channel-connection delete --yes"))
@click.option("--yes", is_flag=True, help="Delete without asking, as in a script.")
@as_json
def delete(yes: bool) -> None:
    """Delete the registration after asking, so that nobody can choose the app for a channel."""
    settings = current_service().settings
    client = make_client(settings)
    before = _registered(client)
    if not yes:
        click.echo("\n".join(_lines(before, settings)), err=wants_json())
        unanswered = "nobody is there to answer, so nothing was deleted; --yes deletes unasked"
        confirm = partial(click.confirm, abort=True, err=wants_json())
        ask(confirm, click.ClickException(unanswered), "Delete this registration?")
    client.delete()
    data = {"before": _hidden(before, settings), "after": None}
    emit(data, ["Deleted.", what_users_see(None)])


def _registered(client: Client) -> ChannelConnection:
    connection = client.fetch()
    if connection is None:
        text = f"nothing is registered for app {client.app_id}"
        raise click.ClickException(f"{text}: register it by `flask channel-connection create`")
    return connection


def what_users_see(connection: ChannelConnection | None) -> str:
    """Return what this state means in HubSpot's list of providers, in a sentence."""
    if connection is None:
        return "Users see now: the app cannot be chosen for a channel, not even by testers."
    if connection.is_ready:
        return "Users see now: the app, selectable by everybody who has it installed."
    return "Users see now: the app greyed out; testers who set the browser flag can select it."


def make_client(settings: Settings) -> Client:
    """Return the client of HubSpot's settings; ConfigurationError names what is missing for it."""
    app_id, faults = settings.hubspot_app_id, []
    if app_id is None:
        faults.append("HUBSPOT_APP_ID: missing; HubSpot's settings belong to an app")
    if not settings.hubspot_access_token and not settings.hubspot_developer_api_key:
        faults.append(
            "HUBSPOT_DEVELOPER_API_KEY: missing; set it (the developer account's key, not a"
            " pat-… token), or HUBSPOT_ACCESS_TOKEN"
        )
    if faults or app_id is None:
        raise ConfigurationError(faults)
    return Client(
        app_id,
        settings.hubspot_api_base_url,
        settings.hubspot_api_version,
        settings.hubspot_developer_api_key,
        settings.hubspot_access_token,
    )


def _offer_key(service: Service) -> None:
    """Offer a key for .env where the webhook should have one; without an answer, go on."""
    try:
        reason = key_is_due(service)
    except ConfigurationError:  # no directory at this desk
        return
    if not reason:
        return
    click.echo(f"{reason} (docs/security.md).", err=True)
    silent = click.ClickException("nobody is there to answer")
    with suppress(click.ClickException):
        if not wants_json() and ask(
            partial(click.confirm, default=True, err=True), silent, "Make a key first?"
        ):
            click.echo(new_key())
            click.echo(
                "Nothing is registered yet. Set this line in .env and for the service, restart it,"
                " and run this command again.",
                err=True,
            )
            raise click.exceptions.Exit(1)
        return
    click.echo("Nobody answered, so it is registered without one.", err=True)


_REFUSED = (
    "HUBSPOT_ACCESS_TOKEN or HUBSPOT_DEVELOPER_API_KEY is wrong, has expired, or may not read the"
    " app's settings; the token wins if both are set."
)
_ADVICE = {
    401: _REFUSED,
    403: _REFUSED,
    404: UNKNOWN_APP,
    429: "Try again later, and find out what else uses up the limit.",
    4: "Correct what HubSpot names, or give its support the correlation id.",
    5: "Something is wrong at HubSpot: try later, or give its support the correlation id.",
}


def advice(error: SettingsError) -> str:
    """Return what to do about an error of the settings API."""
    if not isinstance(error, APIError):
        return "Check the network, and HUBSPOT_API_BASE_URL if it is set."
    return _ADVICE.get(error.status) or _ADVICE[5 if error.status >= 500 else 4]


def _hidden(connection: ChannelConnection, settings: Settings) -> ChannelConnection:
    return replace(connection, url=hide_key(connection.url, settings))


def _state(connection: ChannelConnection, settings: Settings) -> list[str]:
    ready = "yes" if connection.is_ready else "no"
    return [f"url: {hide_key(connection.url, settings)}", f"isReady: {ready}"]


def _key_fault(connection: ChannelConnection, settings: Settings) -> list[str]:
    fault = key_fault(connection.url, settings)
    return [f"key: {fault}"] if fault else []


def _lines(connection: ChannelConnection, settings: Settings) -> list[str]:
    times = {"created": connection.created_at, "updated": connection.updated_at}
    shown = [f"{name}: {at:%Y-%m-%d %H:%M %Z}" for name, at in times.items() if at]
    return [*_state(connection, settings), *_key_fault(connection, settings), *shown]
