"""Who is asking: own numbers of many users at once, both sides cold, and HubSpot away."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from benchmarks.bars import Bar, ratio, summary
from benchmarks.load import FIRST_PORTAL, Ask, Run, at_once, open_loop, signed
from benchmarks.people import AWAY, e164
from benchmarks.servers import Running, with_settings
from helpdesk_numbers.webhook import PATH
from tests.support.hubspot_users import TOKEN, email_of
from tests.support.server import ROOT

USERS, NUMBERS = 500, 600
OWN, BY_ID = FIRST_PORTAL, FIRST_PORTAL + 1
ROUNDS = 7
TURNS = 6
STRANGERS = itertools.count(100_000)


def own_numbers() -> list[Bar]:
    """500 users open the drop-down at once, twice; the same with a rule by id for each."""
    with _people(0.15, 0.5) as urls, _serving(urls, WEB_THREADS="512") as server:
        first = at_once(server.url, _asks(server, OWN, USERS)).check()
        after_first = _asked(urls)
        wrong = _wrong(server)
        own, by_id = list[float](), list[float]()
        at_once(server.url, _asks(server, BY_ID, USERS)).check()
        for _ in range(ROUNDS):
            before = _asked(urls)["hubspot"]
            own.append(at_once(server.url, _asks(server, OWN, USERS)).check().percentile(99))
            again = _asked(urls)["hubspot"] - before
            by_id.append(at_once(server.url, _asks(server, BY_ID, USERS)).check().percentile(99))
    name = f"{USERS} users at once, each their own of {NUMBERS} numbers"
    return [
        Bar(f"{name}: listings", 1, after_first["listings"]),
        Bar(
            "the same: requests to HubSpot, first wave",
            USERS, after_first["hubspot"], detail=f"p99 {first.percentile(99):,.0f} ms",
        ),
        Bar("the same: requests to HubSpot, second wave", 0, again),
        Bar("the same: users who saw anything but their own", 0, wrong),
        Bar(
            "the same: p99 of a later wave against rules by id",
            1.1, ratio(own, by_id), detail=f"own {summary(own)}, by id {summary(by_id)} ms",
        ),
    ]  # fmt: skip


def both_cold() -> list[Bar]:
    """HubSpot at 150 ms and the carrier at 200 ms, nobody remembered and no connection open."""
    times = []
    for _ in range(ROUNDS):
        with _people(0.15, 0.2) as urls, _serving(urls) as server:
            (answer,) = at_once(server.url, _asks(server, OWN, 1)).check().times_ms[""]
            times.append(answer)
    return [
        Bar(
            "HubSpot at 150 ms and carrier at 200 ms, both cold: answered in",
            240, sorted(times)[ROUNDS // 2], "ms", detail=summary(times, "ms"),
        )
    ]  # fmt: skip


def hubspot_away() -> list[Bar]:
    """Users whose rule needs HubSpot beside users whose rule does not, HubSpot well and away."""
    bars = []
    with _people(0.15, 0.02) as urls, _serving(urls) as server:
        remembered = 50
        at_once(server.url, _asks(server, OWN, remembered)).check()
        at_once(server.url, _asks(server, BY_ID, 100)).check()
        for mode in AWAY:
            if mode == "well":
                continue
            well, away = Run(), Run()
            for _ in range(TURNS):
                _pool(well, open_loop(server.url, _mixed(server, remembered), 100, 2.5))
                requests.get(f"{urls['hubspot']}/mode?{mode}", timeout=10)
                _pool(away, open_loop(server.url, _mixed(server, remembered), 100, 2.5))
                requests.get(f"{urls['hubspot']}/mode?well", timeout=10)
            statuses = {label: dict(counted) for label, counted in away.statuses.items()}
            p99 = {label: away.percentile(99, label) for label in ("by id", "remembered")}
            others = {*statuses["by id"], *statuses["remembered"]}
            bars += [
                Bar(
                    f"HubSpot away ({mode}): p99 of users with rules by id, against HubSpot well",
                    1.1, p99["by id"] / well.percentile(99, "by id"),
                    detail=f"p99 {p99['by id']:.0f}, if remembered {p99['remembered']:.0f} ms;"
                    f" statuses {statuses}",
                ),
                Bar("the same: remembered users and rules by id not answered 200", 0,
                    len(others - {200})),
            ]  # fmt: skip
    return bars


def _pool(whole: Run, run: Run) -> None:
    """Put a turn's answers to those before."""
    for label, times in run.times_ms.items():
        whole.times_ms.setdefault(label, []).extend(times)
        whole.statuses.setdefault(label, Counter()).update(run.statuses[label])


def _mixed(server: Running, remembered: int) -> list[Ask]:
    """Users by id, remembered users, and one in ten whom nobody remembers."""
    asks = []
    for index in range(50):
        asks += _asks(server, BY_ID, 1, 1 + index, "by id")
        asks += _asks(server, OWN, 1, 1 + index % remembered, "remembered")
        if index % 5 == 0:
            asks += _asks(server, OWN, 1, next(STRANGERS), "strangers")
    return asks


def _asks(server: Running, portal: int, users: int, first: int = 1, label: str = "") -> list[Ask]:
    return [
        signed(server.url, 1, label, portal - FIRST_PORTAL, user)[0]
        for user in range(first, first + users)
    ]


def _wrong(server: Running) -> int:
    """How many users see anything but the one number that is theirs."""

    def is_wrong(user: int) -> bool:
        head, _, body = _asks(server, OWN, 1, user)[0].wire.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        answer = requests.post(server.url + PATH, body, headers=headers, timeout=20).json()
        return [one["e164PhoneNumber"] for one in answer["phoneNumbers"]] != [e164(user)]

    with ThreadPoolExecutor(50) as callers:
        return sum(callers.map(is_wrong, range(1, USERS + 1)))


def _asked(urls: dict[str, str]) -> dict[str, int]:
    answer: dict[str, int] = requests.get(f"{urls['hubspot']}/asked", timeout=10).json()
    return answer


@contextmanager
def _people(hubspot_s: float, carrier_s: float) -> Iterator[dict[str, str]]:
    """HubSpot's users and their carrier, as a process of its own."""
    arguments = map(str, (USERS, NUMBERS, hubspot_s, carrier_s))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.people", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdin
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


@contextmanager
def _serving(urls: dict[str, str], **settings: str) -> Iterator[Running]:
    """Ours, with two portals that have an account each: own numbers, and a rule by id for each."""
    tables = [
        f'[accounts.a{portal}]\nprovider = "ringcentral"\nclient_id = "c"\nclient_secret = "s"\n'
        f'jwt = "j"\nbase_url = "{urls["carrier"]}"\n[portals.{portal}]\naccounts = ["a{portal}"]\n'
        for portal in (OWN, BY_ID)
    ]
    own = f'users = "own"\ntoken = "{TOKEN}"\n'
    by_id = [
        f'[portals.{BY_ID}.user.{user}]\nowner = "{email_of(user)}"\n'
        for user in range(1, USERS + 1)
    ]
    text = tables[0] + own + tables[1] + "".join(by_id)
    given = {"DIRECTORY_TOML": text, "HUBSPOT_API_BASE_URL": urls["hubspot"], **settings}
    with with_settings(given) as server:
        yield server
