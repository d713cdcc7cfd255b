"""A model of who may see what, out of plain data: nothing of the product's own is asked."""

import random
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from providers.base.provider import ANYBODY, PhoneNumber, Provider, Query
from tests.support.hubspot_users import TOKEN

PORTALS, USERS = (11, 12, 13), range(1, 7)
TEAMS = {"1": "Support", "2": "Sales", "3": "EU"}
EMAILS = [f"{name}@acme.example" for name in ("anna", "ben", "cleo", "dora", "emil")]
NAMES = ["Support East", "Support West", "Sales", "Main line", ""]
E164 = [f"+120255501{index:02}" for index in range(40)]
ACCOUNTS = {"lists": "lists", "finds": "finds", "narrows": "narrows", "other": "lists"}

Number = Mapping[str, Any]
Spec = dict[str, Any]
Identity = tuple[str | None, frozenset[str]] | None
"""E-mail address and names of teams; None is a user whom HubSpot does not know."""


class Played(Provider):
    """A carrier of one of three kinds: numbers with their owners' addresses, with ids that lead to
    addresses, or one that gives less if less is asked for."""

    name = "played"
    knows_owners = True

    def __init__(self, kind: str, account: str, numbers: list[Number]) -> None:
        super().__init__(Provider.Options(), account)
        self.kind, self.numbers = kind, numbers
        self.failure: Exception | None = None
        self.narrows = frozenset({"numbers", "owner"} if kind == "narrows" else ())  # type: ignore[misc]
        self.keeps_deadline = kind != "lists"  # type: ignore[misc] # so that both ways are gone

    @property
    def finds_users(self) -> bool:
        return self.kind == "finds"

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        if self.failure:
            raise type(self.failure)(*self.failure.args)
        for number in self.numbers:
            owners = self._owners(number, query)
            if self.kind == "narrows" and (
                (query.numbers and number["number"] not in query.numbers)
                or (query.owner and query.owner.casefold() not in map(str.casefold, owners))
            ):
                continue
            yield PhoneNumber(number["number"], number["name"], None, number["voice"], owners)

    def _owners(self, number: Number, query: Query) -> tuple[str, ...]:
        if number["owner"] is None:
            return ()
        id_ = f"id-{number['owner']}"
        asked = query.owner or ""
        known = self.kind != "finds" or asked == ANYBODY or asked.casefold() == number["owner"]
        return (id_, number["owner"].title()) if known else (id_,)


def any_numbers(chance: random.Random) -> list[Number]:
    return [
        {
            "number": number,
            "name": chance.choice(NAMES),
            "owner": chance.choice([*EMAILS, None]),
            "voice": chance.random() < 0.9,
        }
        for number in chance.sample(E164, 12)
    ]


def any_rule(chance: random.Random, accounts: list[str]) -> Spec:
    rule: Spec = {}
    if chance.random() < 0.3:
        rule["numbers"] = chance.sample(E164, chance.choice([0, 3, 15]))
    if chance.random() < 0.3:
        rule["names"] = chance.sample(["Support*", "SALES", "Main ?ine", "*"], chance.randint(0, 2))
    if chance.random() < 0.5:
        rule["owner"] = chance.choice(["me", "me", "me", *EMAILS, "ID-anna@acme.example"])
    if chance.random() < 0.3:
        rule["unowned"] = chance.random() < 0.8
    if chance.random() < 0.2:
        rule["accounts"] = chance.sample(accounts, chance.randint(0, len(accounts)))
    return rule


def any_portal(chance: random.Random) -> Spec:
    accounts = chance.sample(list(ACCOUNTS), chance.randint(1, 4))
    users = chance.choice(["all", "none", "own", any_rule(chance, accounts)])
    spec: Spec = {"accounts": accounts, "users": users, "user": {}, "team": {}}
    for _ in range(chance.choice([0, 0, 1, 2])):
        spec["user"][str(chance.choice(USERS))] = any_rule(chance, accounts)
    for _ in range(chance.choice([0, 0, 1, 2])):
        spec["user"][chance.choice(EMAILS).capitalize()] = any_rule(chance, accounts)
    for team in chance.sample(list(TEAMS), chance.choice([0, 0, 1, 2])):
        key = chance.choice([team, TEAMS[team], TEAMS[team].upper()])
        spec["team"][key] = any_rule(chance, accounts)
    return spec


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def text_of(portals: Mapping[int, Spec]) -> str:
    lines = []
    for portal_id, spec in portals.items():
        lines += [f"[portals.{portal_id}]", f'token = "{TOKEN}{portal_id}"']
        lines += [f"{key} = {toml(spec[key])}" for key in ("accounts", "users")]
        for kind in ("user", "team"):
            for name, rule in spec[kind].items():
                lines.append(f'[portals.{portal_id}.{kind}."{name}"]')
                lines += [f"{key} = {toml(value)}" for key, value in rule.items()]
    return "\n".join(lines)


def needs_hubspot(spec: Spec, user_id: int) -> bool:
    if rule := spec["user"].get(str(user_id)):
        return bool(rule.get("owner") == "me")
    if str(user_id) in spec["user"]:
        return False
    named = [key for key in spec["user"] if "@" in key] + list(spec["team"])
    users = spec["users"]
    return bool(named) or users == "own" or (users == {**users, "owner": "me"} if
                                             isinstance(users, dict) else False)  # fmt: skip


def rules_of(spec: Spec, user_id: int, who: Identity) -> list[Spec]:
    """The rules of which one is enough."""
    if str(user_id) in spec["user"]:
        return [spec["user"][str(user_id)]]
    if who and who[0]:
        for key, rule in spec["user"].items():
            if key.lower() == who[0].lower():
                return [rule]
    teams = {name.lower() for name in who[1]} if who else set()
    teams |= {id_ for id_, name in TEAMS.items() if name.lower() in teams}
    if mine := [rule for key, rule in spec["team"].items() if key.lower() in teams]:
        return mine
    users = spec["users"]
    if isinstance(users, dict):
        return [users]
    by_word: dict[str, list[Spec]] = {"all": [{}], "none": [], "own": [{"owner": "me"}]}
    return by_word[users]


def passes(rule: Spec, account: str, number: Number, who: Identity) -> bool:
    owner = number["owner"]
    wanted = rule.get("owner")
    if wanted == "me":
        wanted = who[0] if who else None
        mine = wanted is not None and owner is not None and owner == wanted.lower()
    elif wanted is not None:
        mine = owner is not None and wanted.lower() in (owner, f"id-{owner}")
    else:
        mine = not rule.get("unowned")
    return (
        ("numbers" not in rule or number["number"] in rule["numbers"])
        and ("accounts" not in rule or account in rule["accounts"])
        and ("names" not in rule or any(
            fnmatchcase(number["name"].lower(), name.lower()) for name in rule["names"]))
        and (mine or (bool(rule.get("unowned")) and owner is None))
    )  # fmt: skip
