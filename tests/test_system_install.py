"""The install on the real server: its tokens stay fresh, and Chromium walks through each shape.

The latter needs Playwright (`pip install playwright`) and a Chromium, and is skipped without.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from sqlalchemy import select

from helpdesk_numbers.database.engine import connect
from helpdesk_numbers.database.tables import installs
from hubspot.oauth import AUTHORIZE_URL
from providers.testing.carrier import Asked, Carrier, Reply
from tests.support.accounts import wait_until
from tests.support.https import https
from tests.support.hubspot_api import APP_ID
from tests.support.hubspot_app import CLIENT_ID, SECRET, HubSpotApp
from tests.support.postgres import KEY
from tests.support.server import Server, free_port, serving

PORTAL = 62515
HUBSPOT = "https://app.hubspot.com"
BACK = f"{HUBSPOT}/installed/62515"


@pytest.fixture
def hubspot() -> Iterator[HubSpotApp]:
    with HubSpotApp() as made:
        yield made


@pytest.fixture
def settings(hubspot: HubSpotApp, tmp_path: Path) -> dict[str, str]:
    port = free_port()
    hubspot.redirect_uri = f"http://localhost:{port}/hubspot/callback"
    return {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_APP_ID": str(APP_ID),
        "HUBSPOT_CLIENT_ID": CLIENT_ID,
        "HUBSPOT_API_BASE_URL": hubspot.url,
        "PUBLIC_URL": f"http://localhost:{port}",
        "PORT": str(port),
        "DATABASE_URL": f"sqlite:///{tmp_path}/numbers.db",
        "ENCRYPTION_KEYS": KEY,
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def server(settings: dict[str, str]) -> Iterator[Server]:
    with serving(settings) as running:
        yield running


def installed(settings: dict[str, str]) -> list[int]:
    engine = connect(settings["DATABASE_URL"])
    with engine.connect() as connection:
        found = [*connection.scalars(select(installs.c.portal_id))]
    engine.dispose()
    return found


def test_a_running_server_keeps_tokens_fresh(settings: dict[str, str], hubspot: HubSpotApp) -> None:
    hubspot.expires_in = 4
    with serving({**settings, "WEB_CONCURRENCY": "2"}) as server:
        query = {"code": hubspot.code_for(PORTAL), "returnUrl": BACK}
        callback = f"{settings['PUBLIC_URL']}/hubspot/callback?{urlencode(query)}"
        answer = requests.get(callback, allow_redirects=False, timeout=20)
        assert (answer.status_code, answer.headers["Location"]) == (302, BACK)
        wait_until(lambda: hubspot.refreshed[PORTAL] >= 2)
        assert hubspot.at_once == 1
        assert hubspot.installs[PORTAL].refresh_token not in server.output()


class Pages(Carrier):
    """All that Chromium finds by https: what `page` gives for a URL."""

    def __init__(self) -> None:
        self.page: Callable[[str], str] = lambda _: "<h1>HubSpot</h1>"
        super().__init__(self._reply_to)

    def _reply_to(self, asked: Asked) -> Reply:
        return Reply(self.page(f"https://{asked.headers['Host']}{asked.target}").encode())


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as made:
        yield made


@pytest.fixture
def browser(pages: Pages, certificate: Path) -> Iterator[Any]:
    """Chromium, for which `pages` are all of the web but this machine."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("there is no Chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with https(certificate, pages.url) as front, sync_api.sync_playwright() as playwright:
        proxy = f"--proxy-server=http://127.0.0.1:{front.port}"
        chromium = playwright.chromium.launch(executable_path=path, args=[*flags, proxy])
        yield chromium.new_page(ignore_https_errors=True)
        chromium.close()


def going_to(url: str) -> str:
    """A page that goes on at once, as HubSpot's does."""
    return f"<!doctype html><script>location.replace({url!r})</script>"


