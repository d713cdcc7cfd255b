"""The directory out of a TOML text, with every fault by its place.

docs/directory.md describes the format.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from hubspot.schema import MAX_ID
from providers import load, prefix
from providers.base import options
from providers.base.numbers import to_e164
from providers.base.options import (
    FAULTY,
    NOT_UTF8,
    Faults,
    Problems,
    did_you_mean,
    read_variable,
    validate,
)
from providers.base.provider import Provider

from .model import Directory, Portal, Rule
from .text import looks_like, read_tables

MAX_SUGGESTIONS = 20
"""How many faults may suggest the name that was meant. A suggestion compares with the names of all
accounts, which would take minutes if ten thousand were misspelt."""

_Tables = Mapping[str, dict[str, Any]]


class _PortalTable(msgspec.Struct):
    accounts: tuple[str, ...]
    users: Literal["all", "none"] = "all"
    user: dict[str, Any] = {}


def read_account(environ: Mapping[str, str], provider: str, problems: Problems) -> Provider | None:
    """Return the one account, named like its provider, or None if there are problems.

    Its options are the variables `<PROVIDER>_<OPTION>`.
    """
    kind = _load(provider)
    if isinstance(kind, str):
        problems.at("PROVIDER").add(kind)
        return None
    values = options.from_environ(kind.Options, environ, problems, prefix(provider))
    return _make(kind, values, provider, problems.at("PROVIDER"))


def parse(
    text: str,
    environ: Mapping[str, str],
    before: Directory | None = None,
    name: str = "the directory",
) -> Directory:
    """Return the directory that a TOML text describes. Accounts that `before` has alike are kept.

    Raises:
        Faults: all that is wrong with it, each with its place and without its value. `name` is the
            text's own place.
    """
    problems = Problems()
    tables = read(text, name, problems)
    directory = build(tables, environ, before, problems) if tables is not None else None
    if directory is None or problems.lines:
        raise Faults(problems.lines)
    return directory


def read(text: str, name: str, problems: Problems) -> dict[str, Any] | None:
    """Return the tables of a TOML text, None if it is not TOML. `name` is the text's own place."""
    try:
        return read_tables(text)
    except (ValueError, RecursionError) as error:  # its own, or of an endless number or nesting
        remedy = "correct it; https://toml.io describes TOML"
        problems.add(f"{name} is not TOML: {error}{looks_like(text)}", remedy)
        return None


def build(
    tables: Mapping[str, Any],
    environ: Mapping[str, str],
    before: Directory | None,
    problems: Problems,
) -> Directory:
    """Return the directory of these tables, as far as it is good: `problems` gets the rest."""
    for key in sorted(tables.keys() - {"accounts", "portals"}):
        problems.at(key).add("no such table" + did_you_mean(key, ("accounts", "portals")))
    at = problems.at("accounts")
    listed = _resolve(_tables(tables.get("accounts", {}), at), environ, at)
    accounts = dict(_accounts(listed, before.accounts if before else {}, at))
    at = problems.at("portals")
    portals = _resolve(_tables(tables.get("portals", {}), at), environ, at)
    directory = Directory(accounts, dict(_portals(portals, listed, at)))
    if not tables.get("portals"):  # a file caught while it is being written, above all
        at.add("there are none, so nobody would see a number")
    return directory


def _tables(value: Any, problems: Problems) -> _Tables:
    """The tables in a table, less whatever else is in it."""
    if not isinstance(value, dict):
        problems.add("not a table")
        return {}
    tables = {key: inner for key, inner in value.items() if isinstance(inner, dict)}
    for key in value:
        if key not in tables:
            problems.at(key).add("not a table")
    return tables


def _resolve(value: Any, environ: Mapping[str, str], problems: Problems) -> Any:
    """The value with every `env:NAME` in it replaced; FAULTY if one is not set, tables aside."""
    before = len(problems.lines)
    if isinstance(value, dict):
        return {key: _resolve(inner, environ, problems.at(key)) for key, inner in value.items()}
    if isinstance(value, list):
        items = enumerate(value)
        value = [_resolve(item, environ, problems.at(f"[{index}]")) for index, item in items]
    elif isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:").strip()
        value = read_variable(environ, name)
        if not value:
            remedy = "set it, or correct the name after env:"
            problems.add(f"the environment variable {name} is not set", remedy)
        elif NOT_UTF8.search(value):
            problems.add(f"the environment variable {name} is not UTF-8")
    return value if len(problems.lines) == before else FAULTY


