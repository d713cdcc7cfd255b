"""HubSpot's request: to a server that runs, or to an app in this process with Twilio behind it."""

import json
import time

import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from helpdesk_numbers.webhook import PATH
from hubspot.signature import signed_headers
from tests.support.carrier import SID, TOKEN, can_take_calls, twilio_numbers, twilio_settings

SECRET = "a-secret-of-tests"
DEADLINE_S = 0.6
BUSY_MACHINE_S = 0.5
UNAVAILABLE = (503, "PROVIDER_UNAVAILABLE")


def request(url: str, portal_id: int = 62515, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """Body and headers, signed for that URL."""
    body = json.dumps({"appId": 1, "portalId": portal_id, "userId": 1001}).encode()
    headers = signed_headers("v3", secret, "POST", url, body, time.time_ns() // 1_000_000)
    return body, {**headers, "Content-Type": "application/json"}


def ask_server(
    base: str,
    path: str = PATH,
    portal_id: int = 62515,
    *,
    signed: str = "",
    secret: str = SECRET,
    headers: dict[str, str] | None = None,
) -> requests.Response:
    """The answer of a server at `base`. `signed`: another URL that HubSpot called, it thinks."""
    body, made = request(signed or base + path, portal_id, secret)
    return requests.post(base + path, data=body, headers={**made, **(headers or {})}, timeout=20)


def service(carrier_url: str, **environ: str) -> FlaskClient:
    """The service in one-account mode, with Twilio at `carrier_url`."""
    settings = {"LOOKUP_DEADLINE": str(DEADLINE_S), "LAST_KNOWN_GOOD": "0"}
    app = create_app(
        {"HUBSPOT_CLIENT_SECRET": SECRET, **twilio_settings(carrier_url), **settings, **environ}
    )
    return app.test_client()


def ask(client: FlaskClient) -> TestResponse:
    """The answer of an app."""
    url = f"http://localhost{PATH}"
    body, headers = request(url)
    return client.post(url, data=body, headers=headers)


def assert_fails(client: FlaskClient, status: int, category: str) -> TestResponse:
    """The answer, seen to be this failure, in time, and without anything of the carrier's."""
    started = time.monotonic()
    answer = ask(client)
    assert time.monotonic() - started < DEADLINE_S + 0.5 + BUSY_MACHINE_S
    assert (answer.status_code, answer.json and answer.json["category"]) == (status, category)
    assert answer.json
    assert set(answer.json) == {"status", "message", "correlationId", "category"}
    assert ("Retry-After" in answer.headers) == (status == 503)
    for secret in (TOKEN, SID, "555", "http:", "html", "127.0.0.1"):
        assert secret not in answer.json["message"]
    return answer


def assert_healthy(client: FlaskClient) -> None:
    """The answer is all of the account's twenty numbers that can take calls."""
    answer = ask(client)
    assert answer.status_code == 200
    assert answer.json
    assert [one["e164PhoneNumber"] for one in answer.json["phoneNumbers"]] == [
        one["phone_number"] for one in twilio_numbers(20) if can_take_calls(one)
    ]
    assert answer.headers["Numbers-Source"] == "live"


def count_of(client: FlaskClient) -> tuple[int, int, str | None]:
    """Status, count of numbers, and source of an answer."""
    answer = ask(client)
    numbers = (answer.json or {}).get("phoneNumbers", [])
    return answer.status_code, len(numbers), answer.headers.get("Numbers-Source")


LIVE = (200, 14, "live")
KNOWN = (200, 14, "last-known-good")
