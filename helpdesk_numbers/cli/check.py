"""`flask check`: everything that can be wrong, each with what to do about it."""

import difflib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import click
import requests
from flask.cli import with_appcontext
from msgspec.structs import fields

import providers
from helpdesk_numbers.directory.model import Directory, Rule
from helpdesk_numbers.lookup.rules import matches_nothing
from helpdesk_numbers.service import Service, current_service
from helpdesk_numbers.settings import ConfigurationError, Settings
from helpdesk_numbers.webhook import PATH
from hubspot.schema import NumbersRequest, write_request
from hubspot.settings_api import CallingSettings, SettingsError, why_no_answer
from hubspot.signature import MAX_AGE_MS, signed_headers
from providers import Provider
from providers.base.errors import ProviderError
from providers.base.provider import ANYBODY, PhoneNumber

from .asking import ask
from .connection import UNKNOWN_APP, advice, make_client, malformed, unusable, what_users_see
from .output import Command, as_json, count, print_json, remedy_for, try_again

MAX_SKEW_S = 60
"""HubSpot's window is 5 minutes; a clock that is a minute off is broken and gets worse."""

ACCOUNT_S = 20.0
"""What an account gets to list everything; a lookup has LOOKUP_DEADLINE."""

OFFLINE = "left out: --offline"


class Finding(NamedTuple):
    """One check: `ok` is None where it was left out; `remedy` says what to do if it is False."""

    check: str
    ok: bool | None
    text: str
    remedy: str = ""


@click.command(cls=Command)
@click.option("--offline", is_flag=True, help="Ask nobody outside: settings and directory alone.")
@as_json
@with_appcontext
def check(offline: bool, as_json: bool) -> None:
    """Check everything that can be wrong; exit 1 if something is.

    Settings (and variables that look like settings and are none), directory, every account's
    credentials by a listing of all its numbers, the rules, the clock, PUBLIC_URL, the registration
    with HubSpot. Each fault has a remedy below it.
    """
    findings = []
    for finding in find(current_service(), offline):
        if finding.ok is not False:
            finding = finding._replace(remedy="")
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    wrong = sum(finding.ok is False for finding in findings)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        left_out = sum(finding.ok is None for finding in findings)
        click.echo(
            f"\n{wrong or 'Nothing'} wrong" + (f", {left_out} left out." if left_out else ".")
        )
    if wrong:
        raise click.exceptions.Exit(1)


def _line(finding: Finding) -> str:
    mark, colour = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}[finding.ok]
    remedy = f"\n  → {finding.remedy}" if finding.remedy else ""
    return f"{click.style(mark, colour)} {finding.check}: {finding.text}{remedy}"


def find(service: Service, offline: bool) -> Iterator[Finding]:
    """All findings, as they come in. A part that cannot be checked does not keep others from it."""
    faults = service.faults
    for fault in faults:
        yield Finding(
            "settings", False, fault, "put it right in .env, or among the platform's variables"
        )
    if not faults:
        yield Finding("settings", True, "all there and well-formed")
    yield from _guarded("other variables", lambda: _unread(service.environ))
    if not faults:
        yield _secret(service.settings)
    yield from _guarded("directory", lambda: _directory(service, not faults, offline))
    try:
        settings = service.settings
    except ConfigurationError:
        yield Finding("everything else", None, "left out: it needs the settings above")
        return
    yield from _guarded("clock", lambda: _clock(settings, offline))
    yield from _guarded("public URL", lambda: _public_url(settings, offline))
    yield from _guarded("registration", lambda: _registration(settings, offline))


