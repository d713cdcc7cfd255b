"""`flask channel-connection`: the webhook's registration with HubSpot."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import click
import requests

from helpdesk_numbers.service import current_service
from helpdesk_numbers.settings import ConfigurationError, Settings
from helpdesk_numbers.webhook import PATH
from hubspot.settings_api import APIError, ChannelConnection, Client, SettingsError, why_no_answer

from .output import Group, as_json, print_json

BROWSER_FLAG = (
    "window.localStorage.setItem('LocalSettings:Calling:supportsChannelConnection', true)"
)
"""Lets one browser see the app before release:
https://developers.hubspot.com/docs/api-reference/2026-03/crm/extensions/calling-extensions/third-party-calling
"""

UNKNOWN_APP = (
    "Is HUBSPOT_APP_ID right, HUBSPOT_API_VERSION one that HubSpot serves, and the app's calling"
    " extension set up?"
)

force = click.option("--force", is_flag=True, help="Use the URL even if it looks unusable.")


class Failure(click.ClickException):
    """HubSpot's own words, and exit status 1."""


class _Group(Group):
    """Turns the errors of HubSpot's side into messages."""

    def run(self, ctx: click.Context) -> Any:
        try:
            return super().run(ctx)
        except SettingsError as error:
            raise Failure(f"{error}\n{advice(error)}") from None


channel_connection = _Group(
    "channel-connection", help="Manage the webhook's registration with HubSpot."
)


@channel_connection.command()
@as_json
def show(as_json: bool) -> None:
    """Show the registration, and what users see now."""
    client = make_client(current_service().settings)
    found = client.fetch()
    if found is None and client.fetch_calling() is None:
        raise Failure(f"HubSpot has no calling settings for app {client.app_id}. {UNKNOWN_APP}")
    if as_json:
        print_json(_as_data(found))
        return
    if found is None:
        click.echo(f"Nothing is registered for app {client.app_id}.")
    else:
        _print(found)
    click.echo(what_users_see(found))


@channel_connection.command()
@click.option("--url", help=f"The webhook's URL.  [default: PUBLIC_URL + {PATH}]")
@click.option("--ready/--not-ready", help="Whether all users see it at once. [default: not ready]")
@force
@as_json
def create(url: str | None, ready: bool, force: bool, as_json: bool) -> None:
    """Register the webhook; only testers see it until it is ready."""
    settings = current_service().settings
    client = make_client(settings)
    url = _usable(_default_url(settings) if url is None else url, force)
    before = client.fetch()
    if before is not None:
        raise Failure(
            f"app {client.app_id} has a registration already ({before.url}): change it with"
            " `flask channel-connection update`, or delete it first"
        )
    created = client.create(url, ready)
    if as_json:
        print_json(_as_data(created))
        return
    click.echo("Registered.")
    _print(created)
    click.echo(what_users_see(created))
    if not created.is_ready:
        click.echo(
            "\nTo test it, run this in the browser's console on a HubSpot page:\n\n"
            f"  {BROWSER_FLAG}\n\n"
            "Then release it to everybody: flask channel-connection update --ready"
        )


@channel_connection.command()
@click.option("--url", help="The webhook's new URL.")
@click.option("--ready/--not-ready", default=None, help="Whether all users see it.")
@force
@as_json
def update(url: str | None, ready: bool | None, force: bool, as_json: bool) -> None:
    """Change the URL, the ready flag, or both; show before and after."""
    if url is None and ready is None:
        raise click.UsageError("give --url, --ready or --not-ready")
    client = make_client(current_service().settings)
    before = client.fetch()
    if before is None:
        raise Failure(
            f"nothing is registered for app {client.app_id}: use `flask channel-connection create`"
        )
    after = client.update(None if url is None else _usable(url, force), ready)
    if as_json:
        print_json({"before": _as_data(before), "after": _as_data(after)})
        return
    for name, old, new in (
        ("url", before.url, after.url),
        ("isReady", _yes(before.is_ready), _yes(after.is_ready)),
    ):
        click.echo(f"{name}: {old}" + (f" → {new}" if new != old else " (unchanged)"))
    click.echo(what_users_see(after))


@channel_connection.command()
@click.option("--yes", is_flag=True, help="Do not ask, for scripts.")
def delete(yes: bool) -> None:
    """Take the registration back: nobody can connect a number any more."""
    client = make_client(current_service().settings)
    before = client.fetch()
    if before is None:
        raise Failure(f"nothing is registered for app {client.app_id}")
    if not yes:
        _print(before)
        try:
            click.confirm("Delete this registration?", abort=True)
        except click.Abort as abort:
            if isinstance(abort.__context__, EOFError):  # nobody is there to answer
                raise Failure("nobody answers, so nothing is deleted; --yes does not ask") from None
            raise
    client.delete()
    click.echo("Deleted.")
    click.echo(what_users_see(None))


