"""What `flask check` finds in the settings, the directory and its accounts."""

import difflib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from msgspec.structs import fields

import providers
from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.lookup.judge import count_usable
from helpdesk_numbers.lookup.rules import matches_nothing
from helpdesk_numbers.remedies import in_words
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError, Settings
from providers import PhoneNumber, Provider, ProviderError
from providers.base.provider import ANYBODY, Progress

from .listing import list_with_timeout
from .output import count
from .webhook_url import key_is_due, new_key

ACCOUNT_S = 60.0
"""What an account gets to list everything; a lookup has LOOKUP_DEADLINE."""

PAGE_S = 20.0
"""What it gets for each page of that, so that one that hangs is told of sooner."""

SETTINGS_FIRST = "left out until the settings above are right"


class Finding(NamedTuple):
    """One check: `ok` is None where it was left out, or is a warning; `remedy` says what to do.

    Those that are well and have the same `folds` are counted in one line that says so.
    """

    check: str
    ok: bool | None
    text: str
    remedy: str = ""
    folds: str = ""

    @property
    def left_out(self) -> bool:
        """Return whether it says that something could not be checked."""
        return self.ok is None and self.text.startswith("left out")

    def data(self) -> dict[str, object]:
        """Return what `--json` prints of it."""
        return {"check": self.check, "ok": self.ok, "text": self.text, "remedy": self.remedy}


class LeftOut(Exception):
    """A check cannot be made now, for this reason."""


class Subject(NamedTuple):
    """What is checked; whether nobody outside may be asked; each account's numbers, as listed."""

    service: Service
    offline: bool
    listed: dict[str, list[PhoneNumber]]
    portal_id: int | None = None

    def directory(self) -> Directory:
        """Return the directory in force, of a database the part of the portal that is named."""
        source = self.service.directory
        return source.of(self.portal_id) if self.portal_id else source.current()

    def concerns(self, portal_id: int) -> bool:
        """Return whether that portal is checked: all are, unless one is named."""
        return self.portal_id in (None, portal_id)

    def need_network(self) -> None:
        """Raise LeftOut if nobody outside may be asked."""
        if self.offline:
            raise LeftOut("--offline")


Check = tuple[Callable[[Subject], Iterator[Finding]], tuple[str, ...]]
"""The part that finds out, and the names under which it reports if it is left out or fails."""


def _settings(subject: Subject) -> Iterator[Finding]:
    remedy = "correct it in .env, or among the platform's variables"
    for fault in subject.service.faults:
        yield Finding("settings", False, fault, remedy)
    if not subject.service.faults:
        yield Finding("settings", True, "all there and well-formed")
        settings = subject.service.settings
        if settings.hubspot_portal_token != settings.only_token:
            text = "HUBSPOT_PORTAL_TOKEN has no effect with a database"
            remedy = "give the portal a `token` there: docs/who-sees-what.md"
            yield Finding("settings", None, text, remedy)


def _unread_variables(subject: Subject) -> Iterator[Finding]:
    """Variables that look like ours: a slip of the pen, or another program's."""
    environ = subject.service.environ
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


def _client_secret(subject: Subject) -> Iterator[Finding]:
    if subject.service.faults:
        return
    settings = subject.service.settings
    others = {
        "HUBSPOT_DEVELOPER_API_KEY": settings.hubspot_developer_api_key,
        "HUBSPOT_ACCESS_TOKEN": settings.hubspot_access_token,
        "HUBSPOT_WEBHOOK_KEY": settings.hubspot_webhook_key,
    }
    secrets = settings.hubspot_client_secret
    same = " and ".join(name for name, value in others.items() if value in secrets)
    text = f"it is the same as {same}" if same else f"{len(secrets)} set, no pat-… token"
    remedy = "set HUBSPOT_CLIENT_SECRET to the client secret on the app's Auth page"
    yield Finding("client secret", not same, text, remedy)


