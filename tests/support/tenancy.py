"""A model of who may see which number, and a server that is asked while everything changes.

    python -m tests.support.tenancy [STEPS [SEED]]

runs the bar: portals, users, rules, edits of the directory file (some of them faulty), carriers
that fail and change their minds, workers that are killed, and callers who ask all the time.
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import requests

from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from providers.testing.carrier import Asked, Carrier, Fault, Reply, hang
from tests.support.asking import SECRET
from tests.support.carrier import twilio_numbers
from tests.support.server import Server, serving
from tests.support.strangers import processes

ACCOUNTS = ("north", "south", "east", "west")
PORTALS, USERS = range(1, 5), range(1001, 1006)
STALE_S, DEADLINE_S = 3.0, 0.6
CALLERS = 6

FILLER = "".join(f'[portals.{number}]\naccounts = ["desk"]\n' for number in range(1000, 1200))
"""Portals that nobody asks for, so that reading the file takes long enough to ask meanwhile."""

Number = tuple[str, str]
"""In E.164, and its name."""


def numbers_of(index: int) -> list[Number]:
    """All that a carrier's account may have: no other account has any of them."""
    names = [f"{('Sales', 'Desk')[last % 2]} {last}" for last in range(8)]
    return [(f"+1202555{index}{last:03}", name) for last, name in enumerate(names)]


@dataclass
class Directory:
    """One edit of the directory file."""

    portals: dict[int, dict[str, Any]]
    desk: list[Number]
    written_at: float = 0.0
    replaced_at: float = float("inf")
    confirmed: bool = False

    def toml(self, carrier_url: str) -> str:
        """The file's text."""
        rows = [f'{{ number = "{number}", name = "{name}" }}' for number, name in self.desk]
        desk = ", ".join(rows)
        parts = [f'[accounts.desk]\nprovider = "static"\nnumbers = [{desk}]\n']
        for index, name in enumerate(ACCOUNTS):
            sid = f"AC{index:032x}"
            parts.append(
                f'[accounts.{name}]\nprovider = "twilio"\naccount_sid = "{sid}"\n'
                f'auth_token = "x"\nbase_url = "{carrier_url}"\n'
            )
        for portal_id, portal in self.portals.items():
            parts.append(f"[portals.{portal_id}]\naccounts = {json.dumps(portal['accounts'])}\n")
            parts.append(f'users = "{portal["users"]}"\n')
            for user_id, rule in portal["rules"].items():
                parts.append(f"[portals.{portal_id}.user.{user_id}]\n")
                parts += [f"{key} = {json.dumps(value)}\n" for key, value in rule.items()]
        return "".join(parts) + FILLER

    def allows(self, portal_id: int, user_id: int, account: str, number: Number) -> bool:
        """Whether the user may see the account's number."""
        portal = self.portals.get(portal_id)
        if portal is None or account not in portal["accounts"]:
            return False
        rule = portal["rules"].get(user_id)
        if rule is None:
            return bool(portal["users"] == "all")
        return (
            account in rule.get("accounts", [account])
            and number[0] in rule.get("numbers", [number[0]])
            and any(fnmatchcase(number[1], pattern) for pattern in rule.get("names", ["*"]))
        )


