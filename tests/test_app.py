"""The service's answers, through the real app: routes, errors, settings, the URL that counts."""

import inspect
import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import app as service
import hubspot.errors
import providers.errors
from app import create_app
from hubspot.errors import HubSpotError
from hubspot.webhook import MAX_BODY_BYTES, PATH
from settings import ConfigurationError
from tests.carrier import Answer, Carrier, refusing, says

Post = Callable[..., TestResponse]

FRONT = {"e164PhoneNumber": "+12025550143", "extension": None, "friendlyName": "Front desk"}
BACK = {"e164PhoneNumber": "+12025550100", "extension": "7", "friendlyName": "Back office"}
SUPPORT = {
    "e164PhoneNumber": "+12025550171",
    "extension": None,
    "friendlyName": "+1 202-555-0171",
}


def asked(portal_id: int = 62515, user_id: int = 1001, app_id: int = 54321) -> dict[str, int]:
    return {"appId": app_id, "portalId": portal_id, "userId": user_id}


@pytest.mark.parametrize(
    ("portal_id", "user_id", "numbers"),
    [
        (62515, 1001, [FRONT, BACK, SUPPORT]),
        (62515, 1002, [FRONT]),
        (70000, 1001, []),
        (80000, 1001, []),
        (1002, 62515, []),
    ],
    ids=["all", "by rule", "users = none", "portal not listed", "ids exchanged"],
)
def test_user_gets_the_numbers_that_the_directory_grants(
    post: Post, portal_id: int, user_id: int, numbers: list[dict[str, str]]
) -> None:
    answer = post(asked(portal_id, user_id))
    assert answer.status_code == 200
    assert answer.get_json() == {"phoneNumbers": numbers}


def test_headers_of_an_answer_are_these_and_no_others(post: Post) -> None:
    headers = dict(post().headers)
    assert UUID(headers.pop("X-Correlation-Id")).version == 4
    assert int(headers.pop("Content-Length")) > 0
    assert headers == {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "Numbers-Source": "live",
    }


def test_each_answer_has_a_correlation_id_of_its_own(post: Post) -> None:
    assert post().headers["X-Correlation-Id"] != post().headers["X-Correlation-Id"]


def wrong(answer: TestResponse, status: int, category: str) -> str:
    """The message of an answer that must be an error in HubSpot's shape."""
    body: dict[str, str] = answer.get_json()
    assert (answer.status_code, body["category"]) == (status, category)
    assert list(body) == ["status", "message", "correlationId", "category"]
    assert body["status"] == "error"
    assert body["correlationId"] == answer.headers["X-Correlation-Id"]
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Numbers-Source" not in answer.headers
    return body["message"]


BAD_BODIES = {
    b"": "empty",
    b"{": "not JSON",
    b"[]": "object",
    b'{"appId":54321,"portalId":62515}': "userId is missing",
    b'{"appId":54321,"portalId":"62515","userId":1}': "portalId must be an integer",
    b'{"appId":54321,"portalId":0,"userId":1}': "portalId must be between",
    b'{"appId":54321,"appId":54321,"portalId":1,"userId":1}': "appId appears twice",
}


@pytest.mark.parametrize(("body", "message"), BAD_BODIES.items())
def test_bad_body_is_a_400_that_names_the_field(post: Post, body: bytes, message: str) -> None:
    assert message in wrong(post(body), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("body", BAD_BODIES)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_signature_is_checked_before_anything_is_read(
    post: Post, body: bytes, content_type: str | None
) -> None:
    answer = post(body, secret="another", content_type=content_type)
    wrong(answer, 401, "INVALID_AUTHENTICATION")


def test_unsigned_request_learns_nothing_about_a_portal(client: FlaskClient) -> None:
    answers = [client.post(PATH, json=asked(portal)) for portal in (62515, 70000, 80000)]
    messages = {wrong(answer, 401, "INVALID_AUTHENTICATION") for answer in answers}
    assert len(messages) == 1


def test_another_app_is_a_403(post: Post) -> None:
    message = wrong(post(asked(app_id=54322)), 403, "APP_MISMATCH")
    assert "54321" not in message


def test_without_an_app_id_any_app_is_served(environ: dict[str, str], post: Post) -> None:
    del environ["HUBSPOT_APP_ID"]
    assert post(asked(app_id=999)).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/hubspot", PATH + "/", PATH.upper(), "/static/x", "/%00", "/%FF", "/" + "x" * 4000],
)
def test_other_paths_are_a_404(client: FlaskClient, path: str) -> None:
    wrong(client.post(path), 404, "NOT_FOUND")