def what_users_see(found: ChannelConnection | None) -> str:
    """What this state means in HubSpot's list of providers, in a sentence."""
    if found is None:
        return "Users see now: the app cannot be chosen for a channel, not even by testers."
    if found.is_ready:
        return "Users see now: the app, selectable by everybody who has it installed."
    return "Users see now: the app greyed out; testers who set the browser flag can select it."


def make_client(settings: Settings) -> Client:
    """The client of HubSpot's settings.

    Raises:
        ConfigurationError: the app's id or a credential is missing.
    """
    faults = []
    if settings.hubspot_app_id is None:
        faults.append("HUBSPOT_APP_ID: missing; HubSpot's settings belong to an app")
    if not settings.hubspot_access_token and not settings.hubspot_developer_api_key:
        faults.append(
            "HUBSPOT_DEVELOPER_API_KEY: missing; set it (the developer account's key, which is no"
            " pat-… token), or HUBSPOT_ACCESS_TOKEN"
        )
    if faults or settings.hubspot_app_id is None:
        raise ConfigurationError(tuple(faults))
    return Client(
        settings.hubspot_app_id,
        settings.hubspot_api_base_url,
        settings.hubspot_api_version,
        settings.hubspot_developer_api_key,
        settings.hubspot_access_token,
    )


def unusable(url: str) -> str | None:
    """Why HubSpot could not use this URL, if so; asks the service behind it for `/healthz`."""
    return malformed(url) or _unanswered(url.removesuffix(PATH))


def malformed(url: str) -> str | None:
    """Why HubSpot could not use this URL, as far as its text tells."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "it is no URL"
    if parts.scheme != "https" or not host:
        return "it is not https, and a webhook has to be"
    if parts.query or parts.fragment:
        return "it has a query or fragment, which proxies like to rewrite and signatures hold"
    if _is_private(host):
        return "it names this machine or a private network, which HubSpot cannot reach"
    if not parts.path.endswith(PATH):
        return f"it does not end in {PATH}, where the service answers"
    return None


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.rstrip(".").rpartition(".")[2] in ("localhost", "local", "internal")


def _unanswered(base: str) -> str | None:
    try:
        answer = requests.get(f"{base}/healthz", timeout=10, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return f"{base}/healthz does not answer: {why_no_answer(error)}"
    if answer.status_code != 200:
        return f"{base}/healthz answers {answer.status_code}, not 200"
    try:
        ours = answer.json() == {"status": "ok"}
    except ValueError:
        ours = False
    return None if ours else f"{base}/healthz answers, but it is another service"


def _usable(url: str, force: bool) -> str:
    if not force and (reason := unusable(url)):
        raise Failure(f"{url} is not usable: {reason} (--force to use it all the same)")
    return url


def _default_url(settings: Settings) -> str:
    if settings.public_url is None:
        raise click.UsageError("give --url, or set PUBLIC_URL")
    return settings.public_url.rstrip("/") + PATH


def advice(error: SettingsError) -> str:
    """What to do about an error of the settings API."""
    if not isinstance(error, APIError):
        return "Check the network, and HUBSPOT_API_BASE_URL if it is set."
    if error.status in (401, 403):
        return (
            "HUBSPOT_ACCESS_TOKEN or HUBSPOT_DEVELOPER_API_KEY is wrong, expired or lacks the right"
            " to the app's settings; the token wins if both are set."
        )
    if error.status == 404:
        return UNKNOWN_APP
    if error.status == 429:
        return "Try again later, and see what else uses up the limit."
    if error.status >= 500:
        return "HubSpot has trouble: try again later, or give its support the correlation id."
    return "Put right what HubSpot names, or ask its support with the correlation id."


def _print(found: ChannelConnection) -> None:
    click.echo(f"url: {found.url}\nisReady: {_yes(found.is_ready)}")
    for name, at in (("created", found.created_at), ("updated", found.updated_at)):
        if at:
            click.echo(f"{name}: {at:%Y-%m-%d %H:%M %Z}")


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _as_data(found: ChannelConnection | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "url": found.url,
        "isReady": found.is_ready,
        "createdAt": found.created_at.isoformat() if found.created_at else None,
        "updatedAt": found.updated_at.isoformat() if found.updated_at else None,
    }
