"""HUBSPOT_WEBHOOK_KEY, and the requests that HubSpot signs for others than the channel connection.

Anybody's HubSpot workflow, or an app's page, can have HubSpot sign a request with the app's secret.
"""

import json
import logging
from collections.abc import Callable
from hmac import compare_digest
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app import create_app
from helpdesk_numbers import logs, webhook
from helpdesk_numbers.settings import ConfigurationError
from helpdesk_numbers.webhook import PATH
from tests.support.asking import SECRET, ask_server
from tests.support.server import serving
from tests.support.webhook_key import KEY, KEYED, parts_of_key

Post = Callable[..., TestResponse]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """The log's lines since the last call, none of which holds the key, or much of it."""

    def read() -> list[dict[str, Any]]:
        text = capsys.readouterr().err
        assert not parts_of_key(text)
        return [json.loads(line) for line in text.splitlines()]

    return read


@pytest.fixture
def keyed(environ: dict[str, str], post: Post) -> Post:
    """Posts to a service with the key, by default to where its webhook is, with the raw target."""
    environ["HUBSPOT_WEBHOOK_KEY"] = KEY

    def send(body: object = None, *, target: str = KEYED, **more: Any) -> TestResponse:
        raw = {"RAW_URI": target, "REQUEST_URI": target, **more.pop("environ_overrides", {})}
        return post(body, target=target, environ_overrides=raw, **more)

    return send


def test_webhook_is_at_its_key_alone(keyed: Post, lines: Lines) -> None:
    answer = keyed()
    assert (answer.status_code, len(answer.get_json()["phoneNumbers"])) == (200, 3)
    assert keyed(target=PATH).status_code == 404
    served, refused = lines()
    assert (served["path"], served["status"]) == (f"{PATH}/…", 200)
    assert (refused["path"], refused["status"]) == (PATH, 404)


WRONG = {
    "none": PATH,
    "empty": f"{PATH}/",
    "another": f"{PATH}/{KEY[::-1]}",
    "shorter": KEYED[:-1],
    "half": f"{PATH}/{KEY[:14]}",
    "longer": KEYED + "x",
    "other case": f"{PATH}/{KEY.swapcase()}",
    "one letter's case": f"{PATH}/{KEY[0].lower()}{KEY[1:]}",
    "escaped": f"{PATH}/{''.join(f'%{ord(letter):02x}' for letter in KEY)}",
    "one letter escaped": f"{PATH}/%41{KEY[1:]}",
    "escaped twice": f"{PATH}/%2541{KEY[1:]}",
    "escaped slash": f"{PATH}%2F{KEY}",
    "escaped path": f"/%68ubspot/phone-numbers/{KEY}",
    "trailing slash": f"{KEYED}/",
    "doubled slash": f"{PATH}//{KEY}",
    "below": f"{KEYED}/elsewhere",
    "path parameters": f"{KEYED};a=b",
    "fragment": f"{KEYED}#",
    "in the query": f"{PATH}?key={KEY}",
    "other path": f"/hubspot/phone-number/{KEY}",
    "path in capitals": f"{PATH.upper()}/{KEY}",
    "path twice": f"{PATH}{KEYED}",
    "escaped, and the plain path": f"//{PATH[1:]}",
    "not ASCII": f"{PATH}/%C3%A9{KEY}",
    "not UTF-8": f"{PATH}/%FF{KEY}",
    "shown": f"{PATH}/…",
    "shown, escaped": f"{PATH}/%E2%80%A6",
}


@pytest.mark.parametrize("target", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("secret", [None, "forged"])
def test_wrong_key_is_the_404_of_any_path(
    keyed: Post, lines: Lines, target: str, secret: str | None
) -> None:
    """Rightly signed or not, and with the very answer that a path gets where nothing is."""
    answer, nowhere = keyed(target=target, secret=secret), keyed(target="/nowhere")
    assert answer.status_code == nowhere.status_code == 404
    assert answer.get_json()["message"] == nowhere.get_json()["message"]
    assert answer.get_json()["category"] == "NOT_FOUND"
    assert answer.get_json().keys() == nowhere.get_json().keys()
    assert [*answer.headers.keys()] == [*nowhere.headers.keys()]
    assert not parts_of_key(answer.text)
    refused, _ = lines()
    assert (refused["status"], "cause" in refused, "portal_id" in refused) == (404, False, False)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "BREW"])