def test_doubled_slash_within_the_path_is_a_404_and_no_redirect(post: Post) -> None:
    wrong(post(target="/hubspot//phone-numbers"), 404, "NOT_FOUND")


def test_doubled_slash_before_the_path_is_forgiven(post: Post) -> None:
    """It comes of a base URL pasted with its slash."""
    raw = {"PATH_INFO": f"/{PATH}", "RAW_URI": f"/{PATH}"}
    assert post(url=f"http://localhost/{PATH}", environ_overrides=raw).status_code == 200


@pytest.mark.parametrize("host", ["", "x" * 300, "a..b", "[", "\xff", "a b", "localhost:99999"])
def test_odd_host_is_an_error_in_the_same_shape(post: Post, host: str) -> None:
    answer = post(headers={"Host": host})
    wrong(answer, answer.status_code, answer.get_json()["category"])
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_a_405_with_allow(post: Post, method: str) -> None:
    answer = post(method=method)
    wrong(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST"


def test_head_is_a_405_too(post: Post) -> None:
    assert post(method="HEAD").status_code == 405


def padded(size: int) -> bytes:
    body = json.dumps(asked()).encode()
    return body + b" " * (size - len(body))


def test_body_of_64_kib_is_read(post: Post) -> None:
    assert post(padded(MAX_BODY_BYTES)).status_code == 200


def test_larger_body_is_a_413(post: Post) -> None:
    wrong(post(padded(MAX_BODY_BYTES + 1)), 413, "REQUEST_ENTITY_TOO_LARGE")


def test_larger_body_of_undeclared_length_is_a_413(client: FlaskClient) -> None:
    answer = client.post(
        PATH,
        input_stream=io.BytesIO(padded(MAX_BODY_BYTES + 1)),
        environ_overrides={"wsgi.input_terminated": True},
    )
    wrong(answer, 413, "REQUEST_ENTITY_TOO_LARGE")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", "text/json"],
)
def test_other_content_type_is_a_415(post: Post, content_type: str) -> None:
    wrong(post(content_type=content_type), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", None, ""]
)
def test_json_is_json_however_it_is_written(post: Post, content_type: str | None) -> None:
    assert post(content_type=content_type).status_code == 200


