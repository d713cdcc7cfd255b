"""How soon an edit is in force in every process, under load, with workers that are killed."""

import itertools
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence

import requests

from benchmarks.bars import Bar, summary
from benchmarks.load import FIRST_PORTAL, signed
from benchmarks.portals import flask, settings_for
from benchmarks.servers import Running, children, with_settings
from helpdesk_numbers.webhook import PATH
from tests.support.postgres import new_database, postgres

EDITS, PORTALS, CALLERS = 100, 10, 6
KILL_EVERY = 7
"""Edits, of one of which a worker dies."""

BY_COMMAND = 5
"""Of so many edits, one is made by a command: each takes a second to start."""

ADMIN = "a-token-of-benchmarks"
SEED = 11


class Edits:
    """What each portal's only number is and was, and until when."""

    def __init__(self, servers: Sequence[Running], settings: dict[str, str]) -> None:
        self.servers, self.settings = servers, settings
        self.chance = random.Random(SEED)
        self.fresh = (f"+1202555{index:04}" for index in itertools.count(100))
        self.portal_of: dict[str, int] = {}
        self.replaced_at: dict[str, float] = {}
        self.current: dict[int, tuple[str, str]] = {}  # account and number
        self.late_s: list[float] = []
        self.asked: Counter[str] = Counter()
        self.over = threading.Event()

    def put(self, path: str, body: object) -> None:
        """Put it by the API of either instance. A worker that dies takes its requests with it."""
        while True:
            url = f"{self.chance.choice(self.servers).url}/api/v1{path}"
            headers = {"Authorization": f"Bearer {ADMIN}", "Connection": "close"}
            try:
                requests.put(url, json=body, headers=headers, timeout=60).raise_for_status()
                return
            except requests.ConnectionError:
                continue

    def edit(self, portal_id: int, how: str) -> None:
        """Give the portal another number: by its account, by another account, by a command."""
        number = next(self.fresh)
        account, before = self.current.get(portal_id, ("", ""))
        self.portal_of[number] = portal_id
        if how != "account":
            account = f"a{number[1:]}"
        if how != "account" or not before:
            self.put(f"/accounts/{account}", _table(number))
        if how == "account":
            self.put(f"/accounts/{account}", _table(number))
        elif how == "portal":
            self.put(f"/portals/{portal_id}", {"accounts": [account]})
        else:
            flask(self.settings, "portals", "set", str(portal_id), "--account", account)
        self.current[portal_id] = account, number
        self.replaced_at[before] = time.monotonic()

    def ask(self) -> None:
        """Ask all portals of both instances, until it is over, and see which number there is."""
        session = requests.Session()
        chance = random.Random()
        while not self.over.is_set():
            server, portal_id = chance.choice(self.servers), chance.randrange(PORTALS)
            head, _, body = signed(server.url, 1, first=portal_id)[0].wire.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
            began = time.monotonic()
            try:
                answer = session.post(server.url + PATH, body, headers=headers, timeout=20)
            except requests.ConnectionError:
                self.asked["connections of workers that died"] += 1
                continue
            self.asked[str(answer.status_code)] += 1
            if answer.status_code != 200:
                continue
            numbers = [one["e164PhoneNumber"] for one in json.loads(answer.content)["phoneNumbers"]]
            if [self.portal_of.get(number) for number in numbers] != [FIRST_PORTAL + portal_id]:
                self.asked["wrong"] += 1
            elif (replaced_at := self.replaced_at.get(numbers[0])) and replaced_at < began:
                self.late_s.append(began - replaced_at)

    def kill(self) -> None:
        """Kill a worker of either instance."""
        workers = children(self.chance.choice(self.servers).process.pid)
        os.kill(self.chance.choice(workers), signal.SIGKILL)
        self.asked["workers killed"] += 1


def edits_in_force() -> list[Bar]:
    """A hundred edits by API and command, two instances of two workers."""
    with postgres() as url:
        settings = settings_for(new_database(url, "edits")) | {"ADMIN_TOKENS": ADMIN}
        given = settings | {"WEB_CONCURRENCY": "2"}
        with with_settings(given) as one, with_settings(given) as other:
            edits = Edits((one, other), settings)
            for portal in range(PORTALS):
                edits.edit(FIRST_PORTAL + portal, "portal")
            callers = [threading.Thread(target=edits.ask) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            began = time.monotonic()
            for index in range(EDITS):
                portal_id = FIRST_PORTAL + edits.chance.randrange(PORTALS)
                by = edits.chance.choice(("account", "portal"))
                edits.edit(portal_id, by if index % BY_COMMAND else "command")
                if index % KILL_EVERY == 0:
                    edits.kill()
                time.sleep(edits.chance.random())
            time.sleep(7)
            edits.over.set()
            for caller in callers:
                caller.join()
            took_s = time.monotonic() - began
    failed = sum(count for status, count in edits.asked.items() if status in ("500", "502", "503"))
    answers = edits.asked["200"]
    return [
        Bar(
            f"{EDITS} edits under load, 2 instances × 2 workers: the oldest answer by what was",
            5, max(edits.late_s, default=0), "s",
            detail=f"{len(edits.late_s)} of {answers:,} answers ({answers / took_s:.0f} a second)"
            f" were by what was, {summary(edits.late_s or [0])} s after; {dict(edits.asked)}",
        ),
        Bar("the same: answers with another number, or none", 0, edits.asked["wrong"]),
        Bar("the same: requests that failed", 0, failed),
    ]  # fmt: skip


def _table(number: str) -> dict[str, object]:
    return {"provider": "static", "numbers": [{"number": number}]}
