"""`flask channel-connection`, against a server that answers as HubSpot does."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.cli import FlaskGroup

from app import create_app
from hubspot.webhook import PATH
from tests.carrier import Carrier, refusing, says
from tests.https import HOST, PROXY, https, make_certificate
from tests.hubspot_api import (
    APP_ID,
    CORRELATION_ID,
    EXPIRED,
    HTML,
    KEY,
    TOKEN,
    HubSpotAPI,
    Reply,
    rate_limited,
    refusal,
)
from tests.test_cli import flask

BASE = f"https://{HOST}"
URL = BASE + PATH
GREYED = "Users see now: the app greyed out; testers who set the browser flag can select it."
SELECTABLE = "Users see now: the app, selectable by everybody who has it installed."
ABSENT = "Users see now: the app cannot be chosen for a channel, not even by testers."
SNIPPET = "window.localStorage.setItem('LocalSettings:Calling:supportsChannelConnection', true)"

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def api() -> Iterator[HubSpotAPI]:
    with HubSpotAPI() as running:
        yield running


def here(environ: dict[str, str], *arguments: str, answer: str | None = None) -> Done:
    """`flask …` as in tests/test_cli.py, without the time that a process takes."""
    group = FlaskGroup(create_app=lambda: create_app(environ), load_dotenv=False)
    runner = CliRunner(env={n: v for n, v in environ.items() if n in PROXY})
    result = runner.invoke(group, arguments, input=answer, prog_name="flask")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(arguments, result.exit_code, result.stdout, result.stderr)


def settings(url: str, **more: str) -> dict[str, str]:
    return {
        "HUBSPOT_APP_ID": str(APP_ID),
        "HUBSPOT_DEVELOPER_API_KEY": KEY,
        "HUBSPOT_API_BASE_URL": url,
        **more,
    }


def run(api: HubSpotAPI, *arguments: str, **more: str) -> Done:
    done = here(settings(api.url, **more), "channel-connection", *arguments)
    assert KEY not in done.stdout + done.stderr
    return done


def read(done: Done) -> Any:
    assert done.returncode == 0
    return json.loads(done.stdout)


def test_create_is_for_testers_alone_at_first(api: HubSpotAPI) -> None:
    done = run(api, "create", "--url", URL, "--force")
    assert done.returncode == 0
    assert api.connection is not None
    assert (api.connection["url"], api.connection["isReady"]) == (URL, False)
    for said in ("Registered.", f"url: {URL}", "isReady: no", GREYED, SNIPPET):
        assert said in done.stdout
    assert "flask channel-connection update --ready" in done.stdout


def test_create_ready_is_for_everybody_and_needs_no_snippet(api: HubSpotAPI) -> None:
    done = run(api, "create", "--url", URL, "--force", "--ready")
    assert done.returncode == 0
    assert api.connection is not None
    assert api.connection["isReady"] is True
    assert SELECTABLE in done.stdout
    assert "localStorage" not in done.stdout


def test_create_of_what_exists_says_what_to_do_instead(api: HubSpotAPI) -> None:
    api.register("https://old.example.com/hook", is_ready=True)
    done = run(api, "create", "--url", URL, "--force")
    assert done.returncode == 1
    assert "has a registration already (https://old.example.com/hook)" in done.stderr
    assert "flask channel-connection update" in done.stderr
    assert [one.method for one in api.asked] == ["GET"]


def test_create_uses_the_public_url(api: HubSpotAPI) -> None:
    for base in (BASE, f"{BASE}/"):
        api.connection = None
        data = read(run(api, "create", "--force", "--json", PUBLIC_URL=base))
        assert data["url"] == URL


def test_create_without_any_url_is_wrong_usage(api: HubSpotAPI) -> None:
    done = run(api, "create")
    assert done.returncode == 2
    assert "give --url, or set PUBLIC_URL" in done.stderr
    assert not api.asked


@pytest.mark.parametrize("guide_dates", [False, True])
def test_show_tells_what_is_registered_and_what_users_see(
    api: HubSpotAPI, guide_dates: bool
) -> None:
    api.guide_dates = guide_dates
    api.register(URL)
    done = run(api, "show")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"url: {URL}", "isReady: no"]
    assert lines[2].startswith("created: 20")
    assert lines[2].endswith(" UTC")
    assert lines[-1] == GREYED
    api.register(URL, is_ready=True)
    assert SELECTABLE in run(api, "show").stdout


def test_show_of_nothing_says_so(api: HubSpotAPI) -> None:
    done = run(api, "show")
    assert done.returncode == 0
    assert f"Nothing is registered for app {APP_ID}." in done.stdout
    assert ABSENT in done.stdout
    assert read(run(api, "show", "--json")) is None


def test_show_as_json_has_aware_times_and_no_key(api: HubSpotAPI) -> None:
    api.guide_dates = True
    api.register(URL, is_ready=True)
    data = read(run(api, "show", "--json"))
    assert (data["url"], data["isReady"]) == (URL, True)
    assert data["createdAt"].endswith("+00:00")


def test_update_shows_before_and_after(api: HubSpotAPI) -> None:
    api.register(URL)
    done = run(api, "update", "--ready")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"url: {URL} (unchanged)", "isReady: no → yes", SELECTABLE]
    assert api.asked[-1].payload == {"isReady": True}
    done = run(api, "update", "--url", f"{BASE}/x{PATH}", "--not-ready", "--force")
    assert f"url: {URL} → {BASE}/x{PATH}" in done.stdout
    assert "isReady: yes → no" in done.stdout
    assert GREYED in done.stdout


def test_update_as_json_has_both_states(api: HubSpotAPI) -> None:
    api.register(URL)
    data = read(run(api, "update", "--ready", "--json"))
    assert (data["before"]["isReady"], data["after"]["isReady"]) == (False, True)


def test_update_of_what_does_not_exist_says_what_to_do_instead(api: HubSpotAPI) -> None:
    done = run(api, "update", "--ready")
    assert done.returncode == 1
    assert "nothing is registered" in done.stderr
    assert "flask channel-connection create" in done.stderr
    assert [one.method for one in api.asked] == ["GET"]


def test_update_of_nothing_is_wrong_usage(api: HubSpotAPI) -> None:
    done = run(api, "update")
    assert done.returncode == 2
    assert "--ready" in done.stderr
    assert not api.asked


def asked_to_delete(api: HubSpotAPI, answer: str) -> Done:
    return here(settings(api.url), "channel-connection", "delete", answer=answer)


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_delete_without_consent_deletes_nothing(api: HubSpotAPI, answer: str) -> None:
    api.register(URL)
    done = asked_to_delete(api, answer)
    assert done.returncode == 1
    assert URL in done.stdout
    assert "Delete this registration?" in done.stdout
    assert ("--yes" in done.stderr) == (answer == ""), "nobody is there to answer"
    assert api.connection is not None


def test_delete_with_consent_deletes(api: HubSpotAPI) -> None:
    api.register(URL)
    done = asked_to_delete(api, "y\n")
    assert done.returncode == 0
    assert api.connection is None
    assert ABSENT in done.stdout


def test_delete_in_a_script_does_not_ask(api: HubSpotAPI) -> None:
    api.register(URL)
    done = run(api, "delete", "--yes")
    assert done.returncode == 0
    assert "Deleted." in done.stdout
    assert "?" not in done.stdout
    assert api.connection is None
    done = run(api, "delete", "--yes")
    assert done.returncode == 1
    assert "nothing is registered" in done.stderr


REFUSED = {
    f"http://{HOST}{PATH}": "not https",
    f"//{HOST}{PATH}": "not https",
    "": "not https",
    f"{URL}?portal=1": "has a query",
    f"{URL}#here": "has a query or fragment",
    f"https://localhost{PATH}": "this machine",
    f"https://127.0.0.1:8000{PATH}": "this machine",
    f"https://[::1]{PATH}": "this machine",
    f"https://0.0.0.0{PATH}": "this machine",
    f"https://10.1.2.3{PATH}": "private network",
    f"https://desk.local{PATH}": "private network",
    f"https://[bad{PATH}": "no URL",
    BASE: f"does not end in {PATH}",
    f"{URL}/": f"does not end in {PATH}",
}


@pytest.mark.parametrize(("url", "reason"), REFUSED.items())
def test_unusable_url_is_refused_with_the_reason(api: HubSpotAPI, url: str, reason: str) -> None:
    done = run(api, "create", "--url", url)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "--force" in done.stderr
    assert not api.asked
    api.register(URL)
    assert reason in run(api, "update", "--url", url).stderr
    assert api.connection is not None
    assert api.connection["url"] == URL


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_url_where_the_service_answers_is_taken(api: HubSpotAPI, certificate: Path) -> None:
    with Carrier(says({"status": "ok"})) as service, https(certificate, service.url) as front:
        done = run(api, "create", "--url", URL, **front.environ)
        assert done.returncode == 0, done.stderr
        assert front.hosts == [f"{HOST}:443"]
        assert [one.target for one in service.asked] == ["/healthz"]
        done = run(api, "update", "--url", f"{BASE}/below{PATH}", **front.environ)
        assert service.asked[-1].target == "/below/healthz"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"status": "ok"}, 503, "answers 503, not 200"),
        (b"", 302, "answers 302, not 200"),
        (HTML, 200, "it is another service"),
        ([], 200, "it is another service"),
    ],
)
def test_url_where_another_service_answers_is_refused(
    api: HubSpotAPI, certificate: Path, body: object, status: int, reason: str
) -> None:
    with Carrier(says(body, status)) as service, https(certificate, service.url) as front:
        done = run(api, "create", "--url", URL, **front.environ)
    assert done.returncode == 1
    assert f"{BASE}/healthz {reason}" in done.stderr or reason in done.stderr
    assert api.connection is None


def test_url_with_a_bad_certificate_is_refused(api: HubSpotAPI, certificate: Path) -> None:
    url = f"https://other.example.com{PATH}"
    with Carrier(says({"status": "ok"})) as service, https(certificate, service.url) as front:
        done = run(api, "create", "--url", url, **front.environ)
    assert done.returncode == 1
    assert "TLS failed" in done.stderr


def test_url_where_nobody_answers_is_refused(api: HubSpotAPI) -> None:
    done = run(api, "create", "--url", f"https://nobody.invalid{PATH}")
    assert done.returncode == 1
    assert "https://nobody.invalid/healthz does not answer" in done.stderr


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
    assert "HUBSPOT_ACCESS_TOKEN or HUBSPOT_DEVELOPER_API_KEY is wrong, expired" in done.stderr
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
    api.then = [Reply(500, HTML)]
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
        done = flask(settings(url), "channel-connection", "show")
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
    done = flask(
        settings(api.url, HUBSPOT_API_BASE_URL="http://a..b"), "channel-connection", "show"
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert KEY not in done.stderr
