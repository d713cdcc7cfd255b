"""Ten thousand random steps against a model of who may see what, written anew out of plain data.

Portals, users, rules of every kind, carriers whose numbers have owners, edits, time, and
failures of either side. No number is ever too many.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any

import pytest

from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.directory.toml import parse
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.lookup.result import Result
from helpdesk_numbers.users.asking import sender, tokens
from helpdesk_numbers.users.resolver import Resolver
from hubspot.errors import LookupFailed
from providers.base.errors import RateLimited, Refused, Unreachable
from providers.base.provider import ANYBODY, Deadline, PhoneNumber, Provider, Query
from providers.testing.carrier import Reply
from tests.support.accounts import Fixed
from tests.support.hubspot_api import refusal
from tests.support.hubspot_users import TOKEN, HubSpotUsers, Person

STEPS, SEEDS = 2_500, 4
HOUR = 3600.0
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


class World:
    """Everything there is, and what of it was so at which time."""

    def __init__(self, chance: random.Random, stack: ExitStack) -> None:
        self.chance, self.now = chance, 100_000.0
        self.accounts = {
            name: Played(kind, name, any_numbers(chance)) for name, kind in ACCOUNTS.items()
        }
        self.hubspots = {p: stack.enter_context(HubSpotUsers()) for p in PORTALS}
        self.mode = dict.fromkeys(PORTALS, "ok")
        self.bad_until = dict.fromkeys(PORTALS, 0.0)
        self.refused_at = dict.fromkeys(PORTALS, float("-inf"))
        self.history: dict[tuple[int, int], list[tuple[float, Identity]]] = {}
        self.known_at: dict[tuple[int, int], float] = {}
        for portal_id, hubspot in self.hubspots.items():
            hubspot.token = f"{TOKEN}{portal_id}"
            for user_id in USERS:
                self.change_user(portal_id, user_id)
        urls = {f"Bearer {hubspot.token}": hubspot.url for hubspot in self.hubspots.values()}

        def send_by(deadline: Deadline) -> Any:
            return lambda target, headers: sender(urls[headers["Authorization"]])(deadline)(
                target, headers
            )

        self.specs = {portal_id: any_portal(chance) for portal_id in PORTALS}
        self.source = Fixed(self.directory())
        self.lookup = Lookup(
            self.source,
            10,
            users=lambda _: Resolver(
                send_by, tokens(None), lambda call: call(), clock=lambda: self.now
            ),
        )

    def directory(self) -> Directory:
        desk = '[accounts."{}"]\nprovider = "static"\nnumbers = []\n'
        text = "".join(map(desk.format, ACCOUNTS)) + text_of(self.specs)
        return Directory(self.accounts, parse(text, {}).portals)

    def change_user(self, portal_id: int, user_id: int) -> None:
        """Make the user somebody else, or nobody, at HubSpot."""
        chance, hubspot = self.chance, self.hubspots[portal_id]
        hubspot.persons = [person for person in hubspot.persons if person.id != user_id]
        who: Identity = None
        if chance.random() < 0.85:
            email = chance.choice([*EMAILS, None])
            teams = chance.sample(list(TEAMS.items()), chance.randint(0, 2))
            written = email and chance.choice([email, email.upper()])
            hubspot.persons.append(Person(user_id, written, tuple(teams)))
            who = email, frozenset(name for _, name in teams)
        self.history.setdefault((portal_id, user_id), []).append((self.now, who))

    def identities(self, portal_id: int, user_id: int, age_s: float) -> list[Identity]:
        """Who the user was within so many seconds."""
        changes = self.history[portal_id, user_id]
        ends = [at for at, _ in changes[1:]] + [float("inf")]
        return [who for (_, who), end in zip(changes, ends, strict=True) if end >= self.now - age_s]

    def step(self) -> None:
        """Do one thing at random."""
        chance = self.chance
        portal_id, user_id = chance.choice(PORTALS), chance.choice(USERS)
        what = chance.random()
        if what < 0.75:
            self.check(portal_id, user_id)
        elif what < 0.80:
            self.change_user(portal_id, user_id)
        elif what < 0.83:
            self.change_mode(portal_id)
        elif what < 0.86:
            failures = [Unreachable("x"), Refused("x", 401), RateLimited("x"), None, None, None]
            chance.choice(list(self.accounts.values())).failure = chance.choice(failures)
        elif what < 0.89:
            chance.choice(list(self.accounts.values())).numbers = any_numbers(chance)
        elif what < 0.94:
            self.now += chance.choice([1, 40, 400, HOUR / 2, HOUR, 1.5 * HOUR, 5 * HOUR, 30 * HOUR])
        else:
            self.specs[portal_id] = any_portal(chance)
            self.source.directory = self.directory()

    def change_mode(self, portal_id: int) -> None:
        modes: dict[str, Reply | None] = {
            "ok": None,
            "500": Reply(b"", 500),
            "429": refusal(429, "slow down"),
            "477": Reply(b"", 477, {"Retry-After": "600"}),
            "401": refusal(401, "no", "INVALID_AUTHENTICATION"),
            "odd": Reply([1, 2]),
        }
        self.mode[portal_id] = self.chance.choice(["ok", "ok", *modes])
        self.hubspots[portal_id].always = modes[self.mode[portal_id]]

    def check(self, portal_id: int, user_id: int) -> None:
        """Look a user up, and compare with what the model allows."""
        spec, hubspot = self.specs[portal_id], self.hubspots[portal_id]
        needed, mode, asked = needs_hubspot(spec, user_id), self.mode[portal_id], len(hubspot.asked)
        key = portal_id, user_id
        if mode == "401":
            self.refused_at[portal_id] = self.now
        if mode != "ok":
            self.bad_until[portal_id] = self.now + 700
        try:
            result = self.lookup.look_up(portal_id, user_id)
        except LookupFailed:
            age_s = self.now - self.known_at.get(key, float("-inf"))
            assert needed
            assert self.now < self.bad_until[portal_id]
            assert age_s >= HOUR
            assert age_s >= 24 * HOUR or self.refused_at[portal_id] > self.now - 24 * HOUR
            return
        if not needed:
            assert result.who.how == "not needed"
            assert len(hubspot.asked) == asked
        if result.who.how == "hubspot":
            assert mode == "ok"
            self.known_at[key] = self.now
        elif result.who.how == "unknown":
            self.known_at.pop(key, None)
        oldest_s = {"not needed": 0, "hubspot": 0, "remembered": HOUR, "unknown": 300}
        age_s = oldest_s.get(result.who.how, 2 * HOUR if self.is_well(portal_id) else 24 * HOUR)
        possible = self.identities(portal_id, user_id, age_s)
        assert any(self.is_right(result, spec, user_id, who) for who in possible), (
            spec, user_id, possible, result,
        )  # fmt: skip
        if result.who.how == "stale" and self.is_well(portal_id):  # and was asked about just now
            self.known_at[key] = self.now
            if self.history[key][-1][1] is None:
                del self.known_at[key]

    def is_well(self, portal_id: int) -> bool:
        return self.now >= self.bad_until[portal_id]

    def is_right(self, result: Result, spec: Spec, user_id: int, who: Identity) -> bool:
        """Whether the result is what the user may see who is that at HubSpot, of the accounts that
        answered."""
        rules = rules_of(spec, user_id, who)
        answered = [outcome.account for outcome in result.outcomes if outcome.outcome == "ok"]
        expected = {
            number["number"]
            for account in spec["accounts"]
            for number in self.accounts[account].numbers
            if number["voice"] and any(passes(rule, account, number, who) for rule in rules)
            if account in answered
        }
        silent = {
            account
            for account in spec["accounts"]
            if self.accounts[account].failure is None and account not in answered
            if any(
                number["voice"] and any(passes(rule, account, number, who) for rule in rules)
                for number in self.accounts[account].numbers
            )
        }
        failed = {o.account for o in result.outcomes if o.outcome != "ok"}  # a circuit is open
        found = [number.e164 for number in result.numbers]
        return set(found) == expected and len(found) == len(expected) and silent <= failed


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nobody_sees_a_number_too_many_or_too_few(seed: int, stack: ExitStack) -> None:
    world = World(random.Random(seed), stack)
    for _ in range(STEPS):
        world.step()
