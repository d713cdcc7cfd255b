"""`flask users`, `--user`, and what `flask check` says about who is asking."""

import json
from collections.abc import Iterator

import pytest

from providers.testing.carrier import Reply
from tests.support.commands import here
from tests.support.hubspot_users import (
    OWNERS_SCOPE,
    TOKEN,
    HubSpotUsers,
    Person,
)
from tests.support.server import serving

DIRECTORY = """
[accounts.desk]
provider = "static"
numbers = [
    { number = "+12025550143", name = "Anna's line", owners = ["ANNA@acme.example"] },
    { number = "+12025550144", name = "Support", owners = ["left@acme.example"] },
    { number = "+12025550145", name = "Main line" },
]
[portals.62515]
accounts = ["desk"]
users = "own"
token = "env:PORTAL_TOKEN"
[portals.62515.team."Support"]
names = ["Support", "Main*"]
[portals.62515.user.1003]
"""
ANNA = Person(1001, "anna@acme.example")
BEN = Person(1002, "ben@acme.example", (("7", "Support"),), ("Ben", "Example"))


@pytest.fixture
def hubspot() -> Iterator[HubSpotUsers]:
    with HubSpotUsers(ANNA, BEN, Person(1003, None)) as made:
        yield made


@pytest.fixture
def settings(hubspot: HubSpotUsers) -> dict[str, str]:
    return {
        "HUBSPOT_CLIENT_SECRET": "a-secret-of-tests",
        "HUBSPOT_API_BASE_URL": hubspot.url,
        "DIRECTORY_TOML": DIRECTORY,
        "PORTAL_TOKEN": TOKEN,
    }