def test_other_methods_tell_the_webhook_to_who_has_the_key_alone(keyed: Post, method: str) -> None:
    assert keyed(method=method).status_code == 405
    assert keyed(method=method).headers["Allow"] == "POST"
    for target in (PATH, KEYED[:-1], f"{PATH}/%41{KEY[1:]}"):
        answer = keyed(target=target, method=method)
        assert (answer.status_code, "Allow" in answer.headers) == (404, False)


@pytest.mark.parametrize("target", [WRONG["another"], KEYED[:-1], KEYED, PATH, "/nowhere"])
def test_every_path_is_compared_whole_in_constant_time(
    keyed: Post, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """One comparison, whatever is asked for, and by what does not stop at the first difference."""
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare_digest(one, other)

    monkeypatch.setattr(webhook, "hmac", SimpleNamespace(compare_digest=compare))
    keyed(target=target)
    assert compared == [(target.encode(), KEYED.encode())]


def test_health_checks_are_where_they_were(keyed: Post, environ: dict[str, str]) -> None:
    client = create_app(environ).test_client()
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_nothing_but_the_raw_target_counts(keyed: Post) -> None:
    """Whatever the server has made of it."""
    decoded = {"PATH_INFO": KEYED}
    for target in (PATH, WRONG["escaped"], f"{KEYED}/"):
        assert keyed(target=target, environ_overrides=decoded).status_code == 404
    absolute = {"RAW_URI": f"http://internal:8000{KEYED}"}
    assert keyed(url=f"http://localhost{KEYED}", environ_overrides=absolute).status_code == 200
    slashed = {"PATH_INFO": f"/{KEYED}", "RAW_URI": f"/{KEYED}"}  # a base URL with its slash
    assert keyed(url=f"http://localhost/{KEYED}", environ_overrides=slashed).status_code == 200
    below = {"SCRIPT_NAME": "/numbers", "PATH_INFO": KEYED, "RAW_URI": f"/numbers{KEYED}"}
    assert keyed(url=f"http://localhost/numbers{KEYED}", environ_overrides=below).status_code == 200


def test_without_a_key_a_path_below_is_a_404(post: Post) -> None:
    assert post(target=KEYED).status_code == 404
    assert post().status_code == 200


@pytest.mark.parametrize("public", ["", "https://numbers.example.com", "https://x.example/a"])
@pytest.mark.parametrize(
    "signed",
    [
        f"http://localhost{KEYED}",
        f"https://localhost{KEYED}",
        f"http://elsewhere.example{KEYED}/",
        f"http://localhost{KEYED}?a=1",
        f"http://localhost{PATH}",
        f"http://localhost/below{KEYED}",
        f"http://localhost/other/{KEY}",
        f"http://localhost{PATH}/{KEY.lower()}",
    ],
)
def test_refused_signature_is_logged_without_the_key(
    environ: dict[str, str], keyed: Post, lines: Lines, public: str, signed: str
) -> None:
    if public:
        environ["PUBLIC_URL"] = public
    headers = {"X-Forwarded-Uri": KEYED, "X-Original-URL": f"/other/{KEY}"}
    if keyed(url=signed, headers=headers).status_code != 200:
        [line] = lines()
        assert line["status"] == 401
        assert line["path"] == f"{PATH}/…"
        assert line["url"] == f"{public or 'http://localhost'}{PATH}/…"
        assert line["cause"]


def test_cause_and_remedy_take_the_key_into_account(
    environ: dict[str, str], keyed: Post, lines: Lines
) -> None:
    environ["PUBLIC_URL"] = "https://old.example.com/crm"
    keyed(url=f"https://localhost{KEYED}")
    keyed(url=f"https://old.example.com/crm{KEYED}/")
    moved, slashed = lines()
    assert "another host (old.example.com for localhost)" in moved["cause"]
    assert "another path prefix (/crm for none)" in moved["cause"]
    assert "the sender signed for https://localhost:" in moved["remedy"]
    assert slashed["cause"] == "a trailing slash was lost on the way"
    assert slashed["remedy"].endswith(f"--url https://old.example.com/crm{PATH}/…")


@pytest.mark.parametrize(
    "key", ["short1", "x" * 19, "with-a-dash-and-long-enough", "é" * 30, "a b" * 9]
)
def test_malformed_key_stops_the_start_by_name(environ: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigurationError) as stopped:
        create_app(environ | {"HUBSPOT_WEBHOOK_KEY": key})
    [fault] = stopped.value.faults
    assert fault.startswith("HUBSPOT_WEBHOOK_KEY: too short, or with other")
    assert key not in fault


def test_key_is_in_no_repr(environ: dict[str, str]) -> None:
    app = create_app(environ | {"HUBSPOT_WEBHOOK_KEY": KEY})
    settings = app.extensions["helpdesk_numbers"].settings
    assert settings.hubspot_webhook_key == KEY
    for shown in (settings, app.url_map, app.config, app.wsgi_app, list(app.url_map.iter_rules())):
        assert not parts_of_key(repr(shown))


def test_real_server_routes_by_the_request_line(carrier_free: dict[str, str]) -> None:
    with serving(carrier_free | {"HUBSPOT_WEBHOOK_KEY": KEY}) as server:
        assert ask_server(server.url, KEYED).status_code == 200
        assert ask_server(server.url, KEYED, secret="forged").status_code == 401
        for path in (PATH, KEYED[:-1], KEYED + "x", f"{PATH}/{KEY.lower()}", f"{KEYED}/"):
            assert ask_server(server.url, path).status_code == 404, path
        assert ask_server(server.url, f"{KEYED}?portalId=62515").status_code == 403
        output = server.output()
    assert output.count('"event":"request"') == 8
    assert not parts_of_key(output)


def test_server_logs_no_request_line_when_something_breaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """gunicorn shows it, should a request raise what nobody expects."""
    logs.set_up("json", "info")
    logging.getLogger("gunicorn.error").error("Error handling request %s %s", "POST", KEYED)
    assert json.loads(capsys.readouterr().err)["event"] == "Error handling request"


@pytest.fixture
def carrier_free(environ: dict[str, str]) -> dict[str, str]:
    """Settings for a server that `ask_server` asks."""
    return {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": environ["DIRECTORY_TOML"]}


OTHERS = {
    "portalId=62515": "portalId",
    "userId=1001": "userId",
    "userEmail=anna@acme.example": "userEmail",
    "appId=54321": "appId",
    "a=b&appId=54321&portalId=62515&userId=1001": "userId",
    "portalid=1": "portalId",
    "PORTALID": "portalId",
    "portal%49d=62515": "portalId",
    "%70ortalId=": "portalId",
    "a;userId=1": "userId",
    "&&userId": "userId",
    "a=1?&appId=1": "appId",
}


@pytest.mark.parametrize(("query", "name"), OTHERS.items())
@pytest.mark.parametrize("version", ["v3", "v2"])
def test_request_that_hubspot_signed_for_others_is_refused(
    environ: dict[str, str], post: Post, lines: Lines, query: str, name: str, version: str
) -> None:
    environ["HUBSPOT_SIGNATURE_VERSIONS"] = "v3,v2"
    target = f"{PATH}?{query}"
    raw = {"RAW_URI": target, "REQUEST_URI": target}
    answer = post(target=target, environ_overrides=raw, version=version)
    assert (answer.status_code, answer.get_json()["category"]) == (403, "NOT_CHANNEL_CONNECTION")
    assert f"The query has {name}, which" in answer.get_json()["message"]
    [line] = lines()
    assert line["reason"] == answer.get_json()["message"]
    assert "portal_id" not in line
    unsigned = post(target=target, environ_overrides=raw, version=version, secret="forged")
    assert unsigned.status_code == 401
    assert "anna" not in json.dumps(lines())


@pytest.mark.parametrize("query", ["", "a=userId", "xuserId=1", "user=1&id=2", "userId2=1", "="])
def test_other_queries_are_no_reason_to_refuse(post: Post, query: str) -> None:
    target = f"{PATH}?{query}"
    raw = {"RAW_URI": target, "REQUEST_URI": target}
    assert post(target=target, environ_overrides=raw).status_code == 200
