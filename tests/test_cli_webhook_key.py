"""The commands know HUBSPOT_WEBHOOK_KEY, and never show it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from providers.testing.carrier import Carrier, Reply
from tests.support.commands import Done, here
from tests.support.https import HOST, https
from tests.support.hubspot_api import APP_ID, HubSpotAPI, refusal
from tests.support.hubspot_api import KEY as API_KEY
from tests.support.server import Server, serving
from tests.support.webhook_key import KEY, KEYED, parts_of_key

SECRET = "a-secret-of-tests"
PUBLIC = "https://numbers.example.com"
SHOWN = f"{PATH}/…"
OTHER = "AnotherKeyOfTests0123456789"
PORTAL = '[portals.{}]\naccounts = ["desk"]\n'
DESK = '[accounts.desk]\nprovider = "static"\nnumbers = [{ number = "+12025550143" }]\n'
SETTINGS = {
    "HUBSPOT_CLIENT_SECRET": SECRET,
    "HUBSPOT_APP_ID": str(APP_ID),
    "HUBSPOT_DEVELOPER_API_KEY": API_KEY,
    "PUBLIC_URL": PUBLIC,
    "DIRECTORY_TOML": DESK + PORTAL.format(62515) + PORTAL.format(62516),
}
WITH_KEY = SETTINGS | {"HUBSPOT_WEBHOOK_KEY": KEY}
MADE = re.compile(r"HUBSPOT_WEBHOOK_KEY=([A-Za-z0-9]{32})\b")


def run(settings: dict[str, str], *arguments: str, stdin: str = "") -> Done:
    done = here(settings, *arguments, stdin=stdin)
    shown = done.stdout + done.stderr
    assert not parts_of_key(shown), shown
    assert OTHER not in shown
    return done


def connection(api: HubSpotAPI, *arguments: str, stdin: str = "", **more: str) -> Done:
    settings = WITH_KEY | {"HUBSPOT_API_BASE_URL": api.url} | more
    return run(settings, "channel-connection", *arguments, stdin=stdin)


def registered(api: HubSpotAPI) -> str:
    assert api.connection is not None
    url: str = api.connection["url"]
    return url


def test_create_registers_the_url_with_the_key(api: HubSpotAPI) -> None:
    done = connection(api, "create", "--force")
    assert (done.returncode, registered(api)) == (0, PUBLIC + KEYED)
    assert f"url: {PUBLIC}{SHOWN}" in done.stdout
    assert done.stderr == ""
    assert "already" in connection(api, "create", "--force").stderr


def test_url_as_it_is_shown_means_the_key(api: HubSpotAPI) -> None:
    """So that a remedy can be run as it stands."""
    api.register("https://old.example.com/hook")
    done = connection(api, "update", "--url", PUBLIC + SHOWN, "--force", "--json")
    assert registered(api) == PUBLIC + KEYED
    assert json.loads(done.stdout)["after"]["url"] == PUBLIC + SHOWN


@pytest.mark.parametrize(
    ("url", "more", "reason"),
    [
        (PUBLIC + PATH, {}, f"does not end in {SHOWN}, where the service answers: the URL lacks"),
        (f"{PUBLIC}{PATH}/{OTHER}", {}, "the URL has another key than HUBSPOT_WEBHOOK_KEY"),
        (PUBLIC + KEYED, {"HUBSPOT_WEBHOOK_KEY": ""}, "HUBSPOT_WEBHOOK_KEY is not set here"),
    ],
)
def test_url_with_another_key_or_none_is_refused(
    api: HubSpotAPI, url: str, more: dict[str, str], reason: str
) -> None:
    done = connection(api, "create", "--url", url, **more)
    assert (done.returncode, api.connection) == (1, None)
    assert reason in done.stderr
    api.register(PUBLIC + KEYED)
    assert reason in connection(api, "update", "--url", url, **more).stderr


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (PUBLIC + KEYED, None),
        (PUBLIC + PATH, "the URL lacks HUBSPOT_WEBHOOK_KEY"),
        (f"{PUBLIC}{PATH}/{OTHER}", "the URL has another key than HUBSPOT_WEBHOOK_KEY"),
    ],
)
def test_show_and_update_compare_the_key(api: HubSpotAPI, url: str, fault: str | None) -> None:
    api.register(url)
    done = connection(api, "show")
    assert (f"key: {fault}" in done.stdout.splitlines()) is bool(fault)
    assert ("key:" in connection(api, "update", "--ready").stdout) is bool(fault)
    shown = json.loads(connection(api, "show", "--json").stdout)["url"]
    assert shown == url.replace(KEY, "…").replace(OTHER, "…")


def test_update_to_another_key_is_seen_as_a_change(api: HubSpotAPI) -> None:
    api.register(f"{PUBLIC}{PATH}/{OTHER}", is_ready=True)
    done = connection(api, "update", "--url", PUBLIC + SHOWN, "--force")
    assert done.stdout.splitlines()[0] == f"url: {PUBLIC}{SHOWN} → {PUBLIC}{SHOWN}"


def test_delete_asks_without_the_key(api: HubSpotAPI) -> None:
    api.register(PUBLIC + KEYED)
    done = connection(api, "delete", stdin="y\n")
    assert f"url: {PUBLIC}{SHOWN}" in done.stdout
    assert api.connection is None


def test_hubspots_own_words_are_shown_without_the_key(api: HubSpotAPI) -> None:
    said = f"The url {PUBLIC}{KEYED} (key {KEY}) is not valid."
    api.then = [refusal(404, "none"), refusal(400, said, "VALIDATION_ERROR")]
    done = connection(api, "create", "--force")
    assert f"The url {PUBLIC}{SHOWN} (key …) is not valid." in done.stderr
    api.then = [refusal(403, said)]
    finding = check(WITH_KEY | {"HUBSPOT_API_BASE_URL": api.url})["registration"]
    assert "is not valid." in finding["text"]


# Without a key.


def test_create_offers_to_make_a_key_where_several_portals_are_served(api: HubSpotAPI) -> None:
    done = connection(api, "create", "--force", stdin="y\n", HUBSPOT_WEBHOOK_KEY="")
    assert (done.returncode, api.connection) == (1, None)
    assert "2 portals are served" in done.stderr
    assert "Nothing is registered yet" in done.stderr
    made = MADE.fullmatch(done.stdout.strip())
    assert made
    again = here(
        SETTINGS | {"HUBSPOT_WEBHOOK_KEY": made[1], "HUBSPOT_API_BASE_URL": api.url},
        "channel-connection", "create", "--force",
    )  # fmt: skip
    assert (again.returncode, registered(api)) == (0, f"{PUBLIC}{PATH}/{made[1]}")


@pytest.mark.parametrize(("answer", "more"), [("n\n", []), ("", []), ("y\n", ["--json"])])
def test_create_goes_on_without_a_key_if_none_is_wanted(
    api: HubSpotAPI, answer: str, more: list[str]
) -> None:
    """Also where nobody is there to answer, as in a script, or where a script reads the answer."""
    done = connection(api, "create", "--force", *more, stdin=answer, HUBSPOT_WEBHOOK_KEY="")
    assert (done.returncode, registered(api)) == (0, PUBLIC + PATH)
    assert "2 portals are served" in done.stderr
    assert not MADE.search(done.stdout)


@pytest.mark.parametrize(
    "directory", ["", DESK + PORTAL.format(1), DESK + PORTAL.format(1) + "[portals.2]\naccounts=[]"]
)
def test_create_offers_nothing_for_one_portal_or_none(api: HubSpotAPI, directory: str) -> None:
    more = {"HUBSPOT_WEBHOOK_KEY": "", "DIRECTORY_TOML": directory}
    done = connection(api, "create", "--force", stdin="y\n", **more)
    assert (done.returncode, done.stderr) == (0, "")
    assert check(SETTINGS | more, "--offline").get("webhook key") is None


# `flask check`.


def check(settings: dict[str, str], *arguments: str) -> dict[str, Any]:
    done = run(settings, "check", "--json", *arguments)
    return {finding["check"]: finding for finding in json.loads(done.stdout)}


def test_check_warns_of_several_portals_without_a_key_and_lets_the_release_go_on() -> None:
    done = run(SETTINGS, "check", "--offline")
    assert done.returncode == 0
    assert "– webhook key: HUBSPOT_WEBHOOK_KEY is not set, and 2 portals are served" in done.stdout
    assert "Nothing wrong" in done.stdout
    first, second = (
        MADE.search(check(SETTINGS, "--offline")["webhook key"]["remedy"]) for _ in range(2)
    )
    assert first
    assert second
    assert first[1] != second[1], "made by chance, for each"
    assert "webhook key" not in check(WITH_KEY, "--offline")


@pytest.mark.parametrize("public", [PUBLIC, ""])
@pytest.mark.parametrize(
    ("url", "key", "text"),
    [
        (PUBLIC + KEYED, KEY, None),
        (PUBLIC + PATH, KEY, "the URL lacks HUBSPOT_WEBHOOK_KEY"),
        (f"{PUBLIC}{PATH}/{OTHER}", KEY, "the URL has another key than HUBSPOT_WEBHOOK_KEY"),
        (PUBLIC + KEYED, "", "the URL has a key, and HUBSPOT_WEBHOOK_KEY is not set here"),
        (PUBLIC + PATH, "", None),
    ],
)
def test_check_compares_the_registered_key(
    api: HubSpotAPI, public: str, url: str, key: str, text: str | None
) -> None:
    api.register(url, is_ready=True)
    more = {"HUBSPOT_API_BASE_URL": api.url, "HUBSPOT_WEBHOOK_KEY": key, "PUBLIC_URL": public}
    finding = check(SETTINGS | more)["registration"]
    assert finding["ok"] is (text is None)
    assert (text or PUBLIC) in finding["text"]
    assert ("channel-connection update --url" in finding["remedy"]) is bool(text)


def test_check_names_a_malformed_key_and_one_that_is_another_secret() -> None:
    malformed = check(SETTINGS | {"HUBSPOT_WEBHOOK_KEY": "short"}, "--offline")["settings"]
    assert malformed["ok"] is False
    assert malformed["text"].startswith("HUBSPOT_WEBHOOK_KEY: too short")
    same = check(WITH_KEY | {"HUBSPOT_CLIENT_SECRET": KEY}, "--offline")["client secret"]
    assert same["ok"] is False
    assert "the same as HUBSPOT_WEBHOOK_KEY" in same["text"]


# The webhook itself, by a service that has the key.


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(WITH_KEY | {"PUBLIC_URL": f"https://{HOST}"}) as running:
        yield running


@pytest.mark.parametrize(
    ("key", "ok"), [(KEY, True), (OTHER, False), ("", False)], ids=["same", "another", "none"]
)
def test_check_asks_the_service_with_the_key(
    api: HubSpotAPI, server: Server, certificate: Path, key: str, ok: bool
) -> None:
    api.register(f"https://{HOST}{KEYED}")
    with https(certificate, server.url) as front:
        finding = check(
            SETTINGS
            | front.environ
            | {"HUBSPOT_API_BASE_URL": api.url, "PUBLIC_URL": f"https://{HOST}"}
            | {"HUBSPOT_WEBHOOK_KEY": key}
        )["webhook"]
    assert finding["ok"] is ok
    assert finding["text"] == f"a signed request is answered with {200 if ok else 404}"
    assert ok or finding["remedy"].startswith("set the same HUBSPOT_WEBHOOK_KEY here and there")


def send(url: str, *arguments: str, **more: str) -> Done:
    who = ("--portal-id", "62515", "--user-id", "1001")
    settings = WITH_KEY | {"PUBLIC_URL": f"https://{HOST}"} | more
    return run(settings, "webhook", "send", *who, "--url", url, *arguments)


@pytest.mark.parametrize("path", ["", "/", SHOWN, KEYED])
def test_send_asks_with_the_key(server: Server, path: str) -> None:
    done = send(server.url + path)
    assert done.returncode == 0
    sent = f"POST {server.url}{SHOWN}\nsigned for https://{HOST}{SHOWN}\n200 OK"
    assert done.stdout.startswith(sent)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (PATH, {}),
        ("", {"HUBSPOT_WEBHOOK_KEY": OTHER}),
        ("", {"HUBSPOT_WEBHOOK_KEY": ""}),
        (f"{PATH}/{OTHER}", {"HUBSPOT_WEBHOOK_KEY": ""}),
    ],
)
def test_send_with_another_key_or_none_is_a_404_that_names_it(
    server: Server, path: str, more: dict[str, str]
) -> None:
    done = send(server.url + path, **more)
    assert done.returncode == 1
    assert "404 NOT FOUND" in done.stdout
    assert "has the service the same HUBSPOT_WEBHOOK_KEY, or none either?" in done.stdout


def test_send_shows_no_key_that_a_stranger_repeats() -> None:
    def repeat(asked: Any) -> Reply:
        body = {"message": f"Cannot POST {asked.path}", "key": KEY}
        return Reply(body, 404, {"Location": f"https://elsewhere.example{asked.path}"})

    with Carrier(repeat) as stranger:
        assert "Location: https://elsewhere.example" in send(stranger.url).stdout
        body = json.loads(send(stranger.url, "--json").stdout)["body"]
    assert body == {"message": f"Cannot POST {SHOWN}", "key": "…"}
    assert SHOWN in send(stranger.url).stderr  # nobody is there any more


def explain(url: str, signed: str, *, now_ms: int = 1_790_000_000_000, **more: str) -> Any:
    body = '{"appId":1,"portalId":2,"userId":3}'
    headers = signed_headers("v3", SECRET, "POST", signed, body.encode(), now_ms)
    request = {"url": url, "headers": headers, "body": body, "receivedAt": now_ms}
    settings = WITH_KEY | more
    done = run(settings, "webhook", "explain", "--json", stdin=json.dumps(request))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("path", [KEYED, SHOWN])
def test_explain_finds_what_was_signed_with_the_key(path: str) -> None:
    explained = explain(f"http://10.0.0.7{path}", f"{PUBLIC}{KEYED}/")
    assert explained["cause"] == "a trailing slash was lost on the way"
    assert explained["url"] == PUBLIC + SHOWN
    assert explained["remedy"].endswith(f"--url {PUBLIC}{SHOWN}")


@pytest.mark.parametrize("path", [PATH, f"{PATH}/{OTHER}", "/", f"{PATH}/%41{KEY[1:]}"])
def test_explain_names_a_url_without_the_key(path: str) -> None:
    explained = explain(PUBLIC + path, PUBLIC + path)
    assert explained["cause"] == (
        "the URL does not end in the webhook's key, so it is answered with 404"
    )
    assert SHOWN in explained["remedy"]


def test_explain_names_the_query_of_another_call() -> None:
    url = f"{PUBLIC}{KEYED}?portalId=1"
    assert "The query has portalId" in explain(url, url)["cause"]
    assert explain(url, "https://elsewhere.example")["cause"] == "wrong secret"
    plain = f"{PUBLIC}{PATH}?userEmail=a"
    assert "The query has userEmail" in explain(plain, plain, HUBSPOT_WEBHOOK_KEY="")["cause"]
