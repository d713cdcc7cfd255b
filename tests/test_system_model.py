"""Random edits by the API, requests, killed workers and exchanged keys, in two instances, against a
model of who may see what. No answer has a number too many for longer than five seconds.

MODEL_STEPS in the environment makes it longer, MODEL_SLACK_S stricter, MODEL_SEED the same again.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from typing import Any

import requests

from helpdesk_numbers.database.encryption import new_key
from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from tests.support.asking import SECRET
from tests.support.commands import flask
from tests.support.postgres import KEY, new_database
from tests.support.server import Server, serving
from tests.support.who_sees_what import E164, EMAILS, NAMES, Number, Spec, passes

STEPS = int(os.environ.get("MODEL_STEPS", "500"))
SLACK_S = float(os.environ.get("MODEL_SLACK_S", "3"))
IN_FORCE_S = 5.0
ADMIN = "admin-token-of-tests"
ACCOUNTS, PORTALS, USERS = ("east", "west", "main"), (11, 12, 13, 14), (1, 2, 3)

Version = tuple[float, float, Any]
"""What was in force, from the moment its PUT began until the next one was answered."""


class World:
    """The instances, and all that was in the directory at which time."""

    def __init__(
        self, servers: list[Server], settings: dict[str, str], chance: random.Random
    ) -> None:
        self.servers, self.settings, self.chance = servers, settings, chance
        self.versions: dict[Any, list[Version]] = {}
        self.session = requests.Session()
        self.done: Counter[str] = Counter()
        for account in ACCOUNTS:
            self.edit_account(account)
        for portal_id in PORTALS:
            self.edit_portal(portal_id)

    def put(self, key: Any, path: str, body: Spec) -> None:
        began = time.monotonic()
        server = self.chance.choice(self.servers)
        url, headers = f"{server.url}/api/v1{path}", {"Authorization": f"Bearer {ADMIN}"}
        while True:  # a worker that is killed takes its requests with it: they may be repeated
            try:
                answer = self.session.put(url, json=body, headers=headers, timeout=30)
            except requests.ConnectionError:
                continue
            if answer.status_code not in (429, 503):
                break
            time.sleep(0.02)
        assert answer.status_code in (200, 201), answer.text
        versions = self.versions.setdefault(key, [])
        if versions:
            since, _, before = versions[-1]
            versions[-1] = since, time.monotonic(), before
        versions.append((began, float("inf"), body))

    def edit_account(self, name: str) -> None:
        numbers = [
            {
                "number": number,
                "name": self.chance.choice(NAMES) or number,
                "owners": [self.chance.choice(EMAILS)] if self.chance.random() < 0.5 else [],
            }
            for number in self.chance.sample(E164, 8)
        ]
        self.put(name, f"/accounts/{name}", {"provider": "static", "numbers": numbers})
        self.done["edits"] += 1

    def edit_portal(self, portal_id: int) -> None:
        chance = self.chance
        accounts = chance.sample(ACCOUNTS, chance.randint(1, 3))
        users = chance.choice(["all", "none", self.rule(accounts)])
        rules = {
            str(user): self.rule(accounts) for user in chance.sample(USERS, chance.randint(0, 2))
        }
        body: Spec = {"accounts": accounts, "users": users, "user": rules}
        self.put(portal_id, f"/portals/{portal_id}", body | {"token": f"pat-na1-{portal_id}"})
        self.done["edits"] += 1

    def rule(self, accounts: list[str]) -> Spec:
        chance, rule = self.chance, Spec()
        if chance.random() < 0.5:
            rule["numbers"] = chance.sample(E164, chance.choice([0, 5, 20]))
        if chance.random() < 0.4:
            rule["names"] = chance.sample(["Support*", "SALES", "*"], chance.randint(0, 2))
        if chance.random() < 0.3:
            rule["owner"] = chance.choice(EMAILS)
        if chance.random() < 0.3:
            rule["accounts"] = chance.sample(accounts, chance.randint(0, len(accounts)))
        return rule

    def recent(self, key: Any, since: float) -> list[Any]:
        return [body for _, until, body in self.versions[key] if until >= since]

    def seen(self, portal_id: int, user_id: int) -> set[str]:
        body = json.dumps({"appId": 1, "portalId": portal_id, "userId": user_id}).encode()
        url = self.chance.choice(self.servers).url + PATH
        now_ms = time.time_ns() // 1_000_000
        headers = signed_headers("v3", SECRET, "POST", url, body, now_ms)
        headers["Content-Type"] = "application/json"
        while True:
            try:
                answer = self.session.post(url, body, headers=headers, timeout=30)
            except requests.ConnectionError:  # of a worker that was killed
                continue
            assert answer.status_code == 200, answer.text
            return {one["e164PhoneNumber"] for one in answer.json()["phoneNumbers"]}

    def check(self, portal_id: int, user_id: int) -> None:
        since = time.monotonic() - IN_FORCE_S - SLACK_S
        found = self.seen(portal_id, user_id)
        specs = self.recent(portal_id, since)
        allowed = set[str]()
        for spec in specs:
            for account in spec["accounts"]:
                for table in self.recent(account, since):
                    allowed |= numbers_of(spec, user_id, account, table["numbers"])
        assert found <= allowed, (portal_id, user_id, found - allowed, specs)
        self.done["checks"] += 1

    def settle(self) -> None:
        """Once nothing was edited for so long, everybody sees exactly what is in force."""
        time.sleep(IN_FORCE_S + SLACK_S)
        for portal_id in PORTALS:
            spec = self.versions[portal_id][-1][2]
            for user_id in USERS:
                wanted = set[str]()
                for account in spec["accounts"]:
                    table = self.versions[account][-1][2]
                    wanted |= numbers_of(spec, user_id, account, table["numbers"])
                for _ in range(8):  # whichever worker answers
                    assert self.seen(portal_id, user_id) == wanted
        self.done["settled"] += 1

    def kill(self) -> None:
        command = ["pgrep", "-P", str(self.chance.choice(self.servers).process.pid)]
        workers = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(self.chance.choice(workers)), signal.SIGKILL)
        self.done["kills"] += 1

    def rotate(self) -> None:
        done = flask(self.settings, "keys", "rotate")
        assert done.returncode == 0, done.stderr
        self.done["rotations"] += 1


def numbers_of(spec: Spec, user_id: int, account: str, numbers: list[Spec]) -> set[str]:
    """The numbers of an account that the user may see, by the model."""
    users = spec["users"]
    default = [users] if isinstance(users, dict) else [{}] if users == "all" else []
    rules = [spec["user"][str(user_id)]] if str(user_id) in spec["user"] else default
    played: list[Number] = [
        {**one, "owner": one["owners"][0] if one["owners"] else None} for one in numbers
    ]
    return {
        number["number"]
        for number in played
        if any(passes(rule, account, number, None) for rule in rules)
    }


def test_no_number_is_ever_too_many(postgres_server: str) -> None:
    seed = os.environ.get("MODEL_SEED") or str(time.time_ns() % 10_000)
    print(f"MODEL_SEED={seed}")  # shown where it fails
    chance = random.Random(seed)
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DATABASE_URL": new_database(postgres_server, f"m{time.monotonic_ns()}"),
        "ENCRYPTION_KEYS": f"{KEY},{new_key()}",
        "ADMIN_TOKENS": ADMIN,
        "WEB_CONCURRENCY": "2",
    }
    with serving(settings) as server, serving(settings) as other_server:
        world = World([server, other_server], settings, chance)
        newer = settings | {
            "ENCRYPTION_KEYS": ",".join(settings["ENCRYPTION_KEYS"].split(",")[::-1])
        }
        for step in range(1, STEPS + 1):
            what = chance.random()
            if step % (STEPS // 2) == 0:
                world.settings = newer if world.settings is settings else settings
                world.rotate()
                world.settle()
            elif what >= 0.99 or step == STEPS // 4:
                world.kill()
            elif what < 0.75:
                world.check(chance.choice(PORTALS), chance.choice(USERS))
            elif what < 0.92:
                world.edit_portal(chance.choice(PORTALS))
            else:
                world.edit_account(chance.choice(ACCOUNTS))
    assert world.done["settled"] == 2
    assert world.done["kills"]
