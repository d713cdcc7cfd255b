"""The install's routes in this process: HubSpot's five shapes of it, and whoever forges one."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from app import create_app
from helpdesk_numbers.database import rows
from helpdesk_numbers.database.editing import editing
from helpdesk_numbers.database.tables import audit, installs, used_states
from helpdesk_numbers.install.routes import COOKIE, FRAMED, PAGES
from helpdesk_numbers.service import Service
from providers.testing.carrier import Reply
from tests.support import hubspot_app
from tests.support.clock import Clock
from tests.support.hubspot_api import APP_ID
from tests.support.hubspot_app import CLIENT_ID, SECRET, HubSpotApp
from tests.support.hubspot_users import Person
from tests.support.postgres import KEY

HOST = "numbers.example.com"
BASE = f"https://{HOST}"
HUBSPOT = "https://app.hubspot.com/installed/62515?x=a%2Fb"
PORTAL = 62515

Post = Callable[..., TestResponse]


@pytest.fixture
def hubspot() -> Iterator[HubSpotApp]:
    with HubSpotApp(Person(1001, "anna@acme.example")) as made:
        yield made


@pytest.fixture
def environ(request: pytest.FixtureRequest, tmp_path: Path, hubspot: HubSpotApp) -> dict[str, str]:
    url = f"sqlite:///{tmp_path}/numbers.db"
    if "database_url" in request.fixturenames:
        url = request.getfixturevalue("database_url")
    return {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_APP_ID": str(APP_ID),
        "HUBSPOT_CLIENT_ID": CLIENT_ID,
        "HUBSPOT_API_BASE_URL": hubspot.url,
        "PUBLIC_URL": BASE,
        "DATABASE_URL": url,
        "ENCRYPTION_KEYS": KEY,
    }


class Browser:
    """A browser with cookies of its own, at the service."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def get(self, target: str, **query: str) -> TestResponse:
        return self.client.get(target, base_url=BASE, query_string=query or None)

    def begin(self) -> str:
        """Begin an install here; the state that HubSpot will send back."""
        return parse_qs(urlsplit(self.get("/hubspot/install").location).query)["state"][0]

    def callback(self, **query: str) -> TestResponse:
        return self.get("/hubspot/callback", **query)


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    made = create_app(environ)
    yield made
    made.extensions["helpdesk_numbers"].close()


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def service(app: Flask) -> Service:
    made: Service = app.extensions["helpdesk_numbers"]
    return made


def installed(service: Service) -> list[int]:
    with service.database.engine.connect() as connection:
        return [*connection.scalars(select(installs.c.portal_id).order_by(installs.c.portal_id))]


def is_page(answer: TestResponse, status: int, page: str) -> bool:
    return answer.status_code == status and f"<h1>{PAGES[page][0]}</h1>" in answer.text.replace(
        "&#39;", "'"
    )


@pytest.mark.usefixtures("database_url")
def test_an_install_begun_here_ends_with_a_page_in_words(
    browser: Browser, hubspot: HubSpotApp, service: Service
) -> None:
    begun = browser.get("/hubspot/install")
    assert begun.status_code == 302
    assert begun.location.startswith("https://app.hubspot.com/oauth/authorize?")
    asked = parse_qs(urlsplit(begun.location).query)
    assert asked["redirect_uri"] == [hubspot_app.REDIRECT_URI]
    assert asked["scope"] == ["oauth crm.objects.owners.read"]
    assert asked["optional_scope"] == ["settings.users.read"]
    code = hubspot.code_for(PORTAL)
    answer = browser.callback(code=code, state=asked["state"][0])
    assert answer.status_code == 200
    assert "installed in portal 62515" in answer.text
    assert "no phone account is connected yet" in answer.text
    assert installed(service) == [PORTAL]
    with service.database.engine.connect() as connection:
        (row,) = connection.execute(select(installs))
        (change,) = connection.execute(select(audit))
    assert (row.region, row.user_id, row.state) == ("eu1", 1001, "installed")
    assert (change.kind, change.name) == ("portal", "62515")
    assert hubspot_app.INSTALLER not in str(row)


