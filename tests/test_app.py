"""The service's answers, through the real app: routes, errors, and what a carrier does."""

import inspect
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import app as service
import hubspot.errors
import providers.base.errors
from app import create_app
from helpdesk_numbers.webhook import MAX_BODY_BYTES, PATH, Budget
from hubspot.errors import HubSpotError
from providers.testing.carrier import Answer, Carrier
from tests.support.carrier import refusing, says, twilio_account

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


PORTALS = """
[accounts.other]
provider = "static"
numbers = [{ number = "+12025550143", name = "Front desk" }]
[portals.1]
accounts = ["carrier"]
[portals.2]
accounts = ["carrier", "other"]
"""


@pytest.fixture
def carrier(environ: dict[str, str]) -> Iterator[Carrier]:
    """A carrier that `app` is set to ask."""
    with Carrier(says({})) as server:
        environ["DIRECTORY_TOML"] = twilio_account("carrier", server.url) + PORTALS
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
        environ["DIRECTORY_TOML"] = twilio_account("carrier", url) + PORTALS
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


@pytest.mark.parametrize("kind", [*errors_of(hubspot.errors), *errors_of(providers.base.errors)])
def test_every_error_has_an_answer(kind: type[Exception]) -> None:
    """HubSpotError aside, which is only there to be derived from."""
    assert set(kind.__mro__) & set(service.ANSWERS)


def test_a_flood_of_forgeries_is_not_diagnosed_one_by_one(
    post: Callable[..., TestResponse], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(40):
        assert post(secret="forged").status_code == 401
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    causes = Counter(line["cause"] for line in lines)
    assert 5 <= causes["wrong secret"] <= 20
    assert causes["signature does not match"] == 40 - causes["wrong secret"]


def test_a_budget_fills_again_with_the_time() -> None:
    budget = Budget(2)
    assert [budget.take(at) for at in (10, 10, 10, 10.5, 10.6, 60, 60, 60)] == [
        True, True, False, True, False, True, True, False,
    ]  # fmt: skip
