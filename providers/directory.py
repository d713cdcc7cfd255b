"""Which accounts serve a portal, and which of their numbers each user may see.

The directory comes from a TOML file (taken up anew when edited), from the same TOML as text, or
from the environment for a single account. docs/directory.md describes the format.
"""

import logging
import os
import re
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from . import load, prefix
from .base import Provider
from .numbers import to_e164
from .options import Faults, build, did_you_mean, from_environ

log = logging.getLogger(__name__)

MAX_ID = 2**63
"""HubSpot's ids are positive and below this."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user may see. None means no limit; all limits given must hold."""

    numbers: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    owner: str | None = None
    accounts: tuple[str, ...] | None = None


class Grant(msgspec.Struct, frozen=True):
    """One account, under one rule."""

    account: Provider
    rule: Rule


class Portal(msgspec.Struct, frozen=True):
    """A portal's accounts in order, its users' rules, and whether the other users see all."""

    accounts: tuple[str, ...]
    users: Literal["all", "none"] = "all"
    rules: Mapping[int, Rule] = {}


class _PortalTable(msgspec.Struct, forbid_unknown_fields=True):
    accounts: tuple[str, ...]
    users: Literal["all", "none"] = "all"
    user: dict[str, dict[str, Any]] = {}


class Directory:
    """Accounts by name and portals by id, all of them good."""

    def __init__(self, accounts: Mapping[str, Provider], portals: Mapping[int, Portal]) -> None:
        self.accounts = accounts
        self.portals = portals

    def grants(self, portal_id: int, user_id: int) -> tuple[list[Grant], str]:
        """What the user may see, in the portal's order, and why in words."""
        portal = self.portals.get(portal_id)
        if portal is None:
            return [], "portal not in the directory"
        rule = portal.rules.get(user_id)
        if rule is None and portal.users == "none":
            return [], 'user without a rule, and users = "none"'
        why = "user's rule" if rule else "user without a rule: all numbers"
        rule = rule or Rule()
        if rule.numbers == () or rule.names == ():
            return [], "user's rule allows no number"
        asked = [
            Grant(self.accounts[name], rule)
            for name in portal.accounts
            if rule.accounts is None or name in rule.accounts
        ]
        return asked, why


class Source:
    """Where the directory comes from. `current()` gives the one in force.

    A file that is edited is taken up at the next request; one with faults is refused with one log
    line, and the directory before it stays in force.
    """

    def __init__(
        self, environ: Mapping[str, str], path: str | None, text: str | None = None
    ) -> None:
        """Raises Faults if the directory has any."""
        self.refused = 0
        """Faults of the file as it is now, 0 when it is in force."""
        self._environ = environ
        self._path = Path(path) if path else None
        self._lock = threading.Lock()
        self._stamp = self._read_stamp()
        self._directory = self._load(text, None)

    def current(self) -> Directory:
        """The directory in force, after a look at whether the file has changed."""
        if self._path and self._read_stamp() != self._stamp and self._lock.acquire(blocking=False):
            try:
                self._reload()
            finally:
                self._lock.release()
        return self._directory

    def _reload(self) -> None:
        self._stamp = self._read_stamp()
        try:
            self._directory = self._load(None, self._directory)
        except Faults as error:
            self.refused = len(error.faults)
            log.error("directory_refused", extra={"faults": error.faults})
        else:
            self.refused = 0
            log.info("directory_loaded", extra={"portals": len(self._directory.portals)})

    def _load(self, text: str | None, before: Directory | None) -> Directory:
        if text is None and self._path:
            try:
                text = self._path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise Faults([f"{self._path}: cannot be read ({type(error).__name__})"]) from None
        return parse(text or "", self._environ, before)

    def _read_stamp(self) -> tuple[int, ...]:
        try:
            stat = os.stat(self._path) if self._path else None
        except OSError:
            stat = None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat else ()


class OneAccount:
    """The directory of the one-account mode.

    Only the portals named may see its numbers: whoever else installs the app gets an empty list.
    """

    refused = 0

    def __init__(self, account: Provider, portal_ids: tuple[int, ...]) -> None:
        portals = {portal_id: Portal((account.account,)) for portal_id in portal_ids}
        self._directory = Directory({account.account: account}, portals)

    def current(self) -> Directory:
        """The directory."""
        return self._directory


def read_account(environ: Mapping[str, str], provider: str, faults: list[str]) -> Provider | None:
    """The one account, named like its provider, out of the `<PROVIDER>_<OPTION>` variables."""
    kind = _load(provider, "PROVIDER", faults)
    options = from_environ(kind.Options, environ, faults, prefix(provider)) if kind else None
    return kind(options, provider) if kind and options else None