def _directory(subject: Subject) -> Iterator[Finding]:
    service, name = subject.service, "directory"
    try:
        service.source  # noqa: B018 - read to see whether it can be, whatever the settings are
    except ConfigurationError as error:
        for fault in error.faults:
            remedy = getattr(fault, "remedy", "") or "docs/directory.md describes every key"
            yield Finding(name, False, fault, remedy)
        return
    if service.faults:
        yield Finding(name, None, SETTINGS_FIRST)
        return
    directory = subject.directory()
    portals, accounts = service.directory.counts()
    text = f"{count(accounts, 'account')}, {count(portals, 'portal')}"
    if not directory.portals and portals:
        text += " in the database: --portal-id checks one with its accounts"
    yield Finding(name, True, text)
    for portal_id, portal in directory.portals.items():
        if not portal.accounts and subject.concerns(portal_id):
            yield Finding(f"portals.{portal_id}", None, "no accounts, so nobody sees a number")


def _webhook_key(subject: Subject) -> Iterator[Finding]:
    """A warning: the service serves without a key, and a release need not wait for one."""
    with suppress(ConfigurationError):  # told of above
        if reason := key_is_due(subject.service):
            remedy = (
                f"set {new_key()} (made just now), and register the URL with it:"
                " docs/security.md says why and how"
            )
            yield Finding("webhook key", None, reason, remedy)


INSIDE: tuple[Check, ...] = (
    (_settings, ("settings",)),
    (_unread_variables, ("other variables",)),
    (_client_secret, ("client secret",)),
    (_directory, ("directory",)),
    (_webhook_key, ("webhook key",)),
)
"""What can be checked whatever the settings are. A good directory's accounts follow."""


def account_checks(directory: Directory, portal_id: int | None = None) -> list[Check]:
    """Return a check for each account, or each of a portal's, which lists its numbers live."""
    portals = directory.portals.values()
    rules = (rule for portal in portals for _, rule in portal.rules_by_place())
    owner = ANYBODY if any(rule.by_address for rule in rules) else None
    return [
        (partial(_account, account, owner), (f"account {name}",))
        for name, account in directory.accounts.items()
        if portal_id is None or name in directory.portals[portal_id].accounts
    ]


def _account(account: Provider, owner: str | None, subject: Subject) -> Iterator[Finding]:
    if not account.fixed:
        subject.need_network()
    name = f"account {account.account}"
    of = f"{account.name}: " if account.name != account.account else ""
    started, progress = time.perf_counter(), Progress()
    try:
        numbers = list_with_timeout(account, ACCOUNT_S, owner, progress, PAGE_S)
    except ProviderError as error:
        text, remedy = in_words(error)
        yield Finding(name, False, of + text, remedy)
        return
    seconds = time.perf_counter() - started
    subject.listed[account.account] = numbers
    usable = count_usable(numbers, account.options.country)
    text = f"{of}{count(len(numbers), 'number')}, {usable} can take calls, {seconds * 1000:.0f} ms"
    remedy = (
        "buy a number that can take calls, set the account's country if its numbers are in national"
        " form, or take the account out of the directory"
    )
    settings, ok = subject.service.settings, usable > 0
    if seconds > settings.lookup_deadline:
        text += f": LOOKUP_DEADLINE is {settings.lookup_deadline:.1f} s, so users see "
        remedy = 'give users rules with numbers = ["…"], or split the account'
        if ok and progress.pages > 1 and settings.last_known_good:
            text += "its last whole listing, made in the background"
            yield Finding(name, None, text, remedy)
            return
        ok, text = False, f"{text}none of them"
    yield Finding(name, ok, text, remedy)


def compare_rules(subject: Subject) -> Iterator[Finding]:
    """Yield the parts of rules that match nothing of what was listed."""
    directory, listed, unknown = subject.directory(), subject.listed, 0
    no_match = "matches no number that can take calls in the user's accounts"
    for portal_id, portal in directory.portals.items():
        for place, rule in portal.rules_by_place() if subject.concerns(portal_id) else ():
            names = [n for n in portal.accounts if rule.accounts is None or n in rule.accounts]
            if not all(name in listed for name in names):
                unknown += 1
                continue
            numbers = [(directory.accounts[name], listed[name]) for name in names]
            for part in matches_nothing(rule, numbers):
                at = f"portals.{portal_id}.{place}.{part}"
                yield Finding(at, False, no_match, "correct it or remove it")
    if unknown:
        text = f"{count(unknown, 'rule')} not compared: an account's numbers could not be read"
        yield Finding("rules", None, text)
