"""What `flask check` finds at HubSpot, and at the public URL that HubSpot calls."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import msgspec
import requests

from helpdesk_numbers.settings import ConfigurationError, Settings
from helpdesk_numbers.webhook import PATH, hide_key, webhook_path
from hubspot.schema import NumbersRequest
from hubspot.settings_api import CallingSettings, ChannelConnection, SettingsError, why_no_answer
from hubspot.signature import MAX_AGE_MS

from . import connection
from .checks import Check, Finding, LeftOut, Subject
from .webhook import ask_webhook
from .webhook_url import key_fault, malformed, unanswered, webhook_url

MAX_SKEW_S = 60
"""HubSpot's window is 5 minutes; a clock that is a minute off is broken and gets worse."""


V3_ENDS = "; HUBSPOT_API_VERSION=v3 is supported until September 2027: set 2026-09 by then"
"""docs/registering.md has the source."""


def _clock(subject: Subject) -> Iterator[Finding]:
    subject.need_network()
    started, url = time.time(), subject.service.settings.hubspot_api_base_url
    try:
        answer = requests.head(url, timeout=10, allow_redirects=False)
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except requests.RequestException as error:
        raise LeftOut(f"HubSpot did not give the time: {why_no_answer(error)}") from None
    except (KeyError, ValueError, OverflowError):
        raise LeftOut("HubSpot did not give the time") from None
    skew_s = (started + time.time()) / 2 - theirs  # theirs is in whole seconds
    text = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} HubSpot's"
    yield Finding(
        "clock",
        abs(skew_s) <= MAX_SKEW_S,
        text if abs(skew_s) >= 2 else "agrees with HubSpot's",
        f"set it by NTP: from {MAX_AGE_MS // 1000} s on, every request gets a 401",
    )


def _public_url(subject: Subject) -> Iterator[Finding]:
    name, settings = "public URL", subject.service.settings
    url = webhook_url(settings)
    base = (url or "").removesuffix(webhook_path(settings))
    if url and (reason := malformed(url, settings)):
        yield Finding(name, False, f"{base}: {reason}", "correct PUBLIC_URL")
        return
    subject.need_network()
    if url is None:
        text = "PUBLIC_URL is not set, so the URL that HubSpot signs is guessed from each request"
        yield Finding(name, False, text, "set PUBLIC_URL to the service's outside base URL")
    elif reason := unanswered(base):
        remedy = "start the service, or correct PUBLIC_URL"
        yield Finding(name, False, f"{base}: {reason}", remedy)
    else:
        yield Finding(name, True, f"{base}/healthz answers")
        if settings.hubspot_client_secret:
            yield _signed_request(settings, url)


_REMEDIES = {
    None: f"PUBLIC_URL followed by {PATH} must lead to this service: look at what is in between",
    "INVALID_AUTHENTICATION": (
        "the service there has another HUBSPOT_CLIENT_SECRET or PUBLIC_URL, or a proxy changes"
        " requests: its log says which, and `flask webhook explain --from-log FILE` reads it"
    ),
    "APP_MISMATCH": "the service there has another HUBSPOT_APP_ID: set the same one here and there",
    "NOT_FOUND": (
        "set the same HUBSPOT_WEBHOOK_KEY here and there, or the same none; else the path before"
        f" {PATH} is not that of PUBLIC_URL"
    ),
}
"""What to do about the category of an error; None: it is not this service's."""


def _signed_request(settings: Settings, url: str) -> Finding:
    """Whether the service has our secret: it gets a request as from a portal that is none of ours,
    so that no carrier is asked."""
    request = NumbersRequest(settings.hubspot_app_id or 1, 1, 1)
    name, log = "webhook", "see the service's log"
    try:
        with requests.Session() as session:
            answer = ask_webhook(session, request, settings.hubspot_client_secret[0], url, url)
    except (requests.RequestException, ValueError) as error:
        return Finding(name, False, f"a signed request: {why_no_answer(error)}", log)
    status = answer.response.status_code
    text = f"a signed request is answered with {status}"
    if answer.numbers() is not None:
        return Finding(name, True, text)
    category = _category(answer.response.content)
    if category is None:
        text += ", and not by this service"
    return Finding(name, False, text, _REMEDIES.get(category, log))


