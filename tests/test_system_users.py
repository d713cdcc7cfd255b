"""Who is asking, on the real server: answers, log lines, and HubSpot away or refusing."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from providers.testing import carrier as faults
from providers.testing.carrier import Reply
from tests.support.asking import SECRET
from tests.support.hubspot_users import TOKEN, HubSpotUsers, Person
from tests.support.server import ROOT, Server, environ, free_port, procfile, serving

DIRECTORY = f"""
[accounts.desk]
provider = "static"
numbers = [
    {{ number = "+12025550143", name = "Anna's line", owners = ["anna@acme.example"] }},
    {{ number = "+12025550144", name = "Main line" }},
]
[portals.62515]
accounts = ["desk"]
users = "own"
token = "{TOKEN}"
[portals.62515.user."ben@acme.example"]
names = ["Main*"]
[portals.62515.user.1009]
"""
ANNA, BEN = Person(1001, "anna@acme.example"), Person(1002, "Ben@ACME.example")


@pytest.fixture
def hubspot() -> Iterator[HubSpotUsers]:
    with HubSpotUsers(ANNA, BEN) as made:
        yield made


def settings(hubspot: HubSpotUsers, **more: str) -> dict[str, str]:
    return {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_API_BASE_URL": hubspot.url,
        "DIRECTORY_TOML": DIRECTORY,
        "LOOKUP_DEADLINE": "1.5",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


def ask(server: Server, user_id: int) -> requests.Response:
    body = json.dumps({"appId": 1, "portalId": 62515, "userId": user_id}).encode()
    url = server.url + PATH
    headers = signed_headers("v3", SECRET, "POST", url, body, time.time_ns() // 1_000_000)
    headers["Content-Type"] = "application/json"
    return requests.post(url, body, headers=headers, timeout=20)


def numbers(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["e164PhoneNumber"] for one in answer.json()["phoneNumbers"]]


def lines(server: Server) -> list[dict[str, Any]]:
    read = [json.loads(text) for text in server.output().splitlines() if text.startswith("{")]
    return [line for line in read if line["event"] in ("request", "hubspot_refused")]


def test_each_sees_their_own_and_the_log_says_how_they_became_known(
    hubspot: HubSpotUsers,
) -> None:
    with serving(settings(hubspot)) as server:
        assert numbers(ask(server, 1001)) == ["+12025550143"]
        assert numbers(ask(server, 1001)) == ["+12025550143"]
        assert numbers(ask(server, 1002)) == ["+12025550144"]
        assert numbers(ask(server, 7)) == []
        assert numbers(ask(server, 1009)) == ["+12025550143", "+12025550144"]
        hubspot.always = Reply(b"", 477, {"Retry-After": "40"})
        assert numbers(ask(server, 1001)) == ["+12025550143"]
        answer = ask(server, 8)
        assert (answer.status_code, answer.json()["category"]) == (503, "HUBSPOT_UNAVAILABLE")
        assert answer.headers["Retry-After"] == "40"
        found = lines(server)
        assert [line["who"] for line in found] == [
            "hubspot", "remembered", "hubspot", "unknown", "not needed", "remembered", "unknown",
        ]  # fmt: skip
        assert found[0]["who_ms"] > 0
        assert "477" in found[-1]["reason"]
        assert found[2]["why"] == "rule of the user's address"
        output = server.output().lower()
        assert "acme.example" not in output
        assert TOKEN not in output


def test_a_refused_token_is_a_502_and_one_line_with_the_remedy(hubspot: HubSpotUsers) -> None:
    wrong = DIRECTORY.replace(TOKEN, "pat-na1-wrong")
    with serving(settings(hubspot, DIRECTORY_TOML=wrong)) as server:
        for user_id in range(20, 30):
            answer = ask(server, user_id)
            assert (answer.status_code, answer.json()["category"]) == (502, "HUBSPOT_REFUSED")
            assert "pat-" not in answer.text
        found = [line for line in lines(server) if line["event"] == "hubspot_refused"]
        assert len(found) == 1
        assert "docs/who-sees-what.md" in found[0]["remedy"]
        assert numbers(ask(server, 1009)) == ["+12025550143", "+12025550144"]
        assert "pat-na1" not in server.output()


def test_a_hubspot_that_hangs_costs_the_deadline_and_nobody_elses_time(
    hubspot: HubSpotUsers,
) -> None:
    hubspot.always = faults.hang
    with serving(settings(hubspot)) as server:
        began = time.monotonic()
        answer = ask(server, 1001)
        assert answer.status_code == 503
        assert 1.4 < time.monotonic() - began < 4
        assert numbers(ask(server, 1009))


def test_a_fault_at_the_start_names_its_place_without_the_address(hubspot: HubSpotUsers) -> None:
    faulty = DIRECTORY + '[portals.62515.user."carl@acme.example"]\nnumbers = ["x"]'
    done = subprocess.run(
        procfile(),
        cwd=ROOT,
        env=environ(settings(hubspot, DIRECTORY_TOML=faulty, PORT=str(free_port()))),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert 'portals.62515.user."…".numbers[0]: not a phone number' in done.stderr
    assert "carl" not in done.stderr