@dataclass
class World:
    """What is so now, and what was: the model."""

    chance: random.Random
    directories: list[Directory] = field(default_factory=list)
    faulty: list[tuple[float, float]] = field(default_factory=list)
    shown: dict[str, list[tuple[float, set[Number]]]] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, "good"))

    def draw(self) -> Directory:
        """Another directory, at random."""
        chance = self.chance
        everything = [number for index in range(len(ACCOUNTS)) for number in numbers_of(index)]
        portals = {}
        for portal_id in PORTALS:
            if chance.random() < 0.15:
                continue
            accounts = chance.sample([*ACCOUNTS, "desk"], chance.randrange(1, 5))
            rules: dict[int, dict[str, Any]] = {}
            for user_id in chance.sample(list(USERS), chance.randrange(4)):
                rule: dict[str, Any] = {}
                if chance.random() < 0.4:
                    rule["numbers"] = [number for number, _ in chance.sample(everything, 8)]
                if chance.random() < 0.4:
                    rule["names"] = [chance.choice(["Sales*", "Desk*", "* 3", "Nobody"])]
                if chance.random() < 0.4:
                    rule["accounts"] = chance.sample(accounts, chance.randrange(len(accounts)) + 1)
                rules[user_id] = rule
            users = chance.choice(["all", "none"])
            portals[portal_id] = {"accounts": accounts, "users": users, "rules": rules}
        portals[99] = {"accounts": ["desk"], "users": "all", "rules": {}}
        return Directory(portals, chance.sample(numbers_of(9), chance.randrange(1, 6)))

    def in_force(self, began: float, ended: float) -> list[Directory]:
        """The directories by which a request between these moments may be answered."""
        may = [d for d in self.directories if d.written_at <= ended and d.replaced_at >= began]
        if any(start <= ended and end >= began for start, end in self.faulty):
            # A worker that has missed an edit goes on with the one before, unless any took it up.
            oldest = min(self.directories.index(directory) for directory in may)
            while oldest and not self.directories[oldest].confirmed:
                oldest -= 1
                may.append(self.directories[oldest])
        return may

    def lists(self, account: str, began: float, ended: float) -> set[Number]:
        """What the account had at some moment that an answer may stem from."""
        since, numbers = began - STALE_S - DEADLINE_S - 0.5, set()
        until = float("inf")
        for at, state in reversed(self.shown[account]):
            if until < since:
                break
            if at <= ended:
                numbers |= state
            until = at
        return numbers

    def fault(
        self, portal_id: int, user_id: int, began: float, ended: float, numbers: set[str]
    ) -> str | None:
        """Why the answer is more than the user may see; None if it is not."""
        for directory in self.in_force(began, ended):
            may = {n for n in directory.desk if directory.allows(portal_id, user_id, "desk", n)}
            for account in ACCOUNTS:
                listed = self.lists(account, began, ended)
                may |= {n for n in listed if directory.allows(portal_id, user_id, account, n)}
            if numbers <= {number for number, _ in may}:
                return None
        may_have = [self.directories.index(d) for d in self.in_force(began, ended)]
        return (
            f"portal {portal_id}, user {user_id}, {ended - began:.3f} s, by {may_have} of"
            f" {len(self.directories)}: {sorted(numbers)}"
        )