def _accounts(
    tables: _Tables, before: Mapping[str, Provider], problems: Problems
) -> Iterator[tuple[str, Provider]]:
    load_once = cache(_load)  # else the packages installed are gone through for each account
    for name, table in tables.items():
        at = problems.at(name)
        provider = table.get("provider")
        if not isinstance(provider, str):
            if provider is not FAULTY:
                at.at("provider").add("missing")
        elif isinstance(kind := load_once(provider), str):
            at.at("provider").add(kind)
        else:
            values = {key: value for key, value in table.items() if key != "provider"}
            built = options.build(kind.Options, values, at)
            old = before.get(name)
            same = old is not None and type(old) is kind and old.options == built
            if account := old if same else _make(kind, built, name, at):
                yield name, account


def _load(provider: str) -> type[Provider] | str:
    """The provider's class, or what is wrong with it."""
    try:
        return load(provider)
    except (LookupError, ImportError) as error:
        return str(error.args[0])


def _make(
    kind: type[Provider], values: Provider.Options | None, name: str, problems: Problems
) -> Provider | None:
    try:
        return kind(values, name) if values is not None else None
    except Exception as error:  # a third party's, of whatever kind; its text may hold anything
        problems.add(f"{kind.name} does not accept these options: {type(error).__name__}")
        return None


def _portals(tables: _Tables, listed: _Tables, problems: Problems) -> Iterator[tuple[int, Portal]]:
    """The portals as far as they are good. `listed` are the accounts' tables, good or not."""
    for key, table in tables.items():
        at = problems.at(key)
        portal_id = _id(key, at)
        table = _without_slips(table, at)
        portal = validate(_PortalTable, table, at)
        accounts = portal["accounts"] if "accounts" in portal else tuple(listed)
        _check_names(accounts, listed, at)
        countries = {str(listed[name].get("country", "")) for name in accounts if name in listed}
        country = countries.pop() if len(countries) == 1 else None
        rules = {}
        for user, limits in _tables(portal.get("user", {}), at.at("user")).items():
            of_user = at.at("user").at(user)
            user_id = _id(user, of_user)
            rule = validate(Rule, limits, of_user)
            _check_names(rule.get("accounts") or (), accounts, of_user)
            if texts := rule.get("numbers"):  # national forms are of the accounts' one country
                numbers = [to_e164(text, country or None) for text in texts]
                for index in (i for i, number in enumerate(numbers) if number is None):
                    of_user.at(f"numbers[{index}]").add("not a phone number")
                rule["numbers"] = tuple(number.number for number in numbers if number)
            rules[user_id] = Rule(**rule)
        yield portal_id, Portal(accounts, portal.get("users", "none"), rules)


def _without_slips(table: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """The portal's table without users' rules that stand beside `user`, which are told."""
    slips = [key for key in table if key.isdigit()]
    if isinstance(table.get("users"), dict):
        slips.append("users")
    for key in slips:
        meant = "user" if key == "users" else f"user.{key}"
        problems.at(key).add(f"a user's rule is [portals.ID.user.ID] (did you mean {meant!r}?)")
    kept = {key: value for key, value in table.items() if key not in slips}
    return kept | ({"users": FAULTY} if "users" in slips else {})


def _check_names(
    names: tuple[str, ...], accounts: Mapping[str, Any] | tuple[str, ...], problems: Problems
) -> None:
    for index, name in enumerate(names):
        if name not in accounts:
            hint = did_you_mean(name, accounts) if len(problems.lines) < MAX_SUGGESTIONS else ""
            problems.at(f"accounts[{index}]").add(f"no account {name!r}{hint}")


def _id(text: str, problems: Problems) -> int:
    """The id that a key is, or a number that none has."""
    if re.fullmatch(r"[1-9][0-9]{0,18}", text) and int(text) < MAX_ID:
        return int(text)
    problems.add("not an id: HubSpot's are positive integers")
    return 0
