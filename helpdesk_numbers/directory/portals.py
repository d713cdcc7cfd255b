"""The portals' tables of a directory, with every fault by its place."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import msgspec

from hubspot.schema import MAX_ID
from providers.base.numbers import to_e164
from providers.base.options import Problems, Secret, did_you_mean, validate

from .model import ME, OWN, Portal, Rule

MAX_SUGGESTIONS = 20
"""How many faults may suggest the name that was meant. A suggestion compares with the names of all
accounts, which would take minutes if ten thousand were misspelt."""

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")

NOT_AN_ID = "not an id: HubSpot's are positive integers"
NO_USER = "not an id or an e-mail address: HubSpot's ids are positive integers"

Tables = Mapping[str, dict[str, Any]]


class _PortalTable(msgspec.Struct):
    accounts: tuple[str, ...]
    users: Any = "all"
    user: dict[str, Any] = {}
    team: dict[str, Any] = {}
    token: Secret | None = None


class _Users(msgspec.Struct):
    users: Literal["all", "none", "own"]


def tables_in(value: Any, problems: Problems) -> Tables:
    """Return the tables in a table, less whatever else is in it, which is told."""
    if not isinstance(value, dict):
        problems.add("not a table")
        return {}
    tables = {key: inner for key, inner in value.items() if isinstance(inner, dict)}
    for key in value:
        if key not in tables:
            problems.at(_quoted(key)).add("not a table")
    return tables


def read_portals(
    tables: Tables, listed: Tables, problems: Problems
) -> Iterator[tuple[int, Portal]]:
    """Yield the portals as far as they are good, by id. `listed` are the accounts' tables, good or
    not."""
    for key, table in tables.items():
        at = problems.at(key)
        portal_id = _id(key, at)
        table = _without_slips(table, at)
        portal = validate(_PortalTable, table, at)
        accounts = portal["accounts"] if "accounts" in portal else tuple(listed)
        _check_names(accounts, listed, at)
        countries = {str(listed[name].get("country", "")) for name in accounts if name in listed}
        country = countries.pop() if len(countries) == 1 else None
        rule_of = partial(_rule, accounts=accounts, country=country or None)
        rules: dict[int, Rule] = {}
        addresses: dict[str, Rule] = {}
        for user, limits in tables_in(portal.get("user", {}), at.at("user")).items():
            of_user = at.at("user").at(_quoted(user))
            if not _ADDRESS.fullmatch(user.strip()):
                rules[_id(user, of_user, NO_USER)] = rule_of(limits, of_user)
                continue
            address = user.strip().casefold()
            if address in addresses:
                of_user.add("there is another rule for the same address")
            addresses[address] = rule_of(limits, of_user)
        teams: dict[str, Rule] = {}
        for team, limits in tables_in(portal.get("team", {}), at.at("team")).items():
            of_team = at.at("team").at(_quoted(team))
            name = team.strip().casefold()
            if not name or name in teams:
                of_team.add("there is another rule for the same team" if name else "it has no name")
            teams[name] = rule_of(limits, of_team)
        users = _users(portal.get("users", "none"), at, rule_of)
        if not re.fullmatch(r"[\x21-\x7e]*", portal.get("token") or ""):
            at.at("token").add("it has characters that HTTP cannot carry")
        yield portal_id, Portal(accounts, users, rules, addresses, teams, portal.get("token"))


def _users(
    given: Any, problems: Problems, rule_of: Callable[[dict[str, Any], Problems], Rule]
) -> Literal["all", "none"] | Rule:
    """What users without a rule of their own see."""
    at = problems.at("users")
    if isinstance(given, dict):
        return rule_of(given, at)
    if not isinstance(given, str):
        at.add('expected one of all, none, own, or a rule: users = { names = ["Main*"] }')
        return "none"
    users: Literal["all", "none", "own"] = validate(_Users, {"users": given}, problems).get(
        "users", "none"
    )
    return OWN if users == "own" else users


def _rule(
    limits: dict[str, Any], problems: Problems, accounts: tuple[str, ...], country: str | None
) -> Rule:
    """The rule of a table. National forms are of the accounts' one country."""
    rule = validate(Rule, limits, problems)
    _check_names(rule.get("accounts") or (), accounts, problems)
    if texts := rule.get("numbers"):
        numbers = [to_e164(text, country) for text in texts]
        for index in (i for i, number in enumerate(numbers) if number is None):
            problems.at(f"numbers[{index}]").add("not a phone number")
        rule["numbers"] = tuple(number.number for number in numbers if number)
    if str(rule.get("owner")).casefold() == ME:
        rule["owner"] = ME
    return Rule(**rule)


def _quoted(key: str) -> str:
    """The key, in quotes if it is an address or has blanks."""
    return f'"{key}"' if re.search(r"[@\s]", key) else key


def _without_slips(table: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """The portal's table without users' rules that stand beside `user`, which are told."""
    slips = [key for key in table if key.isdigit() or "@" in key]
    users = table.get("users")
    if isinstance(users, dict) and any(key.isdigit() or "@" in key for key in users):
        slips.append("users")
    for key in slips:
        meant = "user" if key == "users" else f"user.{_quoted(key)}"
        place = problems.at(_quoted(key))
        place.add(f"a user's rule is [portals.ID.user.ID] (did you mean {meant!r}?)")
    kept = {key: value for key, value in table.items() if key not in slips}
    return kept | ({"users": "none"} if "users" in slips else {})


def _check_names(
    names: tuple[str, ...], accounts: Mapping[str, Any] | tuple[str, ...], problems: Problems
) -> None:
    for index, name in enumerate(names):
        if name not in accounts:
            hint = did_you_mean(name, accounts) if len(problems.lines) < MAX_SUGGESTIONS else ""
            problems.at(f"accounts[{index}]").add(f"no account {name!r}{hint}")


def _id(text: str, problems: Problems, fault: str = NOT_AN_ID) -> int:
    """The id that a key is, or a number that none has."""
    if re.fullmatch(r"[1-9][0-9]{0,18}", text) and int(text) < MAX_ID:
        return int(text)
    problems.add(fault)
    return 0
