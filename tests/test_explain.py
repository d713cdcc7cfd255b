"""`POST …/explain`: who may ask, what it says, and what its signature is good for."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app import create_app
from helpdesk_numbers.explain import HEADER, signed_headers
from helpdesk_numbers.webhook import PATH
from hubspot import signature
from tests.support.commands import flask, here
from tests.support.server import Server, serving

SECRET = "a-secret-of-tests"
KEY = "abcdefghij0123456789KLMN"
DESK = """[accounts.desk]
provider = "static"
numbers = [
    { number = "+12025550143", name = "Front desk" },
    { number = "+12025550144", name = "Fax", voice = false },
]
[portals.62515]
accounts = ["desk"]
[portals.62515.user.1002]
names = ["nobody*"]
"""
SETTINGS = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": DESK}
EXPLAIN = f"{PATH}/explain"


def body(user: int = 1001) -> bytes:
    return json.dumps({"appId": 1, "portalId": 62515, "userId": user}).encode()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def post(
    settings: dict[str, str] | None = None,
    path: str = EXPLAIN,
    headers: dict[str, str] | None = None,
    **signing: Any,
) -> TestResponse:
    sent, url = body(signing.pop("user", 1001)), f"http://localhost{path}"
    made = signed_headers(signing.get("secret", SECRET), url, sent, signing.get("at", now_ms()))
    client = create_app(settings or SETTINGS).test_client()
    chosen = made if headers is None else headers
    return client.post(url, data=sent, headers={**chosen, "Content-Type": "application/json"})


def test_it_says_what_the_webhook_answers_and_why() -> None:
    data = post().get_json()
    assert data["source"] == "live"
    assert data["why"] == "user without a rule: all numbers"
    assert [one["e164PhoneNumber"] for one in data["phoneNumbers"]] == ["+12025550143"]
    assert [(one["number"], one["reason"]) for one in data["leftOut"]] == [
        ("+12025550144", "cannot take calls")
    ]
    assert [(one["name"], one["outcome"]) for one in data["accounts"]] == [("desk", "ok")]
    assert data["directory"] == {"portals": 1, "accounts": 1, "faults": []}


def test_the_key_is_derived_as_the_contract_says() -> None:
    """By hand, as another program would."""
    url, at = f"http://localhost{EXPLAIN}", str(now_ms())
    key = hmac.digest(SECRET.encode(), b"helpdesk-numbers explain", hashlib.sha256)
    source = f"POST{url}".encode() + body() + at.encode()
    signed = base64.b64encode(hmac.digest(key, source, hashlib.sha256)).decode()
    headers = {HEADER: signed, "X-HubSpot-Request-Timestamp": at}
    assert post(headers=headers).status_code == 200


def test_nothing_that_hubspot_signs_is_valid_here_nor_ours_there() -> None:
    url = f"http://localhost{EXPLAIN}"
    theirs = signature.signed_headers("v3", SECRET, "POST", url, body(), now_ms())
    assert post(headers=theirs).status_code == 401
    renamed = {HEADER: theirs[signature.V3_HEADER], **theirs}
    assert post(headers=renamed).status_code == 401
    ours = signed_headers(SECRET, f"http://localhost{PATH}", body(), now_ms())
    assert post(path=PATH, headers=ours).status_code == 401
    as_v3 = {signature.V3_HEADER: ours[HEADER], **ours}
    assert post(path=PATH, headers=as_v3).status_code == 401


@pytest.mark.parametrize(
    "signing", [{"secret": "forged"}, {"at": now_ms() - 301_000}, {"at": now_ms() + 400_000}]
)
def test_whoever_does_not_know_the_secret_is_refused(signing: dict[str, Any]) -> None:
    answer = post(**signing)
    assert (answer.status_code, answer.get_json()["category"]) == (401, "INVALID_AUTHENTICATION")
    assert post(headers={}).status_code == 401


def test_several_secrets_are_good_while_rotating() -> None:
    settings = SETTINGS | {"HUBSPOT_CLIENT_SECRET": f"new,{SECRET}"}
    assert post(settings).status_code == 200


def test_with_a_key_it_is_below_the_keyed_path_alone() -> None:
    settings = SETTINGS | {"HUBSPOT_WEBHOOK_KEY": KEY}
    assert post(settings, f"{PATH}/{KEY}/explain").status_code == 200
    for path in (EXPLAIN, f"{PATH}/{KEY.lower()}/explain", f"{PATH}/{KEY}/explain/", f"/{EXPLAIN}"):
        assert post(settings, path).status_code == 404
    url = f"http://localhost{PATH}/{KEY}/explain"
    assert create_app(settings).test_client().get(url).status_code == 405


def test_its_log_line_holds_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    post()
    (line,) = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert (logged["signature"], logged["path"]) == ("explain", EXPLAIN)
    assert "5550143" not in line


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    path = tmp_path_factory.mktemp("explain") / "directory.toml"
    path.write_text(DESK)
    settings = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY": str(path), "HUBSPOT_WEBHOOK_KEY": KEY}
    with serving(settings) as server:
        yield server, path


WHO = ("--portal-id", "62515", "--user-id", "1001")


def test_numbers_asks_a_running_service_with_the_secret_alone(edited: tuple[Server, Path]) -> None:
    server, _ = edited
    desk = {"HUBSPOT_CLIENT_SECRET": SECRET, "HUBSPOT_WEBHOOK_KEY": KEY}
    for url in (server.url, f"{server.url}/", f"{server.url}{PATH}/…", f"{server.url}{PATH}/{KEY}"):
        done = flask(desk, "numbers", "--url", url, *WHO)
        assert done.returncode == 0, done.stderr
        assert "out: cannot take calls" in done.stdout
        assert "in: user without a rule" in done.stdout
        assert KEY not in done.stdout + done.stderr
    done = flask(desk, "numbers", "--url", server.url, *WHO, "--json")
    assert json.loads(done.stdout)["directory"]["portals"] == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"HUBSPOT_CLIENT_SECRET": "another"}, "401: it has another HUBSPOT_CLIENT_SECRET"),
        ({"HUBSPOT_WEBHOOK_KEY": ""}, "404: it is an older version, or has another"),
        ({"HUBSPOT_CLIENT_SECRET": ""}, "HUBSPOT_CLIENT_SECRET: missing"),
    ],
)
def test_a_service_that_does_not_explain_is_told_why(
    edited: tuple[Server, Path], more: dict[str, str], words: str
) -> None:
    server, _ = edited
    desk = {"HUBSPOT_CLIENT_SECRET": SECRET, "HUBSPOT_WEBHOOK_KEY": KEY, **more}
    done = here(desk, "numbers", "--url", server.url, *WHO)
    assert done.returncode == 1
    assert words in done.stderr


def test_an_edit_that_the_service_refused_is_told(edited: tuple[Server, Path]) -> None:
    """The variable is set at this desk, and not where the service runs."""
    server, path = edited
    account = '[accounts.us]\nprovider = "telnyx"\napi_key = "env:NEW_KEY"\n'
    path.write_text(DESK + account + '[portals.7]\naccounts = ["us"]\n')
    desk = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_WEBHOOK_KEY": KEY,
        "DIRECTORY": str(path),
        "NEW_KEY": "a-key",
    }
    try:
        fault = "accounts.us.api_key: the environment variable NEW_KEY is not set"
        done = here(desk, "numbers", "--url", server.url, *WHO)
        assert fault in done.stderr
        done = here(
            desk, "webhook", "send", "--url", server.url, "--portal-id", "7", "--user-id", "1"
        )
        assert "The drop-down is empty" in done.stdout
        assert ", live" not in done.stdout
        assert "The service says: portal not in the directory." in done.stdout
        assert f"It has refused the last edit of its directory: {fault}" in done.stdout
    finally:
        path.write_text(DESK)