def parse(text: str, environ: Mapping[str, str], before: Directory | None = None) -> Directory:
    """The directory that a TOML text describes. Accounts that `before` has alike are kept.

    Raises:
        Faults: all that is wrong with it, each with its place and without its value.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # its own, or of an endless number or nesting
        raise Faults([f"the directory is not TOML: {error}"]) from None
    faults: list[str] = []
    for name in tables.keys() - {"accounts", "portals"}:
        faults.append(f"{name}: no such table{did_you_mean(name, ('accounts', 'portals'))}")
    accounts = dict(_accounts(_table(tables, "accounts", faults), environ, faults, before))
    known = _table(tables, "accounts", [])
    portals = dict(_portals(_table(tables, "portals", faults), known, accounts, environ, faults))
    if not tables.get("portals"):  # a file caught while it is being written, above all
        faults.append("portals: there are none, so nobody would see a number")
    if faults:
        raise Faults(faults)
    return Directory(accounts, portals)


def _table(tables: Mapping[str, Any], name: str, faults: list[str]) -> dict[str, dict[str, Any]]:
    """The table of tables called `name`, less the entries that are none."""
    found = tables.get(name, {})
    if not isinstance(found, dict):
        faults.append(f"{name}: not a table")
        return {}
    faults += [
        f"{name}.{key}: not a table" for key, value in found.items() if not isinstance(value, dict)
    ]
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def _accounts(
    tables: Mapping[str, dict[str, Any]],
    environ: Mapping[str, str],
    faults: list[str],
    before: Directory | None,
) -> Iterator[tuple[str, Provider]]:
    for name, written in tables.items():
        place = f"accounts.{name}"
        table = _resolve(written, place, environ, faults)
        if table is None:
            continue
        provider = table.pop("provider", None)
        if not isinstance(provider, str):
            faults.append(f"{place}.provider: missing")
            continue
        kind = _load(provider, f"{place}.provider", faults)
        options = build(kind.Options, table, _below(place), faults) if kind else None
        if kind is None or options is None:
            continue
        old = before.accounts.get(name) if before else None
        same = old is not None and type(old) is kind and old.options == options
        yield name, old if old and same else kind(options, name)


def _portals(
    tables: Mapping[str, dict[str, Any]],
    known: Mapping[str, Any],
    accounts: Mapping[str, Provider],
    environ: Mapping[str, str],
    faults: list[str],
) -> Iterator[tuple[int, Portal]]:
    for text, written in tables.items():
        place = f"portals.{text}"
        portal_id = _id(text, place, faults)
        table = _resolve(written, place, environ, faults)
        read = build(_PortalTable, table, _below(place), faults) if table is not None else None
        if not read:
            continue
        _check_names(read.accounts, known, f"{place}.accounts", faults)
        countries = {accounts[name].options.country for name in read.accounts if name in accounts}
        country = countries.pop() if len(countries) == 1 else None
        rules = {}
        for user, limits in read.user.items():
            at = f"{place}.user.{user}"
            user_id = _id(user, at, faults)
            rule = build(Rule, limits, _below(at), faults)
            if user_id is not None and rule:
                _check_names(rule.accounts or (), read.accounts, f"{at}.accounts", faults)
                rules[user_id] = _normalise(rule, country, at, faults)
        if portal_id is not None:
            yield portal_id, Portal(read.accounts, read.users, rules)


def _below(place: str) -> Callable[[str], str]:
    return lambda name: f"{place}.{name}"


def _load(provider: str, place: str, faults: list[str]) -> type[Provider] | None:
    try:
        return load(provider)
    except (LookupError, ImportError) as error:
        faults.append(f"{place}: {error.args[0]}")
        return None


def _normalise(rule: Rule, country: str | None, place: str, faults: list[str]) -> Rule:
    """The rule with its numbers in E.164; national forms are read by the accounts' one country."""
    if rule.numbers is None:
        return rule
    numbers = []
    for index, text in enumerate(rule.numbers):
        found = to_e164(text, country)
        if found is None:
            faults.append(f"{place}.numbers[{index}]: not a phone number")
        else:
            numbers.append(found.number)
    return msgspec.structs.replace(rule, numbers=tuple(numbers))


def _check_names(
    names: tuple[str, ...],
    known: Mapping[str, Any] | tuple[str, ...],
    place: str,
    faults: list[str],
) -> None:
    for index, name in enumerate(names):
        if name not in known:
            faults.append(f"{place}[{index}]: no account {name!r}{did_you_mean(name, known)}")


def _id(text: str, place: str, faults: list[str]) -> int | None:
    if re.fullmatch(r"[1-9][0-9]{0,18}", text) and int(text) < MAX_ID:
        return int(text)
    faults.append(f"{place}: not an id of HubSpot's, which are positive integers")
    return None


def _resolve(
    table: dict[str, Any], place: str, environ: Mapping[str, str], faults: list[str]
) -> dict[str, Any] | None:
    """The table with every `env:NAME` replaced, or None and a fault where NAME is not set."""
    count = len(faults)

    def replace(value: Any, at: str) -> Any:
        if isinstance(value, dict):
            return {key: replace(inner, f"{at}.{key}") for key, inner in value.items()}
        if isinstance(value, list):
            return [replace(inner, f"{at}[{index}]") for index, inner in enumerate(value)]
        if isinstance(value, str) and value.startswith("env:"):
            name = value.removeprefix("env:")
            if not environ.get(name):
                faults.append(f"{at}: the environment variable {name} is not set")
            return environ.get(name, "")
        return value

    resolved: dict[str, Any] = replace(table, place)
    return resolved if len(faults) == count else None
