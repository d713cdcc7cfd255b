"""The service under test, and requests signed as HubSpot signs them."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from app import create_app
from helpdesk_numbers.log_lines import JSONFormatter, TextFormatter
from helpdesk_numbers.webhook import PATH
from hubspot.signature import Version, signed_headers
from providers.base import transport
from providers.testing.carrier import Carrier
from tests.support.carrier import SID, TOKEN, TwilioAPI, twilio_numbers
from tests.support.https import make_certificate
from tests.support.hubspot_api import HubSpotAPI
from tests.support.postgres import new_database, postgres

# A busy machine may take its time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

DIRECTORY = """
[accounts.front-desk]
provider = "static"
numbers = [
    { number = "+1 202 555 0143", name = "Front desk" },
    { number = "+12025550100", extension = "7", name = "Back office" },
]

[accounts.support]
provider = "static"
country = "US"
numbers = [{ number = "(202) 555-0171" }]

[portals.62515]
accounts = ["front-desk", "support"]

[portals.62515.user.1002]
names = ["Front*"]

[portals.70000]
accounts = ["front-desk"]
users = "none"
"""


@pytest.fixture
def environ() -> dict[str, str]:
    return {
        "HUBSPOT_CLIENT_SECRET": "test-secret-not-a-real-one",
        "HUBSPOT_APP_ID": "54321",
        "DIRECTORY_TOML": DIRECTORY,
    }


@pytest.fixture(autouse=True)
def no_log_outlives_its_test() -> Iterator[None]:
    """Else the next test's lines go to the standard error of this one, which is closed by then."""
    yield
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, JSONFormatter | TextFormatter):
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/numbers.db"
    return new_database(request.getfixturevalue("postgres_server"), f"t{time.monotonic_ns()}")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """To this machine itself, whatever its own settings are."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    transport.idle_handles.cache_clear()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What a hanging account waits for, so that it ends with the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def twilio() -> TwilioAPI:
    """Twilio, with one account of twenty numbers."""
    api = TwilioAPI()
    api.add_account(SID, TOKEN, twilio_numbers(20))
    return api


@pytest.fixture
def carrier(twilio: TwilioAPI) -> Iterator[Carrier]:
    with Carrier(twilio) as made:
        yield made


@pytest.fixture
def api() -> Iterator[HubSpotAPI]:
    """HubSpot's settings API."""
    with HubSpotAPI() as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of tests.support.https.HOST."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def app(environ: dict[str, str]) -> Flask:
    return create_app(environ)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def post(request: pytest.FixtureRequest, environ: dict[str, str]) -> Callable[..., TestResponse]:
    """Sends a request that HubSpot could have sent; each argument puts one part of it askew.

    The app is made at the first one, so that a test can still change `environ`.
    """

    def send(
        body: object = None,
        *,
        target: str = PATH,  # on the request line
        url: str | None = None,  # that is signed
        secret: str | None = None,
        version: Version = "v3",
        method: str = "POST",
        age_ms: int = 0,
        headers: Mapping[str, str | list[str] | None] | None = None,  # None: left out
        content_type: str | None = "application/json",
        client: FlaskClient | None = None,
        **more: Any,  # for the client
    ) -> TestResponse:
        if body is None:
            body = {"appId": 54321, "portalId": 62515, "userId": 1001}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        now_ms = time.time_ns() // 1_000_000 - age_ms
        signed = url or f"http://localhost{target}"
        key = secret or environ["HUBSPOT_CLIENT_SECRET"]
        sent = Headers(signed_headers(version, key, method, signed, raw, now_ms))
        for name, value in (headers or {}).items():
            values = [value] if isinstance(value, str) else value or []
            sent.setlist(name, values)
        client = client or request.getfixturevalue("client")
        return client.open(
            target, method=method, data=raw, headers=sent, content_type=content_type, **more
        )

    return send
