"""The client for HubSpot's OAuth, over real sockets: its bodies, its errors, and odd answers."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from helpdesk_numbers.users.asking import poster
from hubspot.errors import AppRefused, CodeRefused, HubSpotUnavailable, LookupFailed, PortalGone
from hubspot.oauth import Client, OAuth, Post, Tokens, authorize_url
from providers.base.provider import Deadline
from providers.testing import carrier as faults
from providers.testing.carrier import Fault, Reply
from tests.support import hubspot_app
from tests.support.hubspot_api import rate_limited
from tests.support.hubspot_app import (
    CLIENT_ID,
    INSTALLER,
    REDIRECT_URI,
    SECRET,
    HubSpotApp,
    oauth_refusal,
)

PORTAL = 62515


@pytest.fixture
def hubspot() -> Iterator[HubSpotApp]:
    with HubSpotApp() as made:
        yield made


@pytest.fixture
def post(hubspot: HubSpotApp) -> Post:
    return poster(hubspot.url)(Deadline(2))


def oauth(*secrets: str) -> OAuth:
    return OAuth(Client(CLIENT_ID, secrets or (SECRET,)))


def installed(hubspot: HubSpotApp, post: Post) -> Tokens:
    return oauth().exchange(post, hubspot.code_for(PORTAL), REDIRECT_URI)


def test_the_authorize_url_names_every_scope_and_the_optional_ones_apart() -> None:
    scopes = ("oauth", "crm.objects.owners.read")
    url = authorize_url(CLIENT_ID, REDIRECT_URI, scopes, ("settings.users.read",), "a+b/c")
    assert urlsplit(url).netloc == "app.hubspot.com"
    assert "scope=oauth%20crm.objects.owners.read" in url  # %20, as HubSpot's own clients have it
    assert parse_qs(urlsplit(url).query) == {
        "client_id": [CLIENT_ID],
        "redirect_uri": [REDIRECT_URI],
        "scope": ["oauth crm.objects.owners.read"],
        "optional_scope": ["settings.users.read"],
        "state": ["a+b/c"],
    }
    assert "optional_scope" not in authorize_url(CLIENT_ID, REDIRECT_URI, scopes, (), "x")


def test_a_code_becomes_tokens_once(hubspot: HubSpotApp, post: Post) -> None:
    code = hubspot.code_for(PORTAL)
    tokens = oauth().exchange(post, code, REDIRECT_URI)
    assert (tokens.hub_id, tokens.expires_in) == (PORTAL, 1800)
    assert tokens.access_token in hubspot.installs[PORTAL].access_tokens
    assert tokens.refresh_token == hubspot.installs[PORTAL].refresh_token
    (asked,) = hubspot.asked
    assert (
        asked.target == "/oauth/2026-09/token"
    )  # no secret in the URL, which is logged on its way
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    with pytest.raises(CodeRefused):
        oauth().exchange(post, code, REDIRECT_URI)


@pytest.mark.parametrize("rotates", [False, True])
def test_a_refresh_brings_a_new_token(hubspot: HubSpotApp, post: Post, rotates: bool) -> None:
    first = installed(hubspot, post)
    hubspot.rotates = rotates
    second = oauth().refresh(post, first.refresh_token or "")
    assert second.access_token != first.access_token
    assert second.refresh_token == (hubspot.installs[PORTAL].refresh_token if rotates else None)


def test_a_token_is_introspected(hubspot: HubSpotApp, post: Post) -> None:
    said = oauth().introspect(post, installed(hubspot, post).access_token)
    assert (said.active, said.hub_id, said.user, said.region) == (True, PORTAL, INSTALLER, "eu1")
    assert not oauth().introspect(post, "unknown").active


def test_a_revoked_refresh_token_is_gone(hubspot: HubSpotApp, post: Post) -> None:
    tokens = installed(hubspot, post)
    oauth().revoke(post, tokens.refresh_token or "")
    with pytest.raises(PortalGone):
        oauth().refresh(post, tokens.refresh_token or "")


def test_the_app_has_a_token_of_its_own(hubspot: HubSpotApp, post: Post) -> None:
    token = oauth().app_token(post, ["developer.webhooks_journal.read"])
    assert (token.hub_id, token.refresh_token) == (None, None)
    assert hubspot.asked[0].form["scope"] == "developer.webhooks_journal.read"


def test_the_generation_before_is_used_where_the_newest_is_not(
    hubspot: HubSpotApp, post: Post
) -> None:
    hubspot.generations["oauth"] = {"2026-03"}
    app = oauth()
    app.app_token(post, ["x"])
    app.app_token(post, ["x"])
    versions = [asked.path.split("/")[2] for asked in hubspot.asked]
    assert versions == ["2026-09", "2026-03", "2026-03"]
    hubspot.generations["oauth"] = {"v1"}
    with pytest.raises(HubSpotUnavailable, match="HUBSPOT_API_BASE_URL"):
        app.app_token(post, ["x"])


@pytest.mark.parametrize("secrets", [("old", SECRET), (SECRET, "old"), ("older", "old", SECRET)])
def test_while_the_secret_is_exchanged_whichever_is_good_is_used(
    hubspot: HubSpotApp, post: Post, secrets: tuple[str, ...]
) -> None:
    app = oauth(*secrets)
    app.exchange(post, hubspot.code_for(PORTAL), REDIRECT_URI)
    hubspot.asked.clear()
    app.exchange(post, hubspot.code_for(PORTAL), REDIRECT_URI)
    assert len(hubspot.asked) == 1  # it is remembered


GONE = [
    hubspot_app.BAD_REFRESH_TOKEN,
    hubspot_app.BAD_HUB,
    oauth_refusal(None, "BAD_HUB"),
    Reply({"error": "invalid_grant"}, 400),
]
OURS = [
    hubspot_app.BAD_CLIENT_ID,
    hubspot_app.BAD_CLIENT_SECRET,
    Reply({"error": "invalid_client"}, 401),
    Reply({"error": "unauthorized_client"}, 403),
    oauth_refusal("invalid_grant", "BAD_CLIENT_SECRET"),
    *(oauth_refusal(None, f"BAD_{what}") for what in ("REDIRECT_URI", "SCOPES", "GRANT_TYPE")),
]
PASSING: list[Reply | Fault] = [
    hubspot_app.OTHER_CLIENT,
    oauth_refusal(None, "SOMETHING_NEW"),
    oauth_refusal("invalid_request", "error"),
    Reply({"status": ["BAD_HUB"]}, 400),
    Reply(b"<html>Bad request", 400),
    Reply(b"[" * 100_000, 400),
    Reply({"status": "BAD_REFRESH_TOKEN"}, 500),
    Reply({"status": "BAD_REFRESH_TOKEN"}, 302, {"Location": "https://elsewhere.example"}),
    Reply(status=403),
    Reply(status=477, headers={"Retry-After": "7"}),
    rate_limited("7"),
    Reply(b"{"),
    Reply({"access_token": "", "expires_in": 1800}),
    Reply({"access_token": "x", "expires_in": 0}),
    Reply({"access_token": "x", "expires_in": -5}),
    Reply({"access_token": "x"}),
    faults.reset,
    faults.break_off,
]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        *((reply, PortalGone) for reply in GONE),
        *((reply, AppRefused) for reply in OURS),
        *((reply, HubSpotUnavailable) for reply in PASSING),
    ],
)
def test_a_refresh_fails_in_one_of_three_ways(
    hubspot: HubSpotApp, post: Post, reply: Reply | Fault, kind: type[LookupFailed]
) -> None:
    hubspot.always = reply
    with pytest.raises(LookupFailed) as raised:
        oauth().refresh(post, "na1-refresh-secret")
    assert type(raised.value) is kind
    if isinstance(reply, Reply) and reply.status in (429, 477):
        assert raised.value.retry_after_s == 7
    for secret in ("na1-refresh-secret", SECRET, hubspot.url, "elsewhere"):
        assert secret not in str(raised.value)


@pytest.mark.parametrize("reply", [*OURS, *PASSING])
def test_only_a_refused_code_makes_an_install_begin_again(
    hubspot: HubSpotApp, post: Post, reply: Reply | Fault
) -> None:
    hubspot.always = reply
    with pytest.raises(LookupFailed) as raised:
        oauth().exchange(post, "na1-code", REDIRECT_URI)
    assert not isinstance(raised.value, CodeRefused | PortalGone)


def test_no_secret_is_in_a_repr(hubspot: HubSpotApp, post: Post) -> None:
    tokens = installed(hubspot, post)
    shown = repr(
        (tokens, Client(CLIENT_ID, (SECRET,)), oauth().introspect(post, tokens.access_token))
    )
    for secret in (SECRET, tokens.access_token, tokens.refresh_token or "", INSTALLER):
        assert secret not in shown


def test_a_hubspot_that_hangs_is_left_at_the_deadline(hubspot: HubSpotApp) -> None:
    hubspot.always = faults.hang
    with pytest.raises(HubSpotUnavailable, match="in time"):
        oauth().refresh(poster(hubspot.url)(Deadline(0.3)), "x")
