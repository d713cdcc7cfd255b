"""The `flask` commands."""

import json
import os
from pathlib import Path

import pytest

from providers.testing.carrier import Carrier
from tests.support.carrier import TOKEN, refusing, says, twilio_settings
from tests.support.commands import flask, here
from tests.support.server import ROOT

SECRET = "a-secret-of-tests"
DIRECTORY = """
[accounts.desk]
provider = "static"
numbers = [
    { number = "+12025550143", name = "Customer Support – Berlin" },
    { number = "+12025550100", name = "Back office", extension = "7" },
]
[portals.62515]
accounts = ["desk"]
[portals.62515.user.1002]
names = ["back*"]
[portals.62516]
accounts = ["desk"]
users = "none"
"""
SETTINGS = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": DIRECTORY}


def test_numbers_are_shown_as_hubspot_shows_them() -> None:
    done = flask(SETTINGS, "numbers", "--portal-id", "62515", "--user-id", "1001")
    assert done.returncode == 0
    assert [line.split("  ") for line in done.stdout.splitlines()][2][0] == "+12025550143"
    assert "Customer Su…ort – Berlin" in done.stdout
    assert "desk" in done.stdout


def test_explain_says_why_each_number_is_in_or_out() -> None:
    done = here(SETTINGS, "numbers", "--portal-id", "62515", "--user-id", "1002", "--explain")
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("+")}
    assert "in: " in rows["+12025550100"]
    assert "out: matches none of the rule's names" in rows["+12025550143"]
    assert "account desk (static): ok" in done.stdout


def test_numbers_as_json_hold_hubspots_fields_and_the_reasons() -> None:
    done = here(
        SETTINGS, "numbers", "--portal-id", "62515", "--user-id", "1002", "--explain", "--json"
    )
    data = json.loads(done.stdout)
    assert [
        (one["e164PhoneNumber"], one["extension"], one["friendlyName"])
        for one in data["phoneNumbers"]
    ] == [("+12025550100", "7", "Back office")]
    assert [one["number"] for one in data["leftOut"]] == ["+12025550143"]
    assert data["accounts"][0]["outcome"] == "ok"
    assert (data["portalId"], data["userId"]) == (62515, 1002)


def test_an_empty_list_says_why() -> None:
    for portal_id, why in (("62516", 'users = "none"'), ("1", "portal not in the directory")):
        done = here(SETTINGS, "numbers", "--portal-id", portal_id, "--user-id", "5")
        assert (done.returncode, why in done.stdout) == (0, True)


def test_a_carrier_that_cannot_be_reached_fails_the_command_and_is_named() -> None:
    with refusing() as url:
        settings = {"HUBSPOT_CLIENT_SECRET": SECRET, **twilio_settings(url)}
        done = here(settings, "numbers", "--portal-id", "62515", "--user-id", "1")
    assert done.returncode == 1
    assert "account twilio (twilio): unreachable: the connection failed" in done.stderr
    assert "\n  → check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr + done.stdout


def test_a_carrier_that_asks_to_wait_is_quoted() -> None:
    who = ("--portal-id", "62515", "--user-id", "1", "--explain")
    with Carrier(says({}, 429, Retry_After="77")) as carrier:
        settings = {"HUBSPOT_CLIENT_SECRET": SECRET, **twilio_settings(carrier.url)}
        shown = here(settings, "numbers", *who)
        data = json.loads(here(settings, "numbers", *who, "--json").stdout)
    assert "rate_limited: answered 429, try again in 77 s, " in shown.stdout
    assert data["accounts"][0]["retryAfter"] == 77


def test_wrong_usage_exits_with_2() -> None:
    assert here(SETTINGS, "numbers", "--portal-id", "0", "--user-id", "1").returncode == 2
    assert here(SETTINGS, "numbers", "--portal-id", "1").returncode == 2


ONE_PORTAL = SETTINGS | {"DIRECTORY_TOML": DIRECTORY.partition("[portals.62516]")[0]}
ONE_ACCOUNT = {
    "HUBSPOT_CLIENT_SECRET": SECRET,
    "HUBSPOT_PORTAL_IDS": "62515",
    "PROVIDER": "static",
    "STATIC_NUMBERS": '[{"number": "+12025550143"}]',
}


@pytest.mark.parametrize("settings", [ONE_PORTAL, ONE_ACCOUNT])
def test_the_only_portal_need_not_be_named(settings: dict[str, str]) -> None:
    done = here(settings, "numbers", "--user-id", "1001", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["portalId"] == 62515


@pytest.mark.parametrize("command", [["numbers"], ["webhook", "send"]])
def test_one_portal_of_several_has_to_be_named(command: list[str]) -> None:
    done = here(SETTINGS, *command, "--user-id", "1", "--json")
    assert done.returncode == 2
    assert "give --portal-id" in json.loads(done.stdout)["error"]


def test_a_command_that_needs_settings_lists_what_is_missing() -> None:
    done = here({}, "numbers", "--portal-id", "1", "--user-id", "1")
    assert done.returncode == 1
    assert "HUBSPOT_CLIENT_SECRET: missing" in done.stderr
    assert "DIRECTORY: missing" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("numbers", "--portal-id", "1", "--user-id", "1"), 1, "HUBSPOT_CLIENT_SECRET: missing"),
        (("providers", "try", "telnix"), 2, "did you mean 'telnyx'?"),
        (("providers", "try", "telnyx"), 2, "TELNYX_API_KEY: missing"),
        (("webhook", "send", "--portal-id", "1", "--user-id", "1"), 1, "HUBSPOT_CLIENT_SECRET"),
        (("channel-connection", "show"), 1, "HUBSPOT_APP_ID: missing"),
    ],
)
def test_failure_is_told_as_json_too(arguments: tuple[str, ...], status: int, said: str) -> None:
    done = here({}, *arguments, "--json")
    assert done.returncode == status
    assert said in json.loads(done.stdout)["error"]
    assert said in done.stderr


def test_providers_need_no_settings_and_show_no_values() -> None:
    done = here({"TWILIO_AUTH_TOKEN": "a-token-of-tests"}, "providers", "--json")
    assert done.returncode == 0
    assert "a-token-of-tests" not in done.stdout
    twilio = next(one for one in json.loads(done.stdout) if one["provider"] == "twilio")
    options = {one["variable"]: one for one in twilio["options"]}
    assert options["TWILIO_ACCOUNT_SID"]["required"]
    assert not options["TWILIO_ACCOUNT_SID"]["set"]
    assert options["TWILIO_AUTH_TOKEN"]["secret"]
    assert options["TWILIO_AUTH_TOKEN"]["set"]
    table = here({}, "providers").stdout
    assert "TWILIO_API_SECRET" in table
    assert "\nstatic\n" in table


def test_a_broken_third_partys_provider_is_shown_as_broken(tmp_path: Path) -> None:
    """Entry points as pip installs them: a package's folder beside its .dist-info."""
    (tmp_path / "broken_carrier.py").write_text("raise RuntimeError('a-token-of-tests')\n")
    info = tmp_path / "broken_carrier-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-carrier\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[helpdesk_numbers.providers]\nbroken = broken_carrier:Broken\ntwilio = broken_carrier:X\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = flask({"PYTHONPATH": path}, "providers", "--json")
    shown = {one["provider"]: one for one in json.loads(done.stdout)}
    assert shown["broken"]["error"] == "broken cannot be loaded: RuntimeError"
    assert shown["twilio"]["error"] is None, "a built-in name cannot be replaced"
    assert "a-token-of-tests" not in done.stdout + done.stderr