class Run:
    """A server, its world, and the callers."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World(self.chance)
        self.file = folder / "directory.toml"
        self.answers: Counter[str] = Counter()
        self.bad: list[str] = []
        self._lock, self._stop = threading.Lock(), threading.Event()
        for index, account in enumerate(ACCOUNTS):
            self.world.shown[account] = [(0.0, set(numbers_of(index)))]

    def carrier(self, asked: Asked) -> Reply | Fault:
        """Twilio, for all accounts."""
        account = ACCOUNTS[int(asked.path.split("/")[3].removeprefix("AC"), 16)]
        mode = self.world.modes[account]
        if mode == "hangs":
            return hang
        if mode != "good":
            return Reply({}, {"fails": 500, "limits": 429, "refuses": 401}.get(mode, 200))
        numbers = self.world.shown[account][-1][1]
        template = twilio_numbers(5)[4]  # takes calls
        rows = [template | {"phone_number": e164, "friendly_name": name} for e164, name in numbers]
        return Reply({"incoming_phone_numbers": rows, "next_page_uri": None})

    def edit(self, carrier_url: str) -> None:
        """Replace the directory file by another that is good."""
        directory = self.world.draw()
        self._write(directory.toml(carrier_url), directory)

    def _write(self, text: str, directory: Directory | None = None) -> None:
        other = self.file.with_suffix(".new")
        other.write_text(text)
        now = time.monotonic()
        with self._lock:
            if directory:
                directory.written_at = now
                self.world.directories.append(directory)
            else:
                self.world.faulty.append((now, float("inf")))
        other.replace(self.file)
        now = time.monotonic()
        if directory:
            with self._lock:
                for before in self.world.directories[:-1]:
                    before.replaced_at = min(before.replaced_at, now)
                self.world.faulty = [(start, min(end, now)) for start, end in self.world.faulty]

    def step(self, server: Server, carrier_url: str) -> None:
        """Change something."""
        action, world = self.chance.random(), self.world
        account = self.chance.choice(ACCOUNTS)
        if action < 0.45:
            self.edit(carrier_url)
            newest = world.directories[-1]
            if self.chance.random() < 0.6:
                newest.confirmed = self.ask(server, 99, 1001) == 200
        elif action < 0.55:
            self._write("[portals.1]\naccounts = ['nobody']\n")
        elif action < 0.75:
            index = ACCOUNTS.index(account)
            numbers = set(self.chance.sample(numbers_of(index), self.chance.randrange(9)))
            with self._lock:
                world.shown[account].append((time.monotonic(), numbers))
        elif action < 0.99:
            kinds = ["good"] * 12 + ["fails", "limits", "refuses", "hangs", "nonsense"]
            world.modes[account] = self.chance.choice(kinds)
        else:
            workers = processes(server)[1:]
            if workers:
                os.kill(self.chance.choice(workers), signal.SIGKILL)

    def ask(self, server: Server, portal_id: int, user_id: int) -> int:
        """Ask once, and look whether the answer shows too much; return its status, 0 for none."""
        body = json.dumps({"appId": 1, "portalId": portal_id, "userId": user_id}).encode()
        now_ms = time.time_ns() // 1_000_000
        headers = signed_headers("v3", SECRET, "POST", server.url + PATH, body, now_ms)
        headers["Content-Type"] = "application/json"
        began = time.monotonic()
        try:
            answer = requests.post(server.url + PATH, data=body, headers=headers, timeout=20)
        except requests.RequestException:
            self.answers["killed"] += 1
            return 0
        ended = time.monotonic()
        if answer.status_code != 200:
            self.answers[str(answer.json()["category"])] += 1
            return answer.status_code
        numbers = {number["e164PhoneNumber"] for number in answer.json()["phoneNumbers"]}
        self.answers["200 with numbers" if numbers else "200 with none"] += 1
        with self._lock:
            if fault := self.world.fault(portal_id, user_id, began, ended, numbers):
                self.bad.append(fault)
        return 200

    def call(self, server: Server, seed: int) -> None:
        """Ask for anybody's numbers until the end."""
        chance = random.Random(seed)
        while not self._stop.is_set():
            self.ask(server, chance.choice([*PORTALS, 5]), chance.choice([*USERS, 7]))

    def go(self, steps: int) -> None:
        """Make so many steps, while the callers ask."""
        with Carrier(self.carrier) as carrier:
            self.edit(carrier.url)
            settings = {
                "HUBSPOT_CLIENT_SECRET": SECRET,
                "DIRECTORY": str(self.file),
                "WEB_CONCURRENCY": "2",
                "LAST_KNOWN_GOOD": str(STALE_S),
                "LOOKUP_DEADLINE": str(DEADLINE_S),
                "LOG_LEVEL": "error",
            }
            with serving(settings) as server:
                self.world.directories[0].confirmed = True
                callers = [
                    threading.Thread(target=self.call, args=(server, seed))
                    for seed in range(CALLERS)
                ]
                for caller in callers:
                    caller.start()
                try:
                    for _ in range(steps):
                        self.step(server, carrier.url)
                        time.sleep(self.chance.choice([0, 0.005, 0.02, 0.05]))
                finally:
                    self._stop.set()
                    for caller in callers:
                        caller.join(30)


def main(steps: int, seed: int) -> None:
    """Run the bar."""
    with tempfile.TemporaryDirectory() as folder:
        run, began = Run(Path(folder), seed), time.monotonic()
        run.go(steps)
    print(f"{steps} steps (seed {seed}) in {time.monotonic() - began:.0f} s: {dict(run.answers)}")
    print(f"answers that show too much: {len(run.bad)}")
    for fault in run.bad[:20]:
        print(fault)


if __name__ == "__main__":
    arguments = [int(one) for one in sys.argv[1:3]]
    main(arguments[0] if arguments else 10_000, arguments[1] if arguments[1:] else 1)