def _guarded(name: str, part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from part()
    except Exception as error:  # whatever answers, and third parties' adapters: report the rest
        said = f"the check itself failed ({type(error).__name__})"
        yield Finding(name, False, said, "report it, with how to make it happen")


def _secret(settings: Settings) -> Finding:
    secrets = settings.hubspot_client_secret
    others = {
        "HUBSPOT_DEVELOPER_API_KEY": settings.hubspot_developer_api_key,
        "HUBSPOT_ACCESS_TOKEN": settings.hubspot_access_token,
    }
    same = [name for name, value in others.items() if value in secrets]
    return Finding(
        "client secret",
        not same,
        f"it is the same as {' and '.join(same)}"
        if same
        else f"{len(secrets)} set, no pat-… token",
        "HUBSPOT_CLIENT_SECRET is the client secret of the app's Auth page, and nothing else",
    )


def _unread(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that look like ours: a slip of the pen, or another program's."""
    ours = {"HUBSPOT_": {field.name.upper() for field in fields(Settings)}}
    if (provider := environ.get("PROVIDER", "").strip()) in providers.names():
        prefix = providers.prefix(provider)
        options = fields(providers.load(provider).Options)
        ours[prefix] = {prefix + option.name.upper() for option in options}
    for prefix, known in ours.items():
        # Compared without the prefix, which makes all of them look alike.
        full = {name.removeprefix(prefix): name for name in known}
        for name in sorted(environ.keys() - known):
            if name.startswith(prefix):
                near = difflib.get_close_matches(name.removeprefix(prefix), full, n=1)
                hint = "".join(f" (did you mean {full[one]}?)" for one in near)
                yield Finding("settings", None, f"nothing reads {name}{hint}")


DIRECTORY_REMEDIES = (
    ("cannot be read", "correct DIRECTORY; a relative path counts from where the service starts"),
    ("is not TOML", "correct it there; https://toml.io describes TOML"),
    ("the environment variable", "set it, or correct the name after env:"),
    ("", "docs/directory.md describes every key"),
)
"""What to do about a fault that has these words; the first counts."""


def _directory(service: Service, settings_good: bool, offline: bool) -> Iterator[Finding]:
    try:
        service.source  # noqa: B018 - read to see whether it can be, whatever the settings are
    except ConfigurationError as error:
        for fault in error.faults:
            remedy = next(remedy for words, remedy in DIRECTORY_REMEDIES if words in fault)
            yield Finding("directory", False, fault, remedy)
        return
    if not settings_good:
        yield Finding("directory", None, "left out: it needs the settings above")
        return
    directory = service.directory.current()
    accounts, portals = len(directory.accounts), len(directory.portals)
    yield Finding("directory", True, f"{count(accounts, 'account')}, {count(portals, 'portal')}")
    yield from _accounts(directory, service.settings.lookup_deadline, offline)


def _accounts(directory: Directory, deadline_s: float, offline: bool) -> Iterator[Finding]:
    """Each account's credentials by a live listing, then the rules against what was listed."""
    listed: dict[str, list[PhoneNumber]] = {}
    rules = [rule for portal in directory.portals.values() for rule in portal.rules.values()]
    by_address = any("@" in (rule.owner or "") for rule in rules)
    with ThreadPoolExecutor(8) as threads:
        asked = {
            name: threads.submit(_account, account, deadline_s, by_address)
            for name, account in directory.accounts.items()
            if account.fixed or not offline
        }
        for name in directory.accounts:
            if name not in asked:
                yield Finding(f"account {name}", None, OFFLINE)
                continue
            finding, numbers = asked[name].result()
            yield finding
            if numbers is not None:
                listed[name] = numbers
    unknown = 0
    for portal_id, portal in directory.portals.items():
        if not portal.accounts:
            yield Finding(f"portals.{portal_id}", None, "no accounts, so nobody sees a number")
        for user_id, rule in portal.rules.items():
            names = [n for n in portal.accounts if rule.accounts is None or n in rule.accounts]
            if all(name in listed for name in names):
                place = f"portals.{portal_id}.user.{user_id}"
                yield from _rule(place, rule, [(directory.accounts[n], listed[n]) for n in names])
            else:
                unknown += 1
    if unknown:
        said = f"{count(unknown, 'rule')} not compared with the numbers of accounts not read"
        yield Finding("rules", None, said)


def _account(
    account: Provider, deadline_s: float, by_address: bool
) -> tuple[Finding, list[PhoneNumber] | None]:
    name = f"account {account.account}"
    of = f"{account.name}: " if account.name != account.account else ""
    started = time.perf_counter()
    try:
        numbers = ask(account, ACCOUNT_S, ANYBODY if by_address else None)
    except ProviderError as error:
        said = f"{of}{error}{try_again(error)}"
        return Finding(name, False, said, remedy_for(error)), None
    seconds = time.perf_counter() - started
    usable = sum(number.voice for number in numbers)
    said = f"{of}{count(len(numbers), 'number')}, {usable} can take calls"
    said += f", {seconds * 1000:.0f} ms"
    if seconds > deadline_s:
        said += f": LOOKUP_DEADLINE is {deadline_s:.1f} s, so users see none of them"
        remedy = 'give users rules with numbers = ["…"], or split the account'
        return Finding(name, False, said, remedy), numbers
    remedy = "buy a number that can take calls, or take the account out of the directory"
    return Finding(name, usable > 0, said, remedy), numbers


def _rule(
    place: str, rule: Rule, listed: list[tuple[Provider, list[PhoneNumber]]]
) -> Iterator[Finding]:
    for part in matches_nothing(rule, listed):
        yield Finding(
            f"{place}.{part}",
            False,
            "matches no number of the user's accounts that can take calls",
            "correct the rule, or take it out",
        )


def _clock(settings: Settings, offline: bool) -> Iterator[Finding]:
    name = "clock"
    if offline:
        yield Finding(name, None, OFFLINE)
        return
    started = time.time()
    try:
        answer = requests.head(settings.hubspot_api_base_url, timeout=10, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        yield Finding(name, None, f"left out: HubSpot told no time: {why_no_answer(error)}")
        return
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        yield Finding(name, None, "left out: HubSpot told no time")
        return
    skew_s = (started + time.time()) / 2 - theirs  # theirs is in whole seconds
    said = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} HubSpot's"
    remedy = f"set it by NTP: from {MAX_AGE_MS // 1000} s on, every request gets 401"
    yield Finding(
        name,
        abs(skew_s) <= MAX_SKEW_S,
        said if abs(skew_s) >= 2 else "as HubSpot's",
        remedy,
    )


def _public_url(settings: Settings, offline: bool) -> Iterator[Finding]:
    name = "public URL"
    if settings.public_url is None:
        yield Finding(
            name,
            None if offline else False,
            "PUBLIC_URL is not set, so the URL that HubSpot signs is guessed from each request",
            "set PUBLIC_URL to the service's outside base URL",
        )
        return
    base = settings.public_url.rstrip("/")
    if reason := malformed(base + PATH):
        yield Finding(name, False, f"{base}: {reason}", "correct PUBLIC_URL")
    elif offline:
        yield Finding(name, None, f"{base} is well-formed; whether it answers is {OFFLINE}")
    elif reason := unusable(base + PATH):
        remedy = "start the service, or correct PUBLIC_URL"
        yield Finding(name, False, f"{base}: {reason}", remedy)
    else:
        yield Finding(name, True, f"{base}/healthz answers")
        if settings.hubspot_client_secret:
            yield _webhook(settings, base + PATH)


def _webhook(settings: Settings, url: str) -> Finding:
    """Whether what stands there has our secret: a signed request, as from a portal that is none of
    ours, so that no carrier is asked."""
    body = write_request(NumbersRequest(settings.hubspot_app_id or 1, 1, 1))
    headers = signed_headers(
        "v3", settings.hubspot_client_secret[0], "POST", url, body, time.time_ns() // 1_000_000
    )
    headers["Content-Type"] = "application/json"
    name, log = "webhook", "see the service's log"
    try:
        answer = requests.post(url, body, headers=headers, timeout=30, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return Finding(name, False, f"a signed request: {why_no_answer(error)}", log)
    try:
        payload = answer.json()
    except ValueError:
        payload = None
    payload = payload if isinstance(payload, dict) else {}
    if answer.status_code == 200 and isinstance(payload.get("phoneNumbers"), list):
        return Finding(name, True, "a signed request is answered with 200")
    category = payload.get("category")
    said = f"a signed request is answered with {answer.status_code}"
    if category == "INVALID_AUTHENTICATION":
        remedy = (
            "another HUBSPOT_CLIENT_SECRET or PUBLIC_URL is set there, or a proxy changes requests:"
            " its log says which, and `flask webhook explain --from-log FILE` reads it"
        )
    elif category == "APP_MISMATCH":
        remedy = "HUBSPOT_APP_ID is another one there: set the same"
    elif category is None or answer.status_code == 404:
        said += ", and not by this service"
        remedy = f"PUBLIC_URL plus {PATH} has to reach it: look at what stands in between"
    else:
        remedy = log
    return Finding(name, False, said, remedy)


def _registration(settings: Settings, offline: bool) -> Iterator[Finding]:
    name, calling = "registration", "calling settings"
    try:
        client = make_client(settings)
        left_out = OFFLINE if offline else ""
    except ConfigurationError as error:
        names = " and ".join(fault.partition(":")[0] for fault in error.faults)
        left_out = f"left out: {names} not set"
    if left_out:
        yield Finding(name, None, left_out)
        yield Finding(calling, None, left_out)
        return
    try:
        found, needed = client.fetch(), client.fetch_calling()
    except SettingsError as error:
        yield Finding(name, False, str(error), advice(error))
        yield Finding(calling, None, "left out: HubSpot did not answer that")
        return
    if found is None and needed is None:
        said = f"HubSpot has no calling settings for app {client.app_id}"
        yield Finding(name, False, said, UNKNOWN_APP)
        return
    if found is None:
        remedy = "when the service runs: flask channel-connection create"
        yield Finding(name, False, "there is none", remedy)
    else:
        yield _same_url(found.url, settings)
        remedy = "when tested, release it: flask channel-connection update --ready"
        yield Finding("released", found.is_ready, what_users_see(found), remedy)
    yield _calling(calling, needed)


def _same_url(registered: str, settings: Settings) -> Finding:
    name = "registration"
    if settings.public_url is None:
        return Finding(name, True, f"{registered}, with no PUBLIC_URL here to compare it with")
    ours = settings.public_url.rstrip("/") + PATH
    if registered == ours:
        return Finding(name, True, registered)
    remedy = f"flask channel-connection update --url {ours}, or correct PUBLIC_URL"
    return Finding(name, False, f"{registered}, not {ours}", remedy)


def _calling(name: str, found: CallingSettings | None) -> Finding:
    if found is None:
        return Finding(name, False, "there are none", "set up the app's calling extension")
    said = {True: "true", False: "false", None: "not given"}[found.supports_inbound_calling]
    return Finding(
        name,
        found.supports_inbound_calling is True,
        f"supportsInboundCalling is {said}",
        "help desk needs inbound calling: set it to true in the app's calling settings",
    )
