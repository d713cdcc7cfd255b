"""Ten thousand random steps against a model of who may see what, written anew out of plain data.

Portals, users, rules of every kind, carriers whose numbers have owners, edits, time, and
failures of either side. No number is ever too many.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
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
from providers.base.provider import Deadline
from providers.testing.carrier import Reply
from tests.support.accounts import Fixed
from tests.support.hubspot_api import refusal
from tests.support.hubspot_users import TOKEN, HubSpotUsers, Person
from tests.support.who_sees_what import (
    ACCOUNTS,
    EMAILS,
    PORTALS,
    TEAMS,
    USERS,
    Identity,
    Played,
    Spec,
    any_numbers,
    any_portal,
    needs_hubspot,
    passes,
    rules_of,
    text_of,
)

STEPS, SEEDS = 2_500, 4
HOUR = 3600.0


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