def test_unexpected_fault_is_a_500_that_tells_nothing(app: Flask) -> None:
    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("the secret is test-secret-not-a-real-one")

    message = wrong(app.test_client().get("/broken"), 500, "INTERNAL_ERROR")
    assert "secret" not in message


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_checks_need_no_signature(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_directory_edited_into_a_faulty_one_is_not_ready_but_alive(
    environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "directory.toml"
    file.write_text(environ.pop("DIRECTORY_TOML"))
    client = create_app(environ | {"DIRECTORY": str(file)}).test_client()
    assert client.get("/readyz").status_code == 200
    file.write_text("[portals.62515]\naccounts = ['auth-token-of-nobody', 'other']\n")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "2 fault(s)" in answer.get_json()["message"]
    assert "auth-token-of-nobody" not in answer.text
    assert client.get("/healthz").status_code == 200


# What a carrier says, and what HubSpot then gets.

CARRIER = """
[accounts.carrier]
provider = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = "not-a-real-token"
base_url = "{url}"

[accounts.other]
provider = "static"
numbers = [{{ number = "+12025550143", name = "Front desk" }}]

[portals.1]
accounts = ["carrier"]
[portals.2]
accounts = ["carrier", "other"]
"""


@pytest.fixture
def carrier(environ: dict[str, str]) -> Iterator[Carrier]:
    """A carrier that `app` is set to ask."""
    with Carrier(says({})) as server:
        environ["DIRECTORY_TOML"] = CARRIER.format(url=server.url)
        yield server


FAILURES: list[tuple[Answer, int, str, str | None]] = [
    (says({"code": 20003}, 401), 502, "PROVIDER_ERROR", None),
    (says({"code": 20404}, 404), 502, "PROVIDER_ERROR", None),
    (says(b"<html>"), 502, "PROVIDER_ERROR", None),
    (says({"nothing": "known"}), 502, "PROVIDER_ERROR", None),
    (says({}, 500), 503, "PROVIDER_UNAVAILABLE", "5"),
    (says({}, 429), 503, "PROVIDER_UNAVAILABLE", "5"),
    (says({}, 429, Retry_After="17"), 503, "PROVIDER_UNAVAILABLE", "17"),
    (says({}, 429, Retry_After="0"), 503, "PROVIDER_UNAVAILABLE", "5"),
]


@pytest.mark.parametrize(("said", "status", "category", "retry_after"), FAILURES)
def test_carrier_that_fails_is_a_502_or_503(
    carrier: Carrier, post: Post, said: Answer, status: int, category: str, retry_after: str | None
) -> None:
    carrier.answer = said
    answer = post(asked(1))
    message = wrong(answer, status, category)
    assert "twilio" not in message.lower()
    assert answer.headers.get("Retry-After") == retry_after


def test_carrier_that_cannot_be_reached_is_a_503(environ: dict[str, str], post: Post) -> None:
    with refusing() as url:
        environ["DIRECTORY_TOML"] = CARRIER.format(url=url)
        answer = post(asked(1))
    wrong(answer, 503, "PROVIDER_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize("said", [failure[0] for failure in FAILURES])
def test_one_account_that_fails_leaves_the_others_numbers(
    carrier: Carrier, post: Post, said: Answer
) -> None:
    carrier.answer = said
    answer = post(asked(2))
    assert (answer.status_code, answer.headers["Numbers-Source"]) == (200, "partial")
    assert answer.get_json() == {"phoneNumbers": [FRONT]}


def errors_of(module: ModuleType) -> list[type[Exception]]:
    kinds = [kind for _, kind in inspect.getmembers(module, inspect.isclass)]
    return [kind for kind in kinds if issubclass(kind, Exception) and kind is not HubSpotError]


@pytest.mark.parametrize("kind", [*errors_of(hubspot.errors), *errors_of(providers.errors)])
def test_every_error_has_an_answer(kind: type[Exception]) -> None:
    """HubSpotError aside, which is only there to be derived from."""
    assert set(kind.__mro__) & set(service.ANSWERS)


# The URL that HubSpot signed.

PUBLIC = "https://numbers.example.com"


@pytest.mark.parametrize(
    ("trusted", "forwarded", "scheme"),
    [
        ("0", "https", "http"),
        ("1", None, "http"),
        ("1", "https", "https"),
        ("1", "http, https", "https"),
        ("1", "https, http", "http"),
        ("2", "https, http", "https"),
        ("2", "http, https, http", "https"),
        ("2", "https", "http"),
    ],
)
def test_as_many_proxies_as_configured_are_believed(
    environ: dict[str, str], post: Post,
    trusted: str, forwarded: str | None, scheme: str,
) -> None:  # fmt: skip
    environ["TRUSTED_PROXIES"] = trusted
    other = {"http": "https", "https": "http"}[scheme]
    headers = {"X-Forwarded-Proto": forwarded}
    assert post(url=f"{scheme}://localhost{PATH}", headers=headers).status_code == 200
    assert post(url=f"{other}://localhost{PATH}", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded", "X-Real-Host"]
)
def test_host_is_the_host_header_whatever_else_is_sent(post: Post, header: str) -> None:
    headers = {header: "host=elsewhere.example" if header == "Forwarded" else "elsewhere.example"}
    assert post(headers=headers).status_code == 200
    assert post(headers=headers, url=f"http://elsewhere.example{PATH}").status_code == 401


def test_host_header_counts_with_its_port(post: Post) -> None:
    headers = {"Host": "numbers.example.com:8443"}
    assert post(headers=headers, url=f"http://numbers.example.com:8443{PATH}").status_code == 200
    assert post(headers=headers, url=f"http://numbers.example.com{PATH}").status_code == 401


ODD_TARGETS = [
    PATH,
    f"{PATH}?",
    f"{PATH}??",
    f"{PATH}?a=%20b&a=+&c",
    f"{PATH}?x=%3A%2F%3f&y=%C3%A9%25",
    f"{PATH}?url=http://elsewhere.example/",
    f"{PATH}?b=1&a=2",
    "/hubspot%2Fphone-numbers",
    "/hubspot%2fphone-numbers",
    "/%68ubspot/phone-numbers",
]


@pytest.mark.parametrize("target", ODD_TARGETS)
@pytest.mark.parametrize("public", [None, PUBLIC, PUBLIC + "/", PUBLIC + "/some/prefix"])
def test_path_and_query_count_as_they_came(
    environ: dict[str, str], post: Post, target: str, public: str | None
) -> None:
    if public:
        environ["PUBLIC_URL"] = public
    base = (public or "http://localhost").rstrip("/")
    raw = {"RAW_URI": target, "REQUEST_URI": target}
    assert post(target=target, url=base + target, environ_overrides=raw).status_code == 200
    other = base + target.replace("?", "?&") + ("" if "?" in target else "?")
    assert post(target=target, url=other, environ_overrides=raw).status_code == 401


@pytest.mark.parametrize("query", ["", "?", "?url=http://elsewhere.example/"])
def test_absolute_request_target_counts_from_its_path(post: Post, query: str) -> None:
    """A proxy may send it: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2"""
    absolute = {"RAW_URI": f"http://internal:8000{PATH}{query}"}
    assert post(url=f"http://localhost{PATH}{query}", environ_overrides=absolute).status_code == 200
    assert post(url=absolute["RAW_URI"], environ_overrides=absolute).status_code == 401


@pytest.mark.parametrize(
    ("kept", "query"),
    [
        *itertools.product(["RAW_URI", "REQUEST_URI"], ["", "?", "?a=%20b&c=%3A"]),
        *[(None, ""), (None, "?a=%20b&c=%3A")],  # WSGI alone does not tell an empty query from none
    ],
)
def test_other_servers_than_gunicorn_will_do(
    app: Flask, post: Post, kept: str | None, query: str
) -> None:
    inner = app.wsgi_app

    def bare(environ: dict[str, Any], start_response: Any) -> Any:
        for name in {"RAW_URI", "REQUEST_URI"} - {kept}:
            del environ[name]
        return inner(environ, start_response)

    app.wsgi_app = bare  # type: ignore[method-assign]
    raw = {"RAW_URI": PATH + query, "REQUEST_URI": PATH + query}
    assert post(target=PATH + query, environ_overrides=raw).status_code == 200


# The start.


def faults(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        create_app(environ)
    for fault in caught.value.faults:
        assert fault in caught.value.message
    return caught.value.faults


def test_start_without_settings_names_all_that_are_required() -> None:
    names = [fault.partition(":")[0] for fault in faults({})]
    assert names == ["HUBSPOT_CLIENT_SECRET", "DIRECTORY"]


@pytest.mark.parametrize("secret", ["", " ", ",", " , ", "[]", '[""]', '["good", " "]'])
def test_start_without_a_secret_is_none(environ: dict[str, str], secret: str) -> None:
    """An empty one would let anybody sign."""
    [fault] = faults(environ | {"HUBSPOT_CLIENT_SECRET": secret})
    assert fault == "HUBSPOT_CLIENT_SECRET: missing; without it no request can be proven"


@pytest.mark.parametrize("secret", ["pat-na1-x", "good, pat-na1-x", '["pat-na1-x"]'])
def test_access_token_in_the_secrets_place_is_refused(environ: dict[str, str], secret: str) -> None:
    [fault] = faults(environ | {"HUBSPOT_CLIENT_SECRET": secret})
    assert "access token" in fault
    assert "pat-" not in fault


def test_directory_in_two_places_is_refused(environ: dict[str, str]) -> None:
    [fault] = faults(environ | {"DIRECTORY": "directory.toml"})
    assert fault.startswith("DIRECTORY_TOML: not together with DIRECTORY")


MALFORMED = {
    "HUBSPOT_CLIENT_SECRET": " , ",
    "HUBSPOT_APP_ID": "0",
    "HUBSPOT_SIGNATURE_VERSIONS": "v3,v4",
    "PUBLIC_URL": "numbers.example.com",
    "TRUSTED_PROXIES": "-1",
    "HUBSPOT_API_VERSION": "v9",
    "HUBSPOT_API_BASE_URL": "ftp://x",
    "HUBSPOT_PORTAL_IDS": "62515,abc",
    "LOOKUP_DEADLINE": "soon",
    "LAST_KNOWN_GOOD": "-1",
    "LOG_FORMAT": "xml",
    "LOG_LEVEL": "loud",
    "PORT": "99999",
    "WEB_CONCURRENCY": "0",
    "WEB_THREADS": "many",
}


@pytest.mark.parametrize(("name", "value"), MALFORMED.items())
def test_malformed_setting_stops_the_start(environ: dict[str, str], name: str, value: str) -> None:
    [fault] = faults(environ | {name: value})
    assert setting_of(fault) == name


def setting_of(fault: str) -> str:
    return fault.partition(":")[0].partition("[")[0]


def test_all_malformed_settings_are_named_at_once(environ: dict[str, str]) -> None:
    found = [setting_of(fault) for fault in faults(environ | MALFORMED)]
    assert sorted(found) == sorted(MALFORMED)


def test_one_account_mode_names_what_it_lacks(environ: dict[str, str]) -> None:
    del environ["DIRECTORY_TOML"]
    text = "\n".join(faults(environ | {"PROVIDER": "twilio"}))
    assert "TWILIO_ACCOUNT_SID" in text
    assert "HUBSPOT_PORTAL_IDS" in text


SECRETS = {
    "HUBSPOT_CLIENT_SECRET": "pat-na1-not-a-real-token",
    "HUBSPOT_ACCESS_TOKEN": "not-a-real-access-token",
    "HUBSPOT_DEVELOPER_API_KEY": "not-a-real-api-key",
    "TWILIO_AUTH_TOKEN": "not-a-real-auth-token",
    "TWILIO_API_SECRET": "not-a-real-api-secret",
}


def test_faults_show_no_secret(environ: dict[str, str]) -> None:
    for change in ({}, {"DIRECTORY_TOML": "", "PROVIDER": "twilio"}, {"DIRECTORY_TOML": CARRIER}):
        text = "\n".join(faults(environ | SECRETS | {"PORT": "x"} | change))
        assert "HUBSPOT_CLIENT_SECRET" in text
        assert not [value for value in SECRETS.values() if value in text]


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ({"DIRECTORY_TOML": "x"}, "DIRECTORY_TOML is not TOML: "),
        ({"DIRECTORY_TOML": "[accounts.a]\n[portals.1]\naccounts = []"}, "accounts.a.provider: "),
        ({"DIRECTORY_TOML": "", "DIRECTORY": "no-such.toml"}, "no-such.toml: cannot be read"),
    ],
)
def test_faults_of_the_directory_are_told_beside_those_of_the_settings(
    environ: dict[str, str], directory: dict[str, str], said: str
) -> None:
    found = faults(environ | {"HUBSPOT_CLIENT_SECRET": "", "PORT": "x"} | directory)
    assert [fault.partition(":")[0] for fault in found[:2]] == ["PORT", "HUBSPOT_CLIENT_SECRET"]
    assert found[2].startswith(said)


def test_one_account_mode_names_all_that_is_wrong_with_it(environ: dict[str, str]) -> None:
    wrong = {"DIRECTORY_TOML": "", "PROVIDER": "twilio", "HUBSPOT_PORTAL_IDS": "a,b"}
    found = faults(environ | wrong | {"TWILIO_COUNTRY": "usa"})
    assert [fault.partition(":")[0] for fault in found] == [
        "HUBSPOT_PORTAL_IDS[0]",
        "HUBSPOT_PORTAL_IDS[1]",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_COUNTRY",
    ]


def test_faults_of_the_directory_stop_the_start(environ: dict[str, str]) -> None:
    environ["DIRECTORY_TOML"] += "[portals.1]\naccounts = ['nobody']\n[portals.x]\naccounts = []\n"
    assert [fault.partition(":")[0] for fault in faults(environ)] == [
        "portals.1.accounts[0]", "portals.x",
    ]  # fmt: skip
