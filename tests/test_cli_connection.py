"""`flask channel-connection`, against a server that answers as HubSpot does."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpdesk_numbers.webhook import PATH
from providers.testing.carrier import Carrier
from tests.support.carrier import says
from tests.support.commands import Done, here
from tests.support.https import HOST, https
from tests.support.hubspot_api import APP_ID, HTML, KEY, HubSpotAPI

BASE = f"https://{HOST}"
URL = BASE + PATH
GREYED = "Users see now: the app greyed out; testers who set the browser flag can select it."
SELECTABLE = "Users see now: the app, selectable by everybody who has it installed."
ABSENT = "Users see now: the app cannot be chosen for a channel, not even by testers."
SNIPPET = "window.localStorage.setItem('LocalSettings:Calling:supportsChannelConnection', true)"


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
    return here(settings(api.url), "channel-connection", "delete", stdin=answer)


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
    f"https://[bad{PATH}": "not a URL",
    f"{URL}/elsewhere": f"does not end in {PATH}",
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
