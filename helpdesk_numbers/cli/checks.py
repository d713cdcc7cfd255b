"""What `flask check` finds in the settings, the directory and its accounts."""

import difflib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from msgspec.structs import fields

import providers
from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.lookup.rules import judge, matches_nothing
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError, Settings
from providers import PhoneNumber, Provider, ProviderError
from providers.base.options import Problem
from providers.base.provider import ANYBODY

from .listing import list_with_timeout
from .output import count, remedy_for, try_again

ACCOUNT_S = 20.0
"""What an account gets to list everything; a lookup has LOOKUP_DEADLINE."""

SETTINGS_FIRST = "left out until the settings above are right"

Listed = dict[str, list[PhoneNumber]]
"""The numbers of each account that could be listed, by its name."""


class Finding(NamedTuple):
    """One check: `ok` is None where it was left out; `remedy` says what to do if it is False."""

    check: str
    ok: bool | None
    text: str
    remedy: str = ""


class Check(NamedTuple):
    """A row of the table of checks: the names it reports under, and the part that finds out.

    Under --offline, a part that needs the network is left out; `part` does not have to know.
    """

    names: tuple[str, ...]
    part: Callable[[Service], Iterator[Finding]]
    needs_network: bool = False


def _settings(service: Service) -> Iterator[Finding]:
    remedy = "put it right in .env, or among the platform's variables"
    for fault in service.faults:
        yield Finding("settings", False, fault, remedy)
    if not service.faults:
        yield Finding("settings", True, "all there and well-formed")


def _unread_variables(service: Service) -> Iterator[Finding]:
    """Variables that look like ours: a slip of the pen, or another program's."""
    environ = service.environ
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
                hint = "".join(f" (did you mean {full[match]}?)" for match in near)
                yield Finding("settings", None, f"nothing reads {name}{hint}")


def _client_secret(service: Service) -> Iterator[Finding]:
    if service.faults:
        return
    secrets = service.settings.hubspot_client_secret
    others = {
        "HUBSPOT_DEVELOPER_API_KEY": service.settings.hubspot_developer_api_key,
        "HUBSPOT_ACCESS_TOKEN": service.settings.hubspot_access_token,
    }
    same = " and ".join(name for name, value in others.items() if value in secrets)
    text = f"it is the same as {same}" if same else f"{len(secrets)} set, no pat-… token"
    remedy = "set HUBSPOT_CLIENT_SECRET to the client secret on the app's Auth page"
    yield Finding("client secret", not same, text, remedy)


def _directory(service: Service) -> Iterator[Finding]:
    try:
        service.source  # noqa: B018 - read to see whether it can be, whatever the settings are
    except ConfigurationError as error:
        for fault in error.faults:
            remedy = fault.remedy if isinstance(fault, Problem) else ""
            remedy = remedy or "docs/directory.md describes every key"
            yield Finding("directory", False, fault, remedy)
        return
    if service.faults:
        yield Finding("directory", None, SETTINGS_FIRST)
        return
    directory = service.directory.current()
    accounts, portals = len(directory.accounts), len(directory.portals)
    yield Finding("directory", True, f"{count(accounts, 'account')}, {count(portals, 'portal')}")
    for portal_id, portal in directory.portals.items():
        if not portal.accounts:
            yield Finding(f"portals.{portal_id}", None, "no accounts, so nobody sees a number")


INSIDE = (
    Check(("settings",), _settings),
    Check(("other variables",), _unread_variables),
    Check(("client secret",), _client_secret),
    Check(("directory",), _directory),
)
"""What can be checked whatever the settings are. A good directory's accounts follow."""


def account_checks(directory: Directory, listed: Listed) -> list[Check]:
    """Return a check for each account, which lists its numbers live and puts them in `listed`."""
    rules = [rule for portal in directory.portals.values() for rule in portal.rules.values()]
    owner = ANYBODY if any("@" in (rule.owner or "") for rule in rules) else None
    return [
        Check((f"account {name}",), partial(_account, account, owner, listed), not account.fixed)
        for name, account in directory.accounts.items()
    ]


def _account(
    account: Provider, owner: str | None, listed: Listed, service: Service
) -> Iterator[Finding]:
    name = f"account {account.account}"
    of = f"{account.name}: " if account.name != account.account else ""
    started = time.perf_counter()
    try:
        numbers = list_with_timeout(account, ACCOUNT_S, owner)
    except ProviderError as error:
        yield Finding(name, False, f"{of}{error}{try_again(error)}", remedy_for(error))
        return
    seconds = time.perf_counter() - started
    listed[account.account] = numbers
    usable = sum(judge(number, account.options.country).reason is None for number in numbers)
    text = f"{of}{count(len(numbers), 'number')}, {usable} can take calls, {seconds * 1000:.0f} ms"
    remedy = (
        "buy a number that can take calls, set the account's country if its numbers are in national"
        " form, or take the account out of the directory"
    )
    if late := seconds > (deadline_s := service.settings.lookup_deadline):
        text += f": LOOKUP_DEADLINE is {deadline_s:.1f} s, so users see none of them"
        remedy = 'give users rules with numbers = ["…"], or split the account'
    yield Finding(name, usable > 0 and not late, text, remedy)


def compare_rules(listed: Listed, service: Service) -> Iterator[Finding]:
    """Yield the parts of rules that match nothing of what was listed."""
    directory, unknown = service.directory.current(), 0
    for portal_id, portal in directory.portals.items():
        for user_id, rule in portal.rules.items():
            names = [n for n in portal.accounts if rule.accounts is None or n in rule.accounts]
            if not all(name in listed for name in names):
                unknown += 1
                continue
            numbers = [(directory.accounts[name], listed[name]) for name in names]
            for part in matches_nothing(rule, numbers):
                yield Finding(
                    f"portals.{portal_id}.user.{user_id}.{part}",
                    False,
                    "matches no number that can take calls in the user's accounts",
                    "correct it or remove it",
                )
    if unknown:
        text = f"{count(unknown, 'rule')} not compared: an account's numbers were not read"
        yield Finding("rules", None, text)
