"""`flask channel-connection`: the webhook's registration with HubSpot."""

import ipaddress
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import click
import requests

from helpdesk_numbers.service import current_service
from helpdesk_numbers.settings import ConfigurationError, Settings
from helpdesk_numbers.webhook import PATH
from hubspot.settings_api import APIError, ChannelConnection, Client, SettingsError, why_no_answer

from .output import Group, as_json, ask, emit, example, with_remedy

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
            raise click.ClickException(with_remedy(str(error), advice(error))) from None


channel_connection = _Group(
    "channel-connection", help="Manage the webhook's registration with HubSpot."
)


@channel_connection.command(epilog=example("channel-connection show"))
@as_json
def show() -> None:
    """Show what is registered with HubSpot, and what users see now."""
    client = make_client(current_service().settings)
    connection = client.fetch()
    if connection is None and client.fetch_calling() is None:
        text = f"HubSpot has no calling settings for app {client.app_id}"
        raise click.ClickException(with_remedy(text, UNKNOWN_APP))
    nothing = [f"Nothing is registered for app {client.app_id}."]
    lines = _lines(connection) if connection else nothing
    emit(connection, [*lines, what_users_see(connection)])


@channel_connection.command(epilog=example("channel-connection create"))
@click.option("--url", help=f"The webhook's URL. [default: PUBLIC_URL followed by {PATH}]")
@click.option("--ready/--not-ready", help="Whether all users see it at once. [default: not ready]")
@force
@as_json
def create(url: str | None, ready: bool, force: bool) -> None:
    """Register the webhook with HubSpot, for testers alone unless it is ready.

    A URL that HubSpot could not call, or where this service does not answer, is refused with the
    reason.
    """
    settings = current_service().settings
    client = make_client(settings)
    url = webhook_url(settings) if url is None else url
    if url is None:
        raise click.UsageError("give --url, or set PUBLIC_URL")
    url = _usable(url, force)
    if before := client.fetch():
        raise click.ClickException(
            f"app {client.app_id} has a registration already ({before.url}): change it with"
            " `flask channel-connection update`, or delete it first"
        )
    created = client.create(url, ready)
    lines = ["Registered.", *_lines(created), what_users_see(created)]
    emit(created, lines if created.is_ready else [*lines, TO_TEST])


@channel_connection.command(epilog=example("channel-connection update --ready"))
@click.option("--url", help="The webhook's new URL.")
@click.option("--ready/--not-ready", default=None, help="Whether all users see it.")
@force
@as_json
def update(url: str | None, ready: bool | None, force: bool) -> None:
    """Change the registered URL, the ready flag, or both, and show what was before."""
    if url is None and ready is None:
        raise click.UsageError("give --url, --ready or --not-ready")
    client = make_client(current_service().settings)
    before = _registered(client)
    after = client.update(None if url is None else _usable(url, force), ready)
    changes = [
        f"{old} (unchanged)" if old == new else f"{old} → {new.partition(': ')[2]}"
        for old, new in zip(_lines(before)[:2], _lines(after)[:2], strict=True)
    ]
    emit({"before": before, "after": after}, [*changes, what_users_see(after)])


@channel_connection.command(epilog=example("channel-connection delete --yes"))
@click.option("--yes", is_flag=True, help="Delete without asking, as in a script.")
def delete(yes: bool) -> None:
    """Delete the registration after asking, so that nobody can choose the app for a channel."""
    client = make_client(current_service().settings)
    before = _registered(client)
    if not yes:
        click.echo("\n".join(_lines(before)))
        unanswered = "nobody is there to answer, so nothing was deleted; --yes deletes unasked"
        confirm = partial(click.confirm, abort=True)
        ask(confirm, click.ClickException(unanswered), "Delete this registration?")
    client.delete()
    click.echo(f"Deleted.\n{what_users_see(None)}")


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


def webhook_url(settings: Settings) -> str | None:
    """Return the URL by which HubSpot reaches the webhook, or None if PUBLIC_URL is not set."""
    return settings.public_url and settings.public_url.rstrip("/") + PATH


def malformed(url: str) -> str | None:
    """Return why HubSpot could not use this URL, as far as its text tells."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "it is not a URL"
    faults = {
        "it is not https, as a webhook has to be": parts.scheme != "https" or not host,
        "it has a query or fragment: proxies rewrite these, and then no signature matches": (
            parts.query or parts.fragment
        ),
        "it names this machine or a private network, which HubSpot cannot reach": _is_private(host),
        f"it does not end in {PATH}, where the service answers": not parts.path.endswith(PATH),
    }
    return next((text for text, true in faults.items() if true), None)


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.rstrip(".").rpartition(".")[2] in ("localhost", "local", "internal")


def unanswered(base: str) -> str | None:
    """Return why this is not the service's base URL, if so: `/healthz` below it has to answer."""
    try:
        answer = requests.get(f"{base}/healthz", timeout=10, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return f"{base}/healthz does not answer: {why_no_answer(error)}"
    if answer.status_code != 200:
        return f"{base}/healthz answers {answer.status_code}, not 200"
    with suppress(ValueError):
        if answer.json() == {"status": "ok"}:
            return None
    return f"{base}/healthz answers, but it is another service"


def _usable(url: str, force: bool) -> str:
    if not force and (reason := malformed(url) or unanswered(url.removesuffix(PATH))):
        raise click.ClickException(f"{url} is not usable: {reason} (--force uses it anyway)")
    return url


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


def _lines(connection: ChannelConnection) -> list[str]:
    lines = [f"url: {connection.url}", f"isReady: {'yes' if connection.is_ready else 'no'}"]
    times = {"created": connection.created_at, "updated": connection.updated_at}
    return lines + [f"{name}: {at:%Y-%m-%d %H:%M %Z}" for name, at in times.items() if at]
