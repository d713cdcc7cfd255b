"""The webhook's URL as the commands use it: made, checked, and with its key."""

import ipaddress
import secrets
import string
from contextlib import suppress
from urllib.parse import urlsplit

import click
import requests

from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import Settings
from helpdesk_numbers.webhook import HIDDEN, PATH, hide_key, webhook_path
from hubspot.settings_api import why_no_answer


def with_key(url: str, settings: Settings) -> str:
    """Return the text of an option with HUBSPOT_WEBHOOK_KEY in place of HIDDEN, which we show."""
    return url.replace(f"{PATH}/{HIDDEN}", webhook_path(settings))


def read_url(text: str, settings: Settings) -> str:
    """Return the webhook's URL for the text of an option: the service's base URL, or all of it.

    A whole one keeps what stands in it, but for a slash at the end, and HIDDEN for the key.
    """
    url = text.strip()
    if "?" in url or "#" in url:
        return with_key(url, settings)
    url = url.rstrip("/")
    whole = url.endswith(PATH) or f"{PATH}/" in url
    return with_key(url, settings) if whole else url + webhook_path(settings)


def signed_url(target: str, settings: Settings) -> str:
    """Return the URL that a request to the webhook's URL is signed for: a service on this machine
    verifies for the outside one, as ever."""
    return webhook_url(settings) or target if is_local(target) else target


def is_local(url: str) -> bool:
    """Return whether the URL names this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def key_is_due(service: Service) -> str:
    """Return why the webhook should have a key; empty if it has one, or needs none.

    Raises:
        ConfigurationError: settings or directory are not usable.
    """
    served = service.directory.current().portals.values()
    portals = sum(bool(portal.accounts) for portal in served)
    if service.settings.hubspot_webhook_key or portals < 2:
        return ""
    return (
        f"HUBSPOT_WEBHOOK_KEY is not set, and {portals} portals are served: by a HubSpot workflow,"
        " an outsider can have HubSpot sign a request for another company's numbers"
    )


def new_key() -> str:
    """Make a line for .env with a key that nobody has yet: 190 bits of chance."""
    letters = string.ascii_letters + string.digits
    return "HUBSPOT_WEBHOOK_KEY=" + "".join(secrets.choice(letters) for _ in range(32))


def webhook_url(settings: Settings) -> str | None:
    """Return the URL by which HubSpot reaches the webhook, or None if PUBLIC_URL is not set."""
    return settings.public_url and settings.public_url.rstrip("/") + webhook_path(settings)


def key_fault(url: str, settings: Settings) -> str:
    """Return what is wrong with the key in a registered URL, in words; empty if nothing is."""
    in_url, key = url.partition(f"{PATH}/")[2], settings.hubspot_webhook_key
    if not key:
        return "the URL has a key, and HUBSPOT_WEBHOOK_KEY is not set here" if in_url else ""
    if not in_url:
        return "the URL lacks HUBSPOT_WEBHOOK_KEY"
    return "" if in_url == key else "the URL has another key than HUBSPOT_WEBHOOK_KEY"


def malformed(url: str, settings: Settings) -> str | None:
    """Return why HubSpot could not use this URL, as far as its text tells."""
    path = webhook_path(settings)
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
        f"it does not end in {hide_key(path, settings)}, where the service answers": (
            not parts.path.endswith(path)
        ),
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


def usable(url: str, settings: Settings, force: bool) -> str:
    """Return the URL to register, for the text of an option.

    Raises:
        ClickException: HubSpot could not use it, or the service does not answer there; not if
            `force` is set.
    """
    url = read_url(url, settings)
    if not force:
        reason = malformed(url, settings) or unanswered(url.removesuffix(webhook_path(settings)))
        if reason:
            fault = f": {key}" if (key := key_fault(url, settings)) else ""
            raise click.ClickException(
                f"{hide_key(url, settings)} is not usable: {reason}{fault} (--force uses it anyway)"
            )
    return url