def _category(body: bytes) -> str | None:
    """The category of an error in HubSpot's shape, or None if the body is anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, str]).get("category")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _redis(subject: Subject) -> Iterator[Finding]:
    url = subject.service.settings.redis_url
    if url is None:
        return
    subject.need_network()
    from redis import RedisError

    from helpdesk_numbers.redis_client import connect

    started = time.perf_counter()
    try:
        with connect(url) as redis:
            redis.ping()
            took_s = time.perf_counter() - started
    except (RedisError, OSError) as error:
        remedy = "start it, or correct REDIS_URL: instances share no last good answers without it"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            remedy = "if its certificate is self-signed, end REDIS_URL with ?ssl_cert_reqs=none"
        yield Finding("Redis", False, f"does not answer: {error}", remedy)
    else:
        yield Finding("Redis", True, f"answers, in {took_s * 1000:.0f} ms with connecting")


def _registration(subject: Subject) -> Iterator[Finding]:
    subject.need_network()
    name, calling, settings = "registration", "calling settings", subject.service.settings
    try:
        client = connection.make_client(settings)
    except ConfigurationError as error:
        names = " and ".join(fault.partition(":")[0] for fault in error.faults)
        raise LeftOut(f"{names} not set") from None
    try:
        registered, calling_settings = client.fetch(), client.fetch_calling()
    except SettingsError as error:
        yield Finding(name, False, hide_key(str(error), settings), connection.advice(error))
        yield Finding(calling, None, "left out: HubSpot did not give them")
        return
    if registered is None and calling_settings is None:
        text = f"HubSpot has no calling settings for app {client.app_id}"
        yield Finding(name, False, text, connection.UNKNOWN_APP)
        return
    yield from _connection(registered, settings)
    finding = _calling(calling, calling_settings)
    ends = V3_ENDS if settings.hubspot_api_version == "v3" else ""
    yield finding._replace(text=finding.text + ends)


def _connection(registered: ChannelConnection | None, settings: Settings) -> Iterator[Finding]:
    name = "registration"
    if registered is None:
        remedy = "once the service runs: flask channel-connection create"
        yield Finding(name, False, "there is none", remedy)
        return
    ours = webhook_url(settings)
    shown, wanted = (hide_key(url, settings) for url in (registered.url, ours or "URL"))
    remedy = f"flask channel-connection update --url {wanted}, or correct PUBLIC_URL"
    if fault := key_fault(registered.url, settings):
        remedy = f"{remedy} or HUBSPOT_WEBHOOK_KEY"
        yield Finding(name, False, f"{shown}: {fault}", remedy)
    elif ours is None:
        yield Finding(name, True, f"{shown}, with no PUBLIC_URL here to compare it with")
    else:
        same = registered.url == ours
        yield Finding(name, same, shown if same else f"{shown}, not {wanted}", remedy)
    remedy = "once it is tested, release it: flask channel-connection update --ready"
    yield Finding("released", registered.is_ready, connection.what_users_see(registered), remedy)


def _calling(name: str, calling: CallingSettings | None) -> Finding:
    if calling is None:
        return Finding(name, False, "there are none", "set up the app's calling extension")
    inbound = calling.supports_inbound_calling
    text = {True: "true", False: "false", None: "not given"}[inbound]
    remedy = "help desk needs inbound calling: set it to true in the app's calling settings"
    return Finding(name, inbound is True, f"supportsInboundCalling is {text}", remedy)


OUTSIDE: tuple[Check, ...] = (
    (_clock, ("clock",)),
    (_public_url, ("public URL",)),
    (_redis, ("Redis",)),
    (_registration, ("registration", "calling settings")),
)
"""What can be checked once all settings are well-formed."""