def test_chromium_walks_through_an_install_begun_here(
    browser: Any, pages: Pages, server: Server, settings: dict[str, str], hubspot: HubSpotApp
) -> None:
    def authorize(url: str) -> str:
        assert url.startswith(AUTHORIZE_URL)
        state = parse_qs(urlsplit(url).query)["state"][0]
        back = {"code": hubspot.code_for(PORTAL), "state": state}
        return going_to(f"{hubspot.redirect_uri}?{urlencode(back)}")

    pages.page = authorize
    browser.goto(f"{settings['PUBLIC_URL']}/hubspot/install")
    browser.wait_for_selector("h1")
    assert browser.inner_text("h1") == "The app is installed in portal 62515"
    colour = browser.evaluate("getComputedStyle(document.querySelector('h1')).fontSize")
    assert colour == "24px"  # the policy lets our style in
    assert installed(settings) == [PORTAL]
    browser.go_back()  # and again, as people do
    browser.goto(browser.url)
    assert installed(settings) == [PORTAL]


@pytest.mark.parametrize("framed", [False, True])
def test_chromium_walks_through_the_marketplace_without_a_sign_in(
    browser: Any,
    pages: Pages,
    server: Server,
    settings: dict[str, str],
    hubspot: HubSpotApp,
    framed: bool,
) -> None:
    query = urlencode({"code": hubspot.code_for(PORTAL), "returnUrl": BACK})

    def page(url: str) -> str:
        if url == BACK:
            return "<h1>HubSpot: installed</h1>"
        return f'<iframe src="{hubspot.redirect_uri}?{query}"></iframe>'

    pages.page = page
    browser.goto(f"{HUBSPOT}/frame" if framed else f"{hubspot.redirect_uri}?{query}")
    frame = browser.frame_locator("iframe") if framed else browser
    frame.locator("text=HubSpot: installed").wait_for()
    assert installed(settings) == [PORTAL]


@pytest.mark.parametrize("framed", [False, True])
def test_chromium_walks_through_the_marketplace_with_a_sign_in(
    browser: Any,
    pages: Pages,
    server: Server,
    settings: dict[str, str],
    hubspot: HubSpotApp,
    framed: bool,
) -> None:
    def page(url: str) -> str:
        if url.startswith(BACK) and "state" in (said := parse_qs(urlsplit(url).query)):
            code, state = hubspot.code_for(PORTAL), said["state"][0]
            end = {"step": "finalize", "code": code, "state": state, "returnUrl": f"{HUBSPOT}/end"}
            return going_to(f"{hubspot.redirect_uri}?{urlencode(end)}")
        if url.endswith("/end"):
            return "<h1>HubSpot: installed</h1>"
        return f'<iframe src="{first}"></iframe>'

    first = f"{hubspot.redirect_uri}?{urlencode({'step': 'authorize', 'returnUrl': BACK})}"
    pages.page = page
    browser.goto(f"{HUBSPOT}/frame" if framed else first)
    frame = browser.frame_locator("iframe") if framed else browser
    frame.locator("text=HubSpot: installed").wait_for()
    assert installed(settings) == [PORTAL]


def test_chromium_shows_a_refusal_and_what_to_do(
    browser: Any, pages: Pages, server: Server, settings: dict[str, str], hubspot: HubSpotApp
) -> None:
    pages.page = lambda _: "<h1>HubSpot</h1>"
    browser.goto(f"{hubspot.redirect_uri}?error=access_denied")
    assert browser.inner_text("h1") == "The app was not installed"
    browser.click("a[href=install]")
    browser.wait_for_url(f"{AUTHORIZE_URL}**")
    assert installed(settings) == []


def test_nobody_but_hubspot_may_frame_the_install(
    browser: Any, pages: Pages, server: Server, hubspot: HubSpotApp
) -> None:
    frame = f'<iframe src="{hubspot.redirect_uri}?error=x"></iframe>'
    pages.page = lambda _: frame
    shown = {}
    for host in ("app.hubspot.com", "app-eu1.hubspot.com", "evil.example"):
        browser.goto(f"https://{host}/x")
        shown[host] = browser.frames[1].locator("text=The app was not installed").count()
    assert shown == {"app.hubspot.com": 1, "app-eu1.hubspot.com": 1, "evil.example": 0}
