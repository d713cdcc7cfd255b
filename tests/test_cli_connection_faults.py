"""What `flask channel-connection` says when settings, credentials or HubSpot are not as wanted."""

import json

import pytest

from providers.testing.carrier import Reply
from tests.support.carrier import refusing
from tests.support.commands import flask, here
from tests.support.hubspot_api import (
    CORRELATION_ID,
    EXPIRED,
    HTML,
    KEY,
    TOKEN,
    HubSpotAPI,
    rate_limited,
    refusal,
)
from tests.test_cli_connection import ABSENT, SELECTABLE, SNIPPET, URL, run, settings


@pytest.mark.parametrize(
    ("kept", "missing"),
    [
        ({"HUBSPOT_DEVELOPER_API_KEY": KEY}, {"HUBSPOT_APP_ID"}),
        ({"HUBSPOT_APP_ID": "1"}, {"HUBSPOT_ACCESS_TOKEN", "HUBSPOT_DEVELOPER_API_KEY"}),
        ({}, {"HUBSPOT_APP_ID", "HUBSPOT_ACCESS_TOKEN"}),
    ],
)
@pytest.mark.parametrize(
    "arguments", [["show"], ["create", "--url", URL], ["update", "--ready"], ["delete", "--yes"]]
)
def test_missing_setting_is_named(
    kept: dict[str, str], missing: set[str], arguments: list[str]
) -> None:
    done = here(kept, "channel-connection", *arguments)
    assert done.returncode == 1
    assert all(name in done.stderr for name in missing)


def test_commands_need_no_directory_and_no_client_secret(api: HubSpotAPI) -> None:
    assert run(api, "show", DIRECTORY_TOML="[").returncode == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"HUBSPOT_DEVELOPER_API_KEY": "wrong-of-tests"},
            "401 INVALID_AUTHENTICATION: This hapikey",
        ),
        ({"HUBSPOT_ACCESS_TOKEN": EXPIRED}, "401 EXPIRED_AUTHENTICATION: The OAuth token"),
    ],
)
def test_wrong_or_expired_credential_is_told(
    api: HubSpotAPI, more: dict[str, str], said: str
) -> None:
    done = run(api, "show", **more)
    assert done.returncode == 1
    assert said in done.stderr
    assert CORRELATION_ID in done.stderr
    assert "HUBSPOT_ACCESS_TOKEN or HUBSPOT_DEVELOPER_API_KEY is wrong, has expired" in done.stderr
    assert not any(value in done.stdout + done.stderr for value in more.values())


@pytest.mark.parametrize("arguments", [["show"], ["create", "--url", URL, "--force"]])
def test_unknown_app_is_told(api: HubSpotAPI, arguments: list[str]) -> None:
    done = run(api, *arguments, HUBSPOT_APP_ID="999")
    assert done.returncode == 1
    assert "999" in done.stderr
    assert "Is HUBSPOT_APP_ID right" in done.stderr


def test_app_without_calling_settings_is_told(api: HubSpotAPI) -> None:
    api.calling = None
    done = run(api, "show")
    assert done.returncode == 1
    assert "calling extension set up?" in done.stderr


def test_rate_limit_is_waited_for_once(api: HubSpotAPI) -> None:
    api.register(URL)
    api.then = [rate_limited("0")]
    assert run(api, "show").returncode == 0
    api.then = [rate_limited("0"), rate_limited("0")]
    done = run(api, "show")
    assert done.returncode == 1
    assert "429 RATE_LIMIT: You have reached your ten_secondly_rolling limit." in done.stderr


def test_html_in_place_of_an_error_is_told(api: HubSpotAPI) -> None:
    api.then = [Reply(HTML, 500)]
    done = run(api, "show")
    assert done.returncode == 1
    assert "HubSpot answered 500" in done.stderr
    assert "<html>" not in done.stderr


@pytest.mark.parametrize("arguments", [["show"], ["update", "--ready"]])
def test_failure_is_told_as_json_too(api: HubSpotAPI, arguments: list[str]) -> None:
    api.then = [refusal(400, "Something")]
    done = run(api, *arguments, "--json")
    assert done.returncode == 1
    assert "Something" in json.loads(done.stdout)["error"]
    assert "Something" in done.stderr


def test_key_that_hubspot_quotes_is_not_shown(api: HubSpotAPI) -> None:
    api.then = [refusal(400, f"hapikey={KEY} is not valid")]
    done = run(api, "show", "--json")
    assert done.returncode == 1
    assert "hapikey=*** is not valid" in done.stderr


def test_no_network_is_told() -> None:
    with refusing() as url:
        done = here(settings(url), "channel-connection", "show")
    assert done.returncode == 1
    assert f"HubSpot cannot be reached at {url}: the connection failed" in done.stderr
    assert "Check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stderr


def test_token_of_the_environment_is_used(api: HubSpotAPI) -> None:
    assert run(api, "show", HUBSPOT_ACCESS_TOKEN=TOKEN).returncode == 0
    assert api.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_whole_life_of_a_registration_in_real_processes(api: HubSpotAPI) -> None:
    for arguments, said in (
        (["create", "--url", URL, "--force"], SNIPPET),
        (["update", "--ready"], "isReady: no → yes"),
        (["show"], SELECTABLE),
        (["delete", "--yes"], ABSENT),
    ):
        done = flask(settings(api.url), "channel-connection", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout
    done = here(settings(api.url, HUBSPOT_API_BASE_URL="http://a..b"), "channel-connection", "show")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert KEY not in done.stderr
