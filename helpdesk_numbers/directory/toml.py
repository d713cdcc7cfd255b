"""The directory out of a TOML text, with every fault by its place.

docs/directory.md describes the format.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from hubspot.schema import MAX_ID
from providers import load, prefix
from providers.base.numbers import to_e164
from providers.base.options import FAULTY, Faults, build, did_you_mean, from_environ, sift
from providers.base.provider import Provider

from .model import Directory, Portal, Rule

MANY = 20
"""Faults, after which nobody is told what was meant: that takes a look at all names."""


class _PortalTable(msgspec.Struct, forbid_unknown_fields=True):
    accounts: tuple[str, ...]
    users: Literal["all", "none"] = "all"
    user: dict[str, Any] = {}


def read_account(environ: Mapping[str, str], provider: str, faults: list[str]) -> Provider | None:
    """The one account, named like its provider, out of the `<PROVIDER>_<OPTION>` variables."""
    kind = _kind(_load(provider), "PROVIDER", faults)
    options = from_environ(kind.Options, environ, faults, prefix(provider)) if kind else None
    return _make(kind, options, provider, "PROVIDER", faults) if kind and options else None


def parse(
    text: str,
    environ: Mapping[str, str],
    before: Directory | None = None,
    name: str = "the directory",
) -> Directory:
    """The directory that a TOML text describes. Accounts that `before` has alike are kept.

    Raises:
        Faults: all that is wrong with it, each with its place and without its value. `name` is the
            text's own place.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # its own, or of an endless number or nesting
        raise Faults([f"{name} is not TOML: {error}"]) from None
    faults: list[str] = []
    for key in tables.keys() - {"accounts", "portals"}:
        faults.append(f"{key}: no such table{did_you_mean(key, ('accounts', 'portals'))}")
    known = _resolve(_table(tables, "accounts", "", faults), "accounts", environ, faults)
    accounts = dict(_accounts(known, faults, before))
    listed = _resolve(_table(tables, "portals", "", faults), "portals", environ, faults)
    portals = dict(_portals(listed, known, faults))
    if not tables.get("portals"):  # a file caught while it is being written, above all
        faults.append("portals: there are none, so nobody would see a number")
    if faults:
        raise Faults(faults)
    return Directory(accounts, portals)


def _table(
    tables: Mapping[str, Any], name: str, above: str, faults: list[str]
) -> dict[str, dict[str, Any]]:
    """The table of tables called `name`, less the entries that are none."""
    found, place = tables.get(name, {}), above + name
    if not isinstance(found, dict):
        faults.append(f"{place}: not a table")
        return {}
    faults += [
        f"{place}.{key}: not a table" for key, value in found.items() if not isinstance(value, dict)
    ]
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def _accounts(
    tables: Mapping[str, dict[str, Any]], faults: list[str], before: Directory | None
) -> Iterator[tuple[str, Provider]]:
    load_once = cache(_load)  # else the packages installed are gone through for each account
    for name, table in tables.items():
        place = f"accounts.{name}"
        provider = table.get("provider")
        if not isinstance(provider, str):
            if provider is not FAULTY:
                faults.append(f"{place}.provider: missing")
            continue
        kind = _kind(load_once(provider), f"{place}.provider", faults)
        given = {key: value for key, value in table.items() if key != "provider"}
        options = build(kind.Options, given, _below(place), faults) if kind else None
        if kind is None or options is None:
            continue
        old = before.accounts.get(name) if before else None
        same = old is not None and type(old) is kind and old.options == options
        made = old if old and same else _make(kind, options, name, place, faults)
        if made:
            yield name, made


def _make(
    kind: type[Provider], options: Provider.Options, name: str, place: str, faults: list[str]
) -> Provider | None:
    try:
        return kind(options, name)
    except Exception as error:  # a third party's, of whatever kind; its text may hold anything
        faults.append(f"{place}: {kind.name} takes no such options: {type(error).__name__}")
        return None


def _portals(
    tables: Mapping[str, dict[str, Any]],
    known: Mapping[str, dict[str, Any]],
    faults: list[str],
) -> Iterator[tuple[int, Portal]]:
    """The portals, as far as they are good: whoever takes them has to look at `faults`."""
    for text, table in tables.items():
        place = f"portals.{text}"
        portal_id = _id(text, place, faults)
        portal = sift(_PortalTable, table, _below(place), faults)
        accounts = portal["accounts"] if "accounts" in portal else tuple(known)
        _check_names(accounts, known, f"{place}.accounts", faults)
        countries = {str(known[name].get("country", "")) for name in accounts if name in known}
        country = countries.pop() if len(countries) == 1 else None
        rules = {}
        for user, limits in _table(portal, "user", f"{place}.", faults).items():
            at = f"{place}.user.{user}"
            user_id = _id(user, at, faults)
            rule = sift(Rule, limits, _below(at), faults)
            _check_names(rule.get("accounts") or (), accounts, f"{at}.accounts", faults)
            if rule.get("numbers"):
                rule["numbers"] = _normalise(rule["numbers"], country, f"{at}.numbers", faults)
            if user_id is not None:
                rules[user_id] = Rule(**rule)
        if portal_id is not None:
            yield portal_id, Portal(accounts, portal.get("users", "none"), rules)


def _below(place: str) -> Callable[[str], str]:
    return lambda name: f"{place}.{name}"


def _load(provider: str) -> type[Provider] | str:
    """The provider's class, or what is wrong with it."""
    try:
        return load(provider)
    except (LookupError, ImportError) as error:
        return str(error.args[0])


def _kind(loaded: type[Provider] | str, place: str, faults: list[str]) -> type[Provider] | None:
    if isinstance(loaded, str):
        faults.append(f"{place}: {loaded}")
        return None
    return loaded


def _normalise(
    numbers: tuple[str, ...], country: str | None, place: str, faults: list[str]
) -> tuple[str, ...]:
    """The numbers in E.164; national forms are read by the accounts' one country."""
    found = [to_e164(text, country or None) for text in numbers]
    faults += [
        f"{place}[{index}]: not a phone number" for index, one in enumerate(found) if one is None
    ]
    return tuple(one.number for one in found if one)


def _check_names(
    names: tuple[str, ...],
    known: Mapping[str, Any] | tuple[str, ...],
    place: str,
    faults: list[str],
) -> None:
    for index, name in enumerate(names):
        if name not in known:
            meant = did_you_mean(name, known) if len(faults) < MANY else ""
            faults.append(f"{place}[{index}]: no account {name!r}{meant}")


def _id(text: str, place: str, faults: list[str]) -> int | None:
    if re.fullmatch(r"[1-9][0-9]{0,18}", text) and int(text) < MAX_ID:
        return int(text)
    faults.append(f"{place}: not an id of HubSpot's, which are positive integers")
    return None


def _resolve(value: Any, at: str, environ: Mapping[str, str], faults: list[str]) -> Any:
    """The value with every `env:NAME` in it replaced, by FAULTY where NAME is not set."""
    if isinstance(value, dict):
        return {key: _resolve(one, f"{at}.{key}", environ, faults) for key, one in value.items()}
    if isinstance(value, list):
        listed = enumerate(value)
        return [_resolve(one, f"{at}[{index}]", environ, faults) for index, one in listed]
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if not environ.get(name):
            faults.append(f"{at}: the environment variable {name} is not set")
        return environ.get(name) or FAULTY
    return value
