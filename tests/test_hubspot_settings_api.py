"""The client of HubSpot's settings, against a server that answers as HubSpot does."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from hubspot import settings_api
from hubspot.settings_api import APIError, Client, NoAnswer
from providers.testing.carrier import Carrier, Reply, hang
from tests.support.carrier import does, refusing, says
from tests.support.hubspot_api import (
    APP_ID,
    CORRELATION_ID,
    EXPIRED,
    HTML,
    KEY,
    PATHS,
    TOKEN,
    HubSpotAPI,
    rate_limited,
    refusal,
)

URL = "https://numbers.example.com/hubspot/phone-numbers"
VERSIONS = list(PATHS)


@pytest.fixture
def client(api: HubSpotAPI) -> Client:
    return Client(APP_ID, api.url, api_key=KEY)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_generation_has_its_own_path(api: HubSpotAPI, version: str) -> None:
    client = Client(APP_ID, api.url, version, KEY)
    client.create(URL, False)
    client.fetch()
    client.update(is_ready=True)
    client.delete()
    client.fetch_calling()
    path = PATHS[version].format(APP_ID)
    assert [(one.method, one.path) for one in api.asked] == [
        ("POST", f"{path}/channel-connection"),
        ("GET", f"{path}/channel-connection"),
        ("PATCH", f"{path}/channel-connection"),
        ("DELETE", f"{path}/channel-connection"),
        ("GET", path),
    ]


def test_a_registration_comes_back_as_it_was_made(api: HubSpotAPI, client: Client) -> None:
    created = client.create(URL, False)
    assert (created.url, created.is_ready) == (URL, False)
    assert api.asked[-1].payload == {"url": URL, "isReady": False}
    assert client.fetch() == created
    client.delete()
    assert client.fetch() is None


def test_update_sends_only_what_changes(api: HubSpotAPI, client: Client) -> None:
    client.create(URL, False)
    assert client.update(is_ready=True).is_ready
    assert api.asked[-1].payload == {"isReady": True}
    assert client.update(url=URL + "/2").url == URL + "/2"
    assert api.asked[-1].payload == {"url": URL + "/2"}
    client.update(URL, is_ready=False)
    assert api.asked[-1].payload == {"url": URL, "isReady": False}


def test_calling_settings_say_whether_calls_come_in(api: HubSpotAPI, client: Client) -> None:
    found = client.fetch_calling()
    assert found is not None
    assert found.supports_inbound_calling is True
    api.calling = {"name": "Numbers", "url": "https://widget.example.com"}
    found = client.fetch_calling()
    assert found is not None
    assert found.supports_inbound_calling is None
    api.calling = None
    assert client.fetch_calling() is None


def test_key_travels_as_hapikey(api: HubSpotAPI, client: Client) -> None:
    client.fetch()
    assert api.asked[0].params == {"hapikey": KEY}
    assert "authorization" not in api.asked[0].headers


def test_token_wins_over_the_key(api: HubSpotAPI) -> None:
    Client(APP_ID, api.url, api_key=KEY, access_token=TOKEN).fetch()
    assert api.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert api.asked[0].params == {}


def test_netrc_takes_no_part(
    api: HubSpotAPI, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password a-password-of-tests\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client.fetch()
    assert "authorization" not in api.asked[0].headers
    Client(APP_ID, api.url, access_token=TOKEN).fetch()
    assert api.asked[1].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("2024-04-30 12:01", datetime(2024, 4, 30, 12, 1, tzinfo=UTC)),
        ("2024-04-30T12:01:02.345Z", datetime(2024, 4, 30, 12, 1, 2, 345000, tzinfo=UTC)),
        ("2024-04-30T14:01:02+02:00", datetime(2024, 4, 30, 12, 1, 2, tzinfo=UTC)),
        ("last Tuesday", None),
        (1714478460000, None),
        (None, None),
    ],
)
def test_times_are_aware_in_whatever_form_they_come(
    api: HubSpotAPI, client: Client, given: object, read: datetime | None
) -> None:
    api.connection = {"url": URL, "isReady": True, "createdAt": given}
    found = client.fetch()
    assert found is not None
    assert found.created_at == read
    assert found.created_at is None or found.created_at.tzinfo is not None
    assert found.updated_at is None


@pytest.mark.parametrize("guide_dates", [False, True])
def test_both_date_formats_of_hubspot_are_read(
    api: HubSpotAPI, client: Client, guide_dates: bool
) -> None:
    api.guide_dates = guide_dates
    created = client.create(URL, True).created_at
    assert created is not None
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=2)


def waiting(api: HubSpotAPI) -> tuple[Client, list[float]]:
    """A client that notes how long it would sleep."""
    slept: list[float] = []
    return Client(APP_ID, api.url, api_key=KEY, sleep=slept.append), slept


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [("7", 7), ("30", 30), (None, 1), ("soon", 1), ("0", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_rate_limit_is_waited_for_as_hubspot_says(
    api: HubSpotAPI, retry_after: str | None, wait_s: float
) -> None:
    client, slept = waiting(api)
    api.then = [rate_limited(retry_after)]
    assert client.create(URL, True).url == URL
    assert slept == [wait_s]
    assert [one.payload for one in api.asked] == [{"url": URL, "isReady": True}] * 2


def test_rate_limit_until_a_date_is_waited_for(api: HubSpotAPI) -> None:
    client, slept = waiting(api)
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    api.then = [rate_limited(until)]
    client.fetch()
    assert 10 < slept[0] <= 20


def test_second_rate_limit_is_an_error(api: HubSpotAPI) -> None:
    client, slept = waiting(api)
    api.then = [rate_limited("2"), rate_limited("3"), rate_limited("4")]
    with pytest.raises(
        APIError, match=r"ten_secondly_rolling limit.*asks us to wait 3 s"
    ) as caught:
        client.fetch()
    assert (caught.value.status, caught.value.category) == (429, "RATE_LIMIT")
    assert slept == [2]
    assert len(api.asked) == 2


def test_wait_of_an_hour_is_told_and_not_waited(api: HubSpotAPI) -> None:
    client, slept = waiting(api)
    api.then = [rate_limited("3600")]
    with pytest.raises(APIError, match="asks us to wait 3600 s"):
        client.fetch()
    assert slept == []
    assert len(api.asked) == 1


def test_error_has_hubspots_words_and_correlation_id(api: HubSpotAPI, client: Client) -> None:
    api.then = [
        refusal(
            403,
            "This app hasn't been granted all required scopes.",
            "MISSING_SCOPES",
            errors=[
                {
                    "message": "One or more of the following scopes are required.",
                    "in": "scopes",
                    "context": {"requiredGranularScopes": ["developers-read", "developers-write"]},
                }
            ],
        )
    ]
    with pytest.raises(APIError) as caught:
        client.fetch()
    error = caught.value
    assert (error.status, error.category) == (403, "MISSING_SCOPES")
    assert error.correlation_id == CORRELATION_ID
    for part in (
        "403 MISSING_SCOPES",
        "hasn't been granted",
        "scopes: One or more",
        "requiredGranularScopes: developers-read, developers-write",
        CORRELATION_ID,
    ):
        assert part in str(error)


def test_validation_names_the_fields(api: HubSpotAPI, client: Client) -> None:
    with pytest.raises(APIError, match="Invalid input JSON; isReady: is required"):
        client._send("POST", "channel-connection", {"url": URL})


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"message": null, "category": null, "errors": null, "context": null}',
        b'{"message": {}, "category": 7, "errors": 7, "context": [7], "correlationId": []}',
        b'{"errors": [7, {"in": 7, "context": {"a": 7, "b": [null]}}]}',
    ],
)
def test_unreadable_error_keeps_its_status(api: HubSpotAPI, client: Client, body: bytes) -> None:
    api.then = [Reply(body, 500)]
    with pytest.raises(APIError, match="HubSpot answered 500") as caught:
        client.fetch()
    assert caught.value.status == 500
    assert "<html>" not in str(caught.value)


def test_correlation_id_is_taken_from_the_header_if_the_body_has_none(
    api: HubSpotAPI, client: Client
) -> None:
    api.then = [Reply(HTML, 502, {"x-hubspot-correlation-id": CORRELATION_ID})]
    with pytest.raises(APIError, match=CORRELATION_ID):
        client.fetch()


@pytest.mark.parametrize(
    "body",
    [HTML, b"", b"[]", b"null", b"{}", b'{"url": 1}', b'{"url": "x", "isReady": "yes"}', b"\xff"],
)
def test_success_that_is_not_hubspots_is_no_registration(
    api: HubSpotAPI, client: Client, body: bytes
) -> None:
    api.then = [Reply(body, 200)]
    with pytest.raises(NoAnswer, match="not HubSpot's settings API"):
        client.fetch()


@pytest.mark.parametrize(
    "reply", [Reply(HTML, 200), Reply(b"", 302, {"Location": "https://example.com"})]
)
def test_nothing_is_deleted_where_somebody_else_answers(
    api: HubSpotAPI, client: Client, reply: Reply
) -> None:
    api.register(URL)
    api.then = [reply]
    with pytest.raises(NoAnswer):
        client.delete()
    assert len(api.asked) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://nobody.invalid", "host name was not found|connection failed"),
        ("http://a..b", "cannot be sent"),
        ("http://[::1", "cannot be sent"),
        ("http://127.0.0.1:99999", "cannot be sent"),
    ],
)
def test_wrong_base_url_is_told(url: str, said: str) -> None:
    with pytest.raises(NoAnswer, match=said):
        Client(1, url, api_key=KEY).fetch()


def test_nobody_there_is_told() -> None:
    with refusing() as url, pytest.raises(NoAnswer, match="the connection failed"):
        Client(1, url, api_key=KEY).fetch()


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_api, "TIMEOUT_S", (0.3, 0.3))
    started = time.monotonic()
    with Carrier(does(hang)) as server, pytest.raises(NoAnswer, match="no answer in time"):
        Client(1, server.url, api_key=KEY).fetch()
    assert time.monotonic() - started < 10


def test_timeouts_are_those_of_a_person_who_waits() -> None:
    connect_s, read_s = settings_api.TIMEOUT_S
    assert 1 <= connect_s <= 10
    assert 5 <= read_s <= 30


@pytest.mark.parametrize(
    ("credential", "category"),
    [
        ({"api_key": "wrong-of-tests"}, "INVALID_AUTHENTICATION"),
        ({"access_token": "wrong-of-tests"}, "INVALID_AUTHENTICATION"),
        ({"access_token": EXPIRED}, "EXPIRED_AUTHENTICATION"),
    ],
)
def test_wrong_credential_is_told(
    api: HubSpotAPI, credential: dict[str, str], category: str
) -> None:
    with pytest.raises(APIError) as caught:
        Client(APP_ID, api.url, **credential).fetch()  # type: ignore[arg-type] # by name
    assert (caught.value.status, caught.value.category) == (401, category)


def test_base_url_may_have_a_path_and_a_slash() -> None:
    with Carrier(says({}, 404)) as server:
        Client(7, f"{server.url}/proxy/", api_key=KEY).fetch()
        assert server.asked[0].path.startswith("/proxy/crm/v3/extensions/calling/7/settings")
