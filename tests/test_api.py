"""The management API, with a real database of each kind."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

import providers
from app import create_app
from helpdesk_numbers.api import routes
from helpdesk_numbers.settings import ConfigurationError
from providers.testing.carrier import Carrier
from tests.support.carrier import SID, TOKEN
from tests.support.described import Described
from tests.support.hubspot_users import TOKEN as PORTAL_TOKEN
from tests.support.hubspot_users import HubSpotUsers, Person
from tests.support.postgres import KEY

ADMIN = "admin-token-of-tests"
NUMBERS = [
    {"number": "+12025550143", "name": "Front"},
    {"number": "+12025550144", "name": "Back"},
]
DESK = {"provider": "static", "numbers": NUMBERS}
Ask = Callable[..., TestResponse]


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {
        "HUBSPOT_CLIENT_SECRET": "x",
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": KEY,
        "ADMIN_TOKENS": f"another-token-of-tests, {ADMIN}",
    }


@pytest.fixture
def make(settings: dict[str, str]) -> Iterator[Callable[[], Flask]]:
    made: list[Flask] = []
    described = Described()

    def make() -> Flask:
        app = create_app(settings)
        app.after_request(described)
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["helpdesk_numbers"].close()
    assert not described.faults


@pytest.fixture
def app(make: Callable[[], Flask]) -> Flask:
    return make()


@pytest.fixture
def ask(app: Flask) -> Ask:
    def ask(method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {ADMIN}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return app.test_client().open("/api/v1" + path, method=method, json=body, headers=sent)

    return ask


def put(ask: Ask, path: str, body: Any, **headers: str) -> str:
    answer = ask("PUT", path, body, **headers)
    assert answer.status_code in (200, 201), answer.text
    return answer.headers["ETag"]


def wrong(answer: TestResponse, status: int, category: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.get_json()
    assert (answer.status_code, body["status"], body["category"]) == (status, "error", category)
    assert body["correlationId"] == answer.headers["X-Correlation-Id"]
    return body


def test_accounts_portals_and_rules_are_written_and_read(ask: Ask) -> None:
    first = ask("PUT", "/accounts/desk", DESK)
    assert (first.status_code, first.get_json()) == (201, DESK)
    assert ask("PUT", "/accounts/desk", DESK).status_code == 200
    put(ask, "/portals/62515", {"accounts": ["desk"], "users": "none"})
    put(ask, "/portals/62515/rules/users/1001", {"names": ["Front"]})
    put(ask, "/portals/62515/rules/users/Anna@acme.example", {"names": ["Back"]})
    put(ask, "/portals/62515/rules/teams/Sales/EMEA", {})
    assert ask("GET", "/portals/62515").get_json() == {
        "accounts": ["desk"],
        "users": "none",
        "user": {"1001": {"names": ["Front"]}, "Anna@acme.example": {"names": ["Back"]}},
        "team": {"Sales/EMEA": {}},
    }
    assert ask("GET", "/portals/62515/rules/users/ANNA@acme.example").get_json() == {
        "names": ["Back"]
    }
    assert ask("DELETE", "/portals/62515/rules/users/anna@ACME.example").status_code == 204
    assert ask("DELETE", "/portals/62515/rules/teams/sales/emea").status_code == 204
    assert ask("GET", "/portals/62515").get_json()["user"] == {"1001": {"names": ["Front"]}}
    wrong(ask("DELETE", "/accounts/desk"), 409, "CONFLICT")
    assert ask("DELETE", "/portals/62515").status_code == 204
    assert ask("DELETE", "/accounts/desk").status_code == 204
    wrong(ask("GET", "/accounts/desk"), 404, "OBJECT_NOT_FOUND")


def test_what_is_put_again_is_not_a_change(ask: Ask) -> None:
    tag = put(ask, "/accounts/desk", DESK)
    assert put(ask, "/accounts/desk", {**DESK, "country": None}) == tag
    assert len(ask("GET", "/audit").get_json()["results"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/nobody",
        "/portals/7",
        "/portals/0",
        "/portals/abc",
        f"/portals/{2**63}",
        "/portals/62515/rules/users/7",
        "/portals/62515/rules/teams/Nobody",
        "/accounts/a%00b",
    ],
)
def test_what_is_not_there_is_a_404(ask: Ask, path: str) -> None:
    put(ask, "/portals/62515", {"accounts": []})
    for method in ("GET", "DELETE"):
        wrong(ask(method, path), 404, "OBJECT_NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/accounts/x", {"provider": "twillio"}, "accounts.x.provider"),
        ("/accounts/x", {}, "accounts.x.provider"),
        (
            "/accounts/x",
            {"provider": "static", "numbers": [{"number": "1"}]},
            "accounts.x.numbers[0].number",
        ),
        ("/portals/7", {"accounts": ["nobody"]}, "portals.7.accounts[0]"),
        ("/portals/7", {"users": "all"}, "portals.7.accounts"),
        ("/portals/7", {"accounts": [], "users": "some"}, "portals.7.users"),
        ("/portals/7", {"accounts": [], "token": ""}, "portals.7.token"),
        ("/portals/7", {"accounts": [], "token": "pat\n-na1"}, "portals.7.token"),
        ("/portals/7", {"accounts": [], "token": "pat-n\xe41"}, "portals.7.token"),
        ("/portals/7", {"accounts": [], "user": {"x": {}}}, "portals.7.user.x"),
        ("/portals/7", {"accounts": [], "team": {"\0": {}}}, r"portals.7.team.'\x00'"),
        ("/portals/7", {"accounts": ["a\0b"]}, "portals.7.accounts[0]"),
        ("/portals/62515/rules/users/5", {"nams": ["F*"]}, "portals.62515.user.5.nams"),
        ("/accounts/x", {"provider": "env:HOME"}, "accounts.x.provider"),
    ],
)
def test_every_fault_is_told_by_its_place_and_nothing_is_changed(
    ask: Ask, path: str, body: Any, place: str
) -> None:
    put(ask, "/portals/62515", {"accounts": []})
    told = wrong(ask("PUT", path, body), 422, "VALIDATION_ERROR")
    assert place in [error["in"] for error in told["errors"]]
    assert told["message"].startswith("Nothing was changed: ")
    wrong(ask("GET", path), 404, "OBJECT_NOT_FOUND")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b'{"a":NaN}', b"[" * 30_000, b"\xff"])
def test_what_is_not_an_object_is_a_400(app: Flask, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
    answer = app.test_client().put("/api/v1/accounts/x", data=body, headers=headers)
    wrong(answer, 400, "VALIDATION_ERROR")


def test_bodies_are_json_of_64_kib_at_most(app: Flask) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    client = app.test_client()
    wrong(
        client.put("/api/v1/accounts/x", data="x=1", headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE"
    )
    large = {"provider": "static", "numbers": [{"number": "1" * (1 << 16)}]}
    answer = client.put("/api/v1/accounts/x", json=large, headers=headers)
    assert "64 KiB" in wrong(answer, 413, "REQUEST_ENTITY_TOO_LARGE")["message"]


@pytest.mark.parametrize(
    "header", ["", ADMIN, f"Basic {ADMIN}", "Bearer", "Bearer x", f"Bearer {ADMIN}x", "Bearer é"]
)
def test_nobody_without_a_token_learns_anything(ask: Ask, app: Flask, header: str) -> None:
    put(ask, "/accounts/desk", DESK)
    for path in ("/accounts/desk", "/accounts/nobody", "/openapi.json"):
        answer = ask("GET", path, Authorization=header)
        wrong(answer, 401, "INVALID_AUTHENTICATION")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    wrong(ask("DELETE", "/accounts/desk", Authorization=header), 401, "INVALID_AUTHENTICATION")
    assert ask("GET", "/accounts/desk").status_code == 200


def test_each_of_several_tokens_counts_and_is_told_apart(ask: Ask) -> None:
    put(ask, "/accounts/desk", DESK, Authorization="bearer another-token-of-tests")
    put(ask, "/accounts/desk", {**DESK, "country": "US"})
    newer, older = ask("GET", "/audit").get_json()["results"]
    assert re.fullmatch("token [0-9a-f]{8}", newer["who"])
    assert newer["who"] != older["who"]
    assert (older["before"], newer["before"]) == (None, DESK)
    assert newer["after"] == {**DESK, "country": "US"}


def test_a_secret_is_written_kept_and_never_answered(ask: Ask, app: Flask) -> None:
    account = {"provider": "twilio", "account_sid": SID, "auth_token": TOKEN}
    shown = {**account, "auth_token": "***"}
    put(ask, "/accounts/us", account)
    put(ask, "/portals/7", {"accounts": ["us"], "token": PORTAL_TOKEN})
    assert ask("GET", "/accounts/us").get_json() == shown
    put(ask, "/accounts/us", {**shown, "country": "US"})
    put(ask, "/portals/7", {"accounts": ["us"], "token": "***", "users": "own"})
    place = "accounts.us.auth_token"
    moved = ask("PUT", "/accounts/us", {**shown, "base_url": "https://elsewhere.example"})
    assert wrong(moved, 422, "VALIDATION_ERROR")["errors"][0]["in"] == place
    answers = [ask("GET", path).text for path in ("/accounts", "/portals", "/portals/7", "/audit")]
    assert TOKEN not in str(answers)
    assert PORTAL_TOKEN not in str(answers)
    directory = app.extensions["helpdesk_numbers"].directory.of(7)
    assert directory.accounts["us"].options.auth_token == TOKEN
    assert directory.portals[7].token == PORTAL_TOKEN


def test_etags_keep_one_change_from_undoing_another(ask: Ask) -> None:
    tag = put(ask, "/accounts/desk", DESK)
    wrong(ask("PUT", "/accounts/desk", DESK, If_None_Match="*"), 412, "PRECONDITION_FAILED")
    assert ask("GET", "/accounts/desk", If_None_Match=tag).status_code == 304
    newer = put(ask, "/accounts/desk", {**DESK, "country": "US"}, If_Match=f"W/{tag}")
    assert newer != tag
    for method in ("PUT", "DELETE"):
        answer = ask(method, "/accounts/desk", DESK, If_Match=tag)
        wrong(answer, 412, "PRECONDITION_FAILED")
    wrong(ask("PUT", "/accounts/new", DESK, If_Match="*"), 412, "PRECONDITION_FAILED")
    assert ask("GET", "/accounts/desk", If_None_Match=tag).get_json()["country"] == "US"
    portal = put(ask, "/portals/7", {"accounts": []})
    assert put(ask, "/portals/7/rules/users/5", {}, If_Match=portal) != portal
    wrong(ask("PUT", "/portals/7/rules/users/6", {}, If_Match=portal), 412, "PRECONDITION_FAILED")


def test_a_star_asks_whether_there_is_the_rule_and_not_the_portal(ask: Ask) -> None:
    put(ask, "/portals/7", {"accounts": []})
    rule = "/portals/7/rules/users/5"
    wrong(ask("PUT", rule, {}, If_Match="*"), 412, "PRECONDITION_FAILED")
    assert ask("PUT", rule, {}, If_None_Match="*").status_code == 201
    wrong(ask("PUT", rule, {"names": []}, If_None_Match="*"), 412, "PRECONDITION_FAILED")
    assert ask("PUT", rule, {"names": []}, If_Match="*").status_code == 200
    assert ask("DELETE", rule, If_Match="*").status_code == 204


def test_a_path_that_there_is_not_is_told_where_they_are_described(ask: Ask) -> None:
    message = wrong(ask("GET", "/acounts"), 404, "NOT_FOUND")["message"]
    assert message == "There is nothing here. GET /api/v1/openapi.json describes what there is."


def test_a_parameter_that_there_is_not_is_told(ask: Ask) -> None:
    said = wrong(ask("GET", "/accounts?limt=5"), 400, "VALIDATION_ERROR")["message"]
    assert said == "there is no parameter 'limt' here (did you mean 'limit'?)"
    wrong(ask("DELETE", "/accounts/desk?force=1"), 400, "VALIDATION_ERROR")


def test_lists_come_in_parts(ask: Ask) -> None:
    for number in (5, 11, 7):
        put(ask, f"/accounts/a{number}", DESK)
        put(ask, f"/portals/{number}", {"accounts": []})
    for kind, key, order in (
        ("accounts", "name", ["a11", "a5", "a7"]),
        ("portals", "portalId", [5, 7, 11]),
    ):
        first = ask("GET", f"/{kind}?limit=2").get_json()
        after = first["paging"]["next"]["after"]
        second = ask("GET", f"/{kind}?limit=2&after={after}").get_json()
        assert [one[key] for one in first["results"] + second["results"]] == order
        assert "paging" not in second
    tag = ask("GET", "/portals/5").headers["ETag"]
    assert ask("GET", "/portals").get_json()["results"][0]["etag"] == tag
    changes = ask("GET", "/audit?limit=4").get_json()
    older = ask("GET", f"/audit?after={changes['paging']['next']['after']}").get_json()
    ids = [one["id"] for one in changes["results"] + older["results"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 6
    assert len(ask("GET", "/audit?account=a5").get_json()["results"]) == 1
    assert len(ask("GET", "/audit?portalId=5").get_json()["results"]) == 1


@pytest.mark.parametrize(
    "query", ["/accounts?limit=0", "/portals?limit=1001", "/portals?after=x", "/audit?portalId=-1"]
)
def test_what_cannot_be_read_in_a_query_is_a_400(ask: Ask, query: str) -> None:
    assert (
        query[query.index("?") + 1 :].partition("=")[0]
        in wrong(ask("GET", query), 400, "VALIDATION_ERROR")["message"]
    )


def test_a_test_says_how_the_account_does(ask: Ask, carrier: Carrier) -> None:
    account = {"provider": "twilio", "account_sid": SID, "base_url": carrier.url}
    put(ask, "/accounts/us", {**account, "auth_token": TOKEN})
    assert ask("POST", "/accounts/us/test").get_json() == {
        "outcome": "ok",
        "numbers": 20,
        "usable": 14,
    }
    put(ask, "/accounts/us", {**account, "auth_token": "wrong"})
    told = ask("POST", "/accounts/us/test").get_json()
    assert told["outcome"] == "refused"
    assert "401" in told["reason"]
    assert "credentials" in told["remedy"]


def test_an_account_that_cannot_be_decrypted_says_so(
    ask: Ask, settings: dict[str, str], app: Flask
) -> None:
    put(ask, "/accounts/us", {"provider": "twilio", "account_sid": SID, "auth_token": TOKEN})
    with app.extensions["helpdesk_numbers"].database.engine.begin() as connection:
        connection.execute(text("UPDATE accounts SET secrets = 'x'"))
    told = ask("POST", "/accounts/us/test").get_json()
    assert (told["outcome"], told["reason"]) == ("refused", "its secrets cannot be decrypted")


def test_a_preview_shows_what_was_just_written_and_why(ask: Ask) -> None:
    put(ask, "/accounts/desk", DESK)
    put(ask, "/portals/7", {"accounts": ["desk"]})
    seen = ask("GET", "/portals/7/numbers?userId=5").get_json()
    assert [one["friendlyName"] for one in seen["phoneNumbers"]] == ["Front", "Back"]
    put(ask, "/portals/7/rules/users/5", {"names": ["Front"]})
    seen = ask("GET", "/portals/7/numbers?userId=5").get_json()
    assert [one["friendlyName"] for one in seen["phoneNumbers"]] == ["Front"]
    assert [(one["name"], bool(one["reason"])) for one in seen["leftOut"]] == [("Back", True)]
    wrong(ask("GET", "/portals/7/numbers"), 422, "VALIDATION_ERROR")
    wrong(ask("GET", "/portals/7/numbers?userId=5&email=a@b.c"), 422, "VALIDATION_ERROR")
    wrong(ask("GET", "/portals/8/numbers?userId=5"), 404, "OBJECT_NOT_FOUND")


def test_users_are_hubspot_s_with_the_rule_that_holds(
    settings: dict[str, str], ask: Ask, make: Callable[[], Flask]
) -> None:
    anna = Person(1001, "anna@acme.example", (("1", "Support"),))
    with HubSpotUsers(anna, Person(1002, "bo@acme.example")) as hubspot:
        settings["HUBSPOT_API_BASE_URL"] = hubspot.url
        client = make().test_client()

        def get(path: str) -> TestResponse:
            headers = {"Authorization": f"Bearer {ADMIN}"}
            return client.get("/api/v1" + path, headers=headers)

        put(ask, "/accounts/desk", DESK)
        rules = {"team": {"Support": {"names": ["Front"]}}, "users": "none"}
        put(ask, "/portals/7", {"accounts": ["desk"], "token": PORTAL_TOKEN, **rules})
        first, second = get("/portals/7/users").get_json()["results"]
        assert (first["userId"], first["emails"], first["teams"]) == (
            1001,
            ["anna@acme.example"],
            ["Support"],
        )
        assert first["rule"] == 'rule of the team "support"'
        assert second["rule"].endswith('users = "none"')
        seen = get("/portals/7/numbers?email=Anna@acme.example").get_json()
        assert (seen["userId"], len(seen["phoneNumbers"])) == (1001, 1)
        wrong(get("/portals/7/numbers?email=nobody@acme.example"), 404, "OBJECT_NOT_FOUND")
        first = get("/portals/7/users?limit=1").get_json()
        rest = get(f"/portals/7/users?after={first['paging']['next']['after']}").get_json()
        assert [one["userId"] for one in first["results"] + rest["results"]] == [1001, 1002]
        assert "paging" not in rest
        wrong(get("/portals/7/users?after=rubbish"), 422, "VALIDATION_ERROR")
        put(ask, "/portals/7", {"accounts": ["desk"]})
        assert "token" in wrong(get("/portals/7/users"), 409, "CONFLICT")["message"]
        put(ask, "/portals/7", {"accounts": ["desk"], "token": "pat-na1-wrong"})
        wrong(get("/portals/7/users"), 502, "HUBSPOT_REFUSED")


def test_no_log_line_shows_whom_a_request_is_about(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    put(ask, "/portals/7", {"accounts": [], "token": PORTAL_TOKEN})
    put(ask, "/portals/7/rules/users/anna@acme.example", {"numbers": ["+12025550143"]})
    ask("GET", "/portals/7/rules/users/anna@acme.example/x")
    ask("PUT", "/portals/7/rules/users/anna@acme.example", {"owner": 1})
    lines = capsys.readouterr().err
    assert lines.count("/rules/users/") == 3
    assert '"path":"/api/v1/portals/<portalId>/rules/users/<path:user>"' in lines
    for hidden in ("anna", "2025550143", PORTAL_TOKEN, ADMIN):
        assert hidden not in lines
    requests = [line for line in lines.splitlines() if '"event":"request"' in line]
    assert len(requests) == 4
    assert all(re.search('"admin":"[0-9a-f]{8}"', line) for line in requests)


def test_more_than_is_fair_is_a_429(
    make: Callable[[], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PER_S", 1.0)  # so that no machine is too slow for it
    client = make().test_client()
    headers = {"Authorization": f"Bearer {ADMIN}"}
    first, *others = [client.get("/api/v1/accounts", headers=headers) for _ in range(30)]
    refused = [answer for answer in others if answer.status_code == 429]
    assert first.status_code == 200
    wrong(refused[0], 429, "RATE_LIMITS")
    assert refused[0].headers["Retry-After"] == "1"
    headers["Authorization"] = "Bearer another-token-of-tests"
    assert client.get("/api/v1/accounts", headers=headers).status_code == 200


def test_a_database_that_is_away_is_a_503(ask: Ask, app: Flask) -> None:
    put(ask, "/accounts/desk", DESK)
    with app.extensions["helpdesk_numbers"].database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE accounts RENAME TO gone"))
    answer = ask("PUT", "/accounts/desk", DESK)
    wrong(answer, 503, "DIRECTORY_UNAVAILABLE")
    assert answer.headers["Retry-After"]


def test_other_methods_are_told_which_there_are(ask: Ask) -> None:
    answer = ask("PATCH", "/accounts/desk")
    assert wrong(answer, 405, "METHOD_NOT_ALLOWED")["message"] == (
        f"This path takes {answer.headers['Allow']}."
    )


def test_the_description_is_openapi_and_knows_every_provider(ask: Ask) -> None:
    described = ask("GET", "/openapi.json").get_json()
    assert described["openapi"] == "3.1.0"
    accounts = described["components"]["schemas"]["Account"]["oneOf"]
    assert [one["title"] for one in accounts] == [*providers.names()]
    twilio = next(one for one in accounts if one["title"] == "twilio")
    assert twilio["properties"]["auth_token"]["format"] == "password"
    names = {
        operation["operationId"]
        for path in described["paths"].values()
        for operation in path.values()
    }
    assert {"put_account", "put_portal", "put_user_rule", "preview", "list_changes"} <= names


def test_a_broken_adapter_leaves_the_rest_described(
    app: Flask, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [*providers.names(), "broken"]
    monkeypatch.setattr(providers, "names", lambda: names)
    account = ask("GET", "/openapi.json").get_json()["components"]["schemas"]["Account"]
    assert account["description"].endswith("broken: broken.")
    assert [one["title"] for one in account["oneOf"]] == names[:-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DATABASE_URL": "", "DIRECTORY_TOML": "x"}, "set DATABASE_URL too"),
        ({"DIRECTORY_TOML": "x"}, "unset DIRECTORY"),
    ],
)
def test_it_is_on_only_where_it_can_work(
    settings: dict[str, str], change: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        create_app(settings | change)
    assert any(said in fault for fault in raised.value.faults)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ("x", "shorter than 20"),
        (f"{ADMIN},{ADMIN[:19]}", "shorter than 20"),
        ("a token of tests with spaces", "others than"),
        (f"{ADMIN},{ADMIN}", "two are the same"),
    ],
)
def test_a_token_that_could_be_guessed_is_refused_and_not_shown(
    settings: dict[str, str], tokens: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        create_app(settings | {"ADMIN_TOKENS": tokens})
    (fault,) = raised.value.faults
    assert fault.startswith("ADMIN_TOKENS: ")
    assert said in fault
    assert ADMIN[:19] not in fault


def test_the_only_portal_s_token_is_never_that_of_a_portal_in_a_database(
    settings: dict[str, str], ask: Ask, make: Callable[[], Flask]
) -> None:
    with HubSpotUsers(Person(1001, "anna@acme.example")) as hubspot:
        settings |= {"HUBSPOT_API_BASE_URL": hubspot.url, "HUBSPOT_PORTAL_TOKEN": PORTAL_TOKEN}
        app = make()
        put(ask, "/accounts/desk", DESK)
        put(ask, "/portals/7", {"accounts": ["desk"], "team": {"Support": {}}})
        headers = {"Authorization": f"Bearer {ADMIN}"}
        answer = app.test_client().get("/api/v1/portals/7/users", headers=headers)
        assert "token" in wrong(answer, 409, "CONFLICT")["message"]
        answer = app.test_client().get("/api/v1/portals/7/numbers?userId=1001", headers=headers)
        assert answer.status_code != 200
        assert hubspot.asked == []


def test_without_tokens_there_is_no_api(
    settings: dict[str, str], make: Callable[[], Flask]
) -> None:
    del settings["ADMIN_TOKENS"]
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = make().test_client().get("/api/v1/accounts", headers=headers)
    assert answer.status_code == 404
