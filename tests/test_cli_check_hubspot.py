"""What `flask check` finds at HubSpot: its clock, the registration, the calling settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpdesk_numbers.webhook import PATH
from providers.testing.carrier import Carrier, Reply
from tests.support.carrier import refusing
from tests.support.commands import flask
from tests.support.https import https
from tests.support.hubspot_api import CORRELATION_ID, EXPIRED, HTML, KEY, HubSpotAPI, refusal
from tests.support.server import Server, serving
from tests.test_cli_check import (
    BASE,
    DIRECTORY,
    SECRET,
    SETTINGS,
    at_hubspot,
    check,
    reach,
    service,
)

__all__ = ["service"]  # a fixture


@pytest.mark.parametrize(
    ("skew_s", "ok", "said"),
    [
        (0, True, "agrees with HubSpot's"),
        (30, True, "s behind HubSpot's"),
        (90, False, "s behind HubSpot's"),
        (-400, False, "s ahead of HubSpot's"),
    ],
)
def test_clock_is_compared_with_hubspots(api: HubSpotAPI, skew_s: int, ok: bool, said: str) -> None:
    api.skew_s = skew_s
    clock = check(at_hubspot(api))["clock"]
    assert clock["ok"] is ok
    assert said in clock["text"]


@pytest.mark.parametrize("date", [None, "yesterday", "Sun, 22 Nov 99999 17:00:00 GMT"])
def test_clock_is_left_out_where_hubspot_tells_no_time(date: str | None) -> None:
    headers = {} if date is None else {"Date": date}
    with Carrier(lambda _: Reply(b"", 404, headers)) as server:
        found = check(SETTINGS | {"HUBSPOT_API_BASE_URL": server.url})
    assert found["clock"]["ok"] is None
    assert "did not give the time" in found["clock"]["text"]


def test_no_network_is_told() -> None:
    with refusing() as url:
        settings = SETTINGS | {
            "HUBSPOT_APP_ID": "1",
            "HUBSPOT_DEVELOPER_API_KEY": KEY,
            "HUBSPOT_API_BASE_URL": url,
            "PUBLIC_URL": "https://nobody.invalid",
        }
        found = check(settings)
    assert found["clock"]["ok"] is None
    assert "the connection failed" in found["clock"]["text"]
    assert found["public URL"]["ok"] is False
    assert "https://nobody.invalid/healthz does not answer" in found["public URL"]["text"]
    assert "cannot be reached" in found["registration"]["text"]
    assert "Check the network" in found["registration"]["remedy"]
    assert found["calling settings"]["ok"] is None


def test_registration_is_compared_with_ours(
    api: HubSpotAPI, service: Server, certificate: Path
) -> None:
    found = check(at_hubspot(api))
    assert found["registration"]["text"] == "there is none"
    assert "flask channel-connection create" in found["registration"]["remedy"]
    assert "released" not in found
    api.register(f"https://old.example.com{PATH}")
    found = reach(api, service.url, certificate)
    assert found["registration"]["ok"] is False
    assert f"https://old.example.com{PATH}, not {BASE}{PATH}" in found["registration"]["text"]
    assert f"update --url {BASE}{PATH}" in found["registration"]["remedy"]
    assert found["released"]["ok"] is False
    assert "greyed out" in found["released"]["text"]
    assert "update --ready" in found["released"]["remedy"]


def test_calling_settings_are_looked_at(api: HubSpotAPI) -> None:
    api.register(BASE + PATH, is_ready=True)
    assert check(at_hubspot(api))["calling settings"]["ok"] is True
    for given, said in ((False, "is false"), (None, "is not given")):
        api.calling = {"name": "x", "url": "x"}
        if given is not None:
            api.calling["supportsInboundCalling"] = given
        finding = check(at_hubspot(api))["calling settings"]
        assert finding["ok"] is False
        assert said in finding["text"]


def test_unknown_app_is_one_finding(api: HubSpotAPI) -> None:
    found = check(at_hubspot(api) | {"HUBSPOT_APP_ID": "999"})
    assert found["registration"]["text"] == "HubSpot has no calling settings for app 999"
    assert "Is HUBSPOT_APP_ID right" in found["registration"]["remedy"]
    assert "calling settings" not in found


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"HUBSPOT_DEVELOPER_API_KEY": "wrong-of-tests"}, "401 INVALID_AUTHENTICATION"),
        ({"HUBSPOT_ACCESS_TOKEN": EXPIRED}, "401 EXPIRED_AUTHENTICATION"),
    ],
)
def test_wrong_credential_is_told_in_hubspots_words(
    api: HubSpotAPI, more: dict[str, str], said: str
) -> None:
    finding = check(at_hubspot(api) | more)["registration"]
    assert finding["ok"] is False
    assert said in finding["text"]
    assert CORRELATION_ID in finding["text"]
    assert "wrong-of-tests" not in finding["text"]
    assert "HUBSPOT_ACCESS_TOKEN or HUBSPOT_DEVELOPER_API_KEY" in finding["remedy"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(HTML, 500),
        Reply(HTML),
        Reply(status=302),
        Reply([]),
        refusal(400, "Something"),
        refusal(429, "Wait"),
    ],
)
def test_whatever_hubspot_answers_is_a_finding(api: HubSpotAPI, reply: Reply) -> None:
    api.then = [replace(reply, headers={"Retry-After": "3600"})]
    found = check(at_hubspot(api))
    assert found["registration"]["ok"] is False
    assert found["calling settings"]["ok"] is None


def test_registration_is_left_out_where_settings_are_missing() -> None:
    with refusing() as url:
        found = check(SETTINGS | {"HUBSPOT_API_BASE_URL": url})
    text = "left out: HUBSPOT_APP_ID and HUBSPOT_DEVELOPER_API_KEY not set"
    assert found["registration"]["text"] == text
    assert found["registration"]["ok"] is None


def test_what_the_running_service_has_in_force_is_compared(
    api: HubSpotAPI, certificate: Path, tmp_path: Path
) -> None:
    """A new account's variable is set at the desk, and not where the service runs."""
    path = tmp_path / "directory.toml"
    path.write_text(DIRECTORY)
    running = {"HUBSPOT_CLIENT_SECRET": SECRET, "PUBLIC_URL": BASE, "DIRECTORY": str(path)}
    with serving(running) as server, https(certificate, server.url) as front:
        desk = at_hubspot(api) | {"PUBLIC_URL": BASE, "DIRECTORY": str(path)} | front.environ
        del desk["DIRECTORY_TOML"]
        assert "running service" not in check(desk)
        new = '[accounts.new]\nprovider = "static"\nnumbers = [{ number = "env:NEW" }]\n'
        path.write_text(DIRECTORY + new + '[portals.7]\naccounts = ["new"]\n')
        done = flask(desk | {"NEW": "+12025550177"}, "check")
        assert done.returncode == 1
        assert "✗ running service: it has refused the last edit: accounts.new" in done.stdout
        assert (
            "it has 1 account and 1 portal in force, this desk 2 accounts and 2 por" in done.stdout
        )