def test_the_webhook_says_that_no_account_is_connected(
    browser: Browser,
    hubspot: HubSpotApp,
    app: Flask,
    post: Post,
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = {"appId": APP_ID, "portalId": PORTAL, "userId": 1001}
    url = f"{BASE}/hubspot/phone-numbers"
    before = post(body, url=url)
    browser.callback(code=hubspot.code_for(PORTAL), state=browser.begin())
    after = post(body, url=url)
    assert [before.json, after.json] == [{"phoneNumbers": []}] * 2
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    whys = [line["why"] for line in lines if "why" in line]
    assert whys == ["portal not in the directory", "installed, no account connected yet"]


def test_a_user_is_looked_up_by_the_install_s_token(
    browser: Browser, hubspot: HubSpotApp, service: Service, post: Post
) -> None:
    browser.callback(code=hubspot.code_for(PORTAL), state=browser.begin())
    rule = {"names": ["F*"]}
    with service.database.engine.begin() as connection:
        numbers = [{"number": "+12025550143", "name": "Front"}, {"number": "+12025550144"}]
        account = {"provider": "static", "numbers": numbers}
        portal = {"accounts": ["desk"], "users": "none", "user": {"anna@acme.example": rule}}
        rows.put_accounts(connection, service.database.encryption, {"desk": account})
        rows.put_portals(connection, service.database.encryption, {PORTAL: portal})
    service.database_directory.forget(PORTAL)
    answer = post(
        {"appId": APP_ID, "portalId": PORTAL, "userId": 1001}, url=f"{BASE}/hubspot/phone-numbers"
    )
    assert answer.json
    assert [one["e164PhoneNumber"] for one in answer.json["phoneNumbers"]] == ["+12025550143"]


def test_the_marketplace_without_a_sign_in(
    browser: Browser, hubspot: HubSpotApp, service: Service
) -> None:
    answer = browser.callback(code=hubspot.code_for(PORTAL), returnUrl=HUBSPOT)
    assert (answer.status_code, answer.location) == (302, HUBSPOT)
    assert installed(service) == [PORTAL]


def test_the_marketplace_with_a_sign_in(
    browser: Browser, hubspot: HubSpotApp, service: Service
) -> None:
    first = browser.callback(step="authorize", returnUrl=HUBSPOT)
    assert first.status_code == 302
    assert first.location.startswith(f"{HUBSPOT}&state=")
    assert installed(service) == []
    state = parse_qs(urlsplit(first.location).query)["state"][0]
    code = hubspot.code_for(PORTAL)
    last = browser.callback(step="finalize", code=code, state=state, returnUrl=HUBSPOT)
    assert (last.status_code, last.location) == (302, HUBSPOT)
    assert installed(service) == [PORTAL]


def test_a_sign_in_does_not_end_without_its_state(
    browser: Browser, hubspot: HubSpotApp, service: Service
) -> None:
    code = hubspot.code_for(PORTAL)
    assert is_page(browser.callback(step="finalize", code=code, returnUrl=HUBSPOT), 400, "state")
    assert installed(service) == []


def test_a_refusal_is_a_page_that_says_what_to_do(
    browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "<script>alert(1)</script>"
    answer = browser.callback(error="access_denied", error_description=said)
    assert is_page(answer, 400, "refused")
    assert "script" not in answer.text
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["install"] == "failed"


@pytest.mark.usefixtures("database_url")
def test_a_state_is_good_once_in_the_browser_that_began_for_ten_minutes(
    browser: Browser, app: Flask, hubspot: HubSpotApp, service: Service
) -> None:
    other, clock = Browser(app), Clock(1_800_000_000)
    service.app.clock = clock
    state = browser.begin()
    assert is_page(other.callback(code="x", state=state), 400, "state")  # no cookie
    other.begin()
    assert is_page(other.callback(code="x", state=state), 400, "state")  # another's
    cookie = browser.client.get_cookie(COOKIE, HOST)
    assert cookie
    assert browser.callback(code=hubspot.code_for(PORTAL), state=state).status_code == 200
    browser.client.set_cookie(COOKIE, cookie.value, domain=HOST, secure=True)
    again = browser.callback(code=hubspot.code_for(7), state=state)
    assert is_page(again, 400, "state")
    state = browser.begin()
    clock.now += 601
    assert is_page(browser.callback(code=hubspot.code_for(7), state=state), 400, "state")
    assert installed(service) == [PORTAL]
    browser.callback(code=hubspot.code_for(8), state=browser.begin())
    with service.database.engine.connect() as connection:
        assert len(connection.execute(select(used_states)).all()) == 1  # the old ones are gone


def test_the_cookie_reaches_us_in_hubspots_frame_alone_and_by_https(browser: Browser) -> None:
    headers = browser.get("/hubspot/install").headers.getlist("Set-Cookie")
    assert ["Partitioned" in header for header in headers] == [False, True]
    for header in headers:
        for part in ("__Host-", "Secure", "HttpOnly", "SameSite=None", "Max-Age=600", "Path=/"):
            assert part in header
        assert "Domain" not in header


@pytest.mark.parametrize("name", [COOKIE, FRAMED])
def test_either_cookie_is_enough(browser: Browser, hubspot: HubSpotApp, name: str) -> None:
    state = browser.begin()
    browser.client.set_cookie(name, "an-older-one", domain=HOST, secure=True)
    code = hubspot.code_for(PORTAL)
    assert browser.callback(code=code, state=state).status_code == 200


HOSTILE = [
    "http://app.hubspot.com/",
    "https://app.hubspot.com.evil.example/",
    "https://evil.example/",
    "https://evil.example/app.hubspot.com",
    "https://evil.example#app.hubspot.com",
    "https://evil.example?https://app.hubspot.com/",
    "https://app.hubspot.com@evil.example/",
    "https://app.hubspot.com:x@evil.example/",
    "https://user@app.hubspot.com/",
    "https://app.hubspot.com:444/",
    "https://app.hubspot.com\\@evil.example/",
    "https://app.hubspot.com/\\evil",
    "https:\\\\app.hubspot.com/",
    "https:/app.hubspot.com/",
    "https:app.hubspot.com",
    "//app.hubspot.com/",
    "//evil.example/",
    "/\\evil.example",
    "/relative",
    "javascript:alert(1)//https://app.hubspot.com/",
    "data:text/html,https://app.hubspot.com/",
    "HTTPS://evil.example/https://app.hubspot.com/",
    " https://app.hubspot.com/",
    "https://app.hubspot.com/ x",
    "https://app.hubspot.com/\r\nSet-Cookie: a=b",
    "https://app.hubspot.com\t.evil.example/",
    "https://app.hubspot.com\u3002evil.example/",
    "https://app.hubspot.com/\u202e",
    "https://\u0430pp.hubspot.com/",
    "https://app-.hubspot.com/",
    "https://app-evil.hubspot.com/",
    "https://appxhubspot.com/",
    "https://app.hubspot.co/",
    "https://hubspot.com/",
    "https://xapp.hubspot.com/",
    "https://app.hubspot.com./",
    "https://app.hubspot.com\n",
    "https://app.hubspot.com/" + "a" * 4000,
    "",
]


@pytest.mark.parametrize("step", [None, "authorize", "finalize"])
def test_nobody_is_sent_to_a_page_that_is_not_hubspots(
    browser: Browser, hubspot: HubSpotApp, service: Service, step: str | None
) -> None:
    code = hubspot.code_for(PORTAL)
    for url in HOSTILE:
        query = {"returnUrl": url, "code": code, **({"step": step} if step else {})}
        answer = browser.callback(**query)
        assert is_page(answer, 400, "return"), url
        assert answer.location is None
        assert "evil" not in answer.text
    assert installed(service) == []
    assert hubspot.asked == []


@pytest.mark.parametrize("host", ["app", "app-eu1", "app-na2", "app-na3", "app-ap1"])
def test_every_data_centre_of_hubspots_is_returned_to(
    browser: Browser, hubspot: HubSpotApp, host: str
) -> None:
    for rest in ("", "/", "/a/b?c=d&e=%20#f", "?x=%5B1%5D"):
        url = f"https://{host}.hubspot.com{rest}"
        answer = browser.callback(code=hubspot.code_for(PORTAL), returnUrl=url)
        assert (answer.status_code, answer.location) == (302, url)


@pytest.mark.parametrize(
    "query",
    [
        "code=a&code=b&returnUrl=https://app.hubspot.com/",
        "code=a&returnUrl=https://app.hubspot.com/&returnUrl=https://evil.example/",
        "code=a&state=b&state=c",
        "code=a",
        "code=a&state=",
        "code=a&state=%00",
        "code=a&state=%ff%fe",
    ],
)
def test_what_is_said_twice_or_unclear_is_refused(
    browser: Browser, hubspot: HubSpotApp, query: str
) -> None:
    browser.begin()
    answer = browser.get(f"/hubspot/callback?{query}")
    assert is_page(answer, 400, "state")
    assert hubspot.asked == []


def test_a_bare_callback_says_where_to_begin(browser: Browser) -> None:
    assert is_page(browser.callback(), 400, "no code")
    assert is_page(browser.callback(step="authorize"), 400, "no code")


@pytest.mark.parametrize(
    ("reply", "status", "page"),
    [
        (hubspot_app.BAD_AUTH_CODE, 400, "code"),
        (hubspot_app.BAD_CLIENT_SECRET, 502, "app"),
        (hubspot_app.oauth_refusal(None, "BAD_REDIRECT_URI"), 502, "app"),
        (hubspot_app.oauth_refusal(None, "SOMETHING_NEW"), 503, "later"),
        (Reply(status=500), 503, "later"),
        (Reply({"access_token": "x", "expires_in": 1800, "refresh_token": "y"}), 503, "later"),
        (Reply({"access_token": "x", "expires_in": 1800, "hub_id": 7}), 503, "later"),
    ],
)
def test_what_hubspot_refuses_is_a_page(
    browser: Browser, hubspot: HubSpotApp, service: Service, reply: Reply, status: int, page: str
) -> None:
    state = browser.begin()
    hubspot.always = reply
    answer = browser.callback(code="na1-a-secret-code", state=state)
    assert is_page(answer, status, page)
    assert installed(service) == []


def test_a_scope_that_is_missing_is_told_in_the_log(
    browser: Browser, hubspot: HubSpotApp, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    hubspot.scopes_given = ("oauth",)
    answer = browser.callback(code=hubspot.code_for(PORTAL), state=browser.begin())
    assert is_page(answer, 502, "wrong")
    assert "crm.objects.owners.read" in capsys.readouterr().err
    assert installed(service) == []


def test_another_app_s_client_id_is_told_in_the_log(
    environ: dict[str, str],
    hubspot: HubSpotApp,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ["HUBSPOT_APP_ID"] = "7"
    browser = request.getfixturevalue("browser")
    answer = browser.callback(code=hubspot.code_for(PORTAL), state=browser.begin())
    assert is_page(answer, 502, "wrong")
    assert f"app {APP_ID}'s, not 7's" in capsys.readouterr().err


def test_an_install_does_not_need_the_introspection(
    browser: Browser, hubspot: HubSpotApp, service: Service
) -> None:
    hubspot.introspects = False
    code = hubspot.code_for(PORTAL)
    assert browser.callback(code=code, state=browser.begin()).status_code == 200
    assert installed(service) == [PORTAL]


def test_a_portal_that_is_in_the_directory_keeps_what_it_has(
    browser: Browser, hubspot: HubSpotApp, service: Service
) -> None:
    with editing(service.database, "test") as editor:
        editor.put_account("desk", {"provider": "static", "numbers": [{"number": "+12025550143"}]})
        editor.put_portal(PORTAL, {"accounts": ["desk"], "users": "all"})
    answer = browser.callback(code=hubspot.code_for(PORTAL), state=browser.begin())
    assert "Phone numbers are connected" in answer.text
    with editing(service.database, "test") as editor:
        stored = editor.portal(PORTAL)
    assert stored
    assert stored.table == {"accounts": ["desk"], "users": "all"}


def test_a_database_that_is_away_is_a_page(browser: Browser, service: Service) -> None:
    state = browser.begin()
    with service.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE used_states RENAME TO away"))
    answer = browser.callback(code="x", state=state)
    assert is_page(answer, 503, "later")
    assert answer.headers["Retry-After"]


def test_forged_codes_are_tried_no_more_often_than_is_fair(
    browser: Browser, hubspot: HubSpotApp, service: Service
) -> None:
    answers = [browser.callback(code=f"x{n}", returnUrl=HUBSPOT) for n in range(100)]
    assert {answer.status_code for answer in answers} == {400, 429}
    assert len(hubspot.asked) < 100
    assert installed(service) == []


def test_pages_can_be_framed_by_hubspot_alone_and_run_nothing(browser: Browser) -> None:
    for answer in (browser.callback(), browser.get("/hubspot/install")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors https://*.hubspot.com" in policy
        assert "unsafe" not in policy
        assert "X-Frame-Options" not in answer.headers
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
    page = browser.callback().text
    assert not re.search(r"<script|style=|\son\w+=|src=", page)
    assert page.count("<a ") == page.count('<a target="_top" ') == 2  # out of the frame


def test_no_log_line_has_a_code_a_state_or_a_token(
    browser: Browser, hubspot: HubSpotApp, capsys: pytest.CaptureFixture[str]
) -> None:
    state, code = browser.begin(), hubspot.code_for(PORTAL)
    browser.callback(code=code, state=state)
    browser.callback(code=code, state=state)
    shown = capsys.readouterr().err
    install = hubspot.installs[PORTAL]
    for secret in (state, code, install.refresh_token, *install.access_tokens, SECRET):
        assert secret not in shown
    assert hubspot_app.INSTALLER not in shown


def test_without_a_client_id_there_is_nothing(
    environ: dict[str, str], request: pytest.FixtureRequest
) -> None:
    del environ["HUBSPOT_CLIENT_ID"]
    client = request.getfixturevalue("client")
    assert client.get("/hubspot/install").status_code == 404
    assert client.get("/hubspot/callback?code=x").status_code == 404


def test_the_example_s_app_file_is_what_an_install_asks_for(browser: Browser) -> None:
    file = Path(__file__).parent.parent / "examples/hubspot-app/src/app/app-hsmeta.json"
    config = json.loads(file.read_text("utf-8"))["config"]
    auth, asked = config["auth"], parse_qs(urlsplit(browser.get("/hubspot/install").location).query)
    assert asked["redirect_uri"] == auth["redirectUrls"]
    assert asked["scope"] == [" ".join(auth["requiredScopes"])]
    assert asked["optional_scope"] == [" ".join(auth["optionalScopes"])]
    assert config["permittedUrls"]["fetch"] == []