def test_users_rules_and_numbers_are_listed(settings: dict[str, str]) -> None:
    done = here(settings, "users", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    seen = {
        user["userId"]: (user["rule"], [number["number"] for number in user["numbers"]])
        for user in data["users"]
    }
    assert seen == {
        1001: ("user without a rule: own numbers", ["+12025550143"]),
        1002: ('rule of the team "support"', ["+12025550144", "+12025550145"]),
        1003: ("user's rule", ["+12025550143", "+12025550144", "+12025550145"]),
    }
    assert [user["userId"] for user in data["usersWithoutNumber"]] == [1003, 1002]
    assert data["numbersWithoutUser"] == [
        {"owners": ["left@acme.example"], "number": "+12025550144", "account": "desk"}
    ]
    table = here(settings, "users", "--portal-id", "62515").stdout
    for text in ("Anna Example", "ben@acme.example", "Support", "+12025550144 +12025550145"):
        assert text in table
    assert "Without a number at the carrier: no address (1003); ben@acme.example (1002)" in table
    assert "left@acme.example" in table.partition("no user in HubSpot")[2]


@pytest.mark.parametrize("token", ["pat-na1-wrong", ""])
def test_without_a_good_token_it_says_what_to_do(settings: dict[str, str], token: str) -> None:
    directory = DIRECTORY if token else DIRECTORY.replace('token = "env:PORTAL_TOKEN"', "")
    changed = {**settings, "PORTAL_TOKEN": token, "DIRECTORY_TOML": directory}
    for command in (["users"], ["numbers", "--user", "anna@acme.example"]):
        done = here(changed, *command)
        assert done.returncode == 1
        assert "docs/who-sees-what.md" in done.stderr
        assert ("401" if token else "portals.62515") in done.stderr
        assert "pat-na1" not in done.stderr


def test_the_only_portals_token_may_be_a_setting(settings: dict[str, str]) -> None:
    directory = DIRECTORY.replace('token = "env:PORTAL_TOKEN"', "")
    changed = {**settings, "DIRECTORY_TOML": directory, "HUBSPOT_PORTAL_TOKEN": TOKEN}
    assert here(changed, "numbers", "--user-id", "1001").stdout.count("+1202555") == 1


def test_a_user_is_named_by_address(settings: dict[str, str]) -> None:
    done = here(settings, "numbers", "--user", "Anna@ACME.example", "--explain")
    assert done.returncode == 0, done.stderr
    assert "in: user without a rule: own numbers" in done.stdout
    assert "user 1001: Anna Example <anna@acme.example>, teams: none (hubspot, " in done.stdout
    done = here(settings, "numbers", "--user", "stranger@acme.example")
    assert done.returncode == 1
    assert "no active user stranger@acme.example" in done.stderr
    for wrong in ([], ["--user-id", "1", "--user", "x@acme.example"]):
        done = here(settings, "numbers", *wrong)
        assert done.returncode == 2
        assert "--user-id or --user" in done.stderr


def test_send_and_a_running_service_take_an_address_too(settings: dict[str, str]) -> None:
    with serving(settings) as server:
        who = ("--user", "anna@acme.example", "--url", server.url)
        sent = here(settings, "webhook", "send", *who)
        assert sent.returncode == 0, sent.stderr
        assert "Anna's line" in sent.stdout
        asked = here(settings, "numbers", *who)
        assert "user 1001: Anna Example <anna@acme.example>" in asked.stdout
        assert "acme.example" not in server.output()


def test_a_user_whom_hubspot_does_not_know_is_told(settings: dict[str, str]) -> None:
    done = here(settings, "numbers", "--user-id", "7", "--explain")
    assert "user 7: HubSpot does not know this user (unknown, " in done.stdout
    assert "user without a rule, whom HubSpot does not know" in done.stdout


def test_numbers_says_that_hubspot_is_away(settings: dict[str, str], hubspot: HubSpotUsers) -> None:
    hubspot.always = Reply(b"", 500)
    done = here(settings, "numbers", "--user-id", "1001")
    assert done.returncode == 1
    assert "HubSpot answered 500" in done.stderr
    assert "Traceback" not in done.stderr


def findings(settings: dict[str, str], *arguments: str) -> dict[str, tuple[bool | None, str]]:
    done = here(settings, "check", "--json", *arguments)
    listed = json.loads(done.stdout)
    return {one["check"]: (one["ok"], one["text"] + one["remedy"]) for one in listed}


TOKEN_INFO = {"userId": 1, "appId": 2, "hubId": 62515, "scopes": [OWNERS_SCOPE, "oauth"]}


def test_check_tries_the_portals_token(settings: dict[str, str], hubspot: HubSpotUsers) -> None:
    name = "portals.62515.token"
    hubspot.token_info = TOKEN_INFO
    ok, text = findings(settings)[name]
    assert ok
    assert text.startswith("HubSpot finds user 1001 in ")
    assert OWNERS_SCOPE in text
    hubspot.token_info = {**TOKEN_INFO, "hubId": 7}
    assert findings(settings)[name] == (
        False,
        "it is the token of portal 7copy the token of the app in this portal:"
        " docs/who-sees-what.md says how",
    )
    hubspot.token_info = {**TOKEN_INFO, "scopes": ["oauth"]}
    assert "lacks the scope crm.objects.owners.read" in findings(settings)[name][1]
    hubspot.token_info = None  # nobody promises that HubSpot has this path
    assert findings(settings)[name][0]
    assert findings({**settings, "PORTAL_TOKEN": "pat-na1-x"})[name][0] is False
    hubspot.always = Reply(b"", 500)
    assert findings(settings)[name][:1] == (False,)


def test_check_asks_nobody_offline_and_for_portals_that_need_it_alone(
    settings: dict[str, str], hubspot: HubSpotUsers
) -> None:
    asked = len(hubspot.asked)
    assert findings(settings, "--offline")["portals.62515.token"] == (None, "left out: --offline")
    assert len(hubspot.asked) == asked
    simple = DIRECTORY.partition("users =")[0]
    assert "portals.62515.token" not in findings({**settings, "DIRECTORY_TOML": simple})
    untold = DIRECTORY.replace('token = "env:PORTAL_TOKEN"', "")
    found = findings({**settings, "DIRECTORY_TOML": untold}, "--offline")
    assert found["portals.62515.token"][0] is False
    assert "HUBSPOT_PORTAL_TOKEN" in found["portals.62515.token"][1]


def test_check_names_portals_whose_own_can_never_match(settings: dict[str, str]) -> None:
    twilio = """
[accounts.us]
provider = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = "x"
[portals.7]
accounts = ["us"]
users = "own"
token = "x"
[portals.7.user.5]
owner = "me"
unowned = true
"""
    changed = {**settings, "DIRECTORY_TOML": DIRECTORY + twilio}
    found = findings(changed, "--offline")
    ok, text = found["portals.7.users"]
    assert ok is False
    assert "(twilio) know no owners" in text
    assert "portals.62515.users" not in found
