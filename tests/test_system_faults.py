"""The whole service in front of a carrier that misbehaves.

Against each fault: the documented status and category within LOOKUP_DEADLINE + 0.5 s, and then a
healthy request is answered. Another half second is allowed for a busy machine.
"""

import time
from email.utils import formatdate
from typing import Any

import pytest

from providers.testing.carrier import (
    Answer,
    Asked,
    Carrier,
    Reply,
    break_off,
    drip_body,
    hang,
    reset,
)
from tests.support.asking import (
    BUSY_MACHINE_S,
    DEADLINE_S,
    UNAVAILABLE,
    ask,
    assert_fails,
    assert_healthy,
    service,
)
from tests.support.carrier import (
    HTML,
    SID,
    TOKEN,
    TwilioAPI,
    bomb,
    documented,
    does,
    drip_headers,
    pour,
    refusing,
    says,
    twilio_account,
    twilio_numbers,
)

ERROR = (502, "PROVIDER_ERROR")
PAGE = documented("twilio/numbers")
LIST = f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json"


def following(link: str) -> Answer:
    """A page that leads to `link`, and nothing else there."""
    page: dict[str, Any] = PAGE | {"next_page_uri": link}
    return lambda asked: Reply(page) if asked.path == LIST else Reply({"code": 20404}, 404)


def endless(asked: Asked) -> Reply:
    page = int(asked.params.get("Page", 0)) + 1
    return Reply(PAGE | {"next_page_uri": f"{LIST}?Page={page}&PageToken=PA{page}"})


FAULTS: dict[str, tuple[Answer, tuple[int, str]]] = {
    "silence": (does(hang), UNAVAILABLE),
    "dripped headers": (does(drip_headers), UNAVAILABLE),
    "a dripped body": (does(drip_body), UNAVAILABLE),
    "endless pages": (endless, UNAVAILABLE),
    "a reset": (does(reset), UNAVAILABLE),
    "an end within the body": (does(break_off), UNAVAILABLE),
    "500": (says(HTML, 500), UNAVAILABLE),
    "502": (says(HTML, 502), UNAVAILABLE),
    "503": (says(b"", 503, Retry_After="1"), UNAVAILABLE),
    "400": (says({"code": 20001}, 400), ERROR),
    "401": (says(documented("twilio/error"), 401), ERROR),
    "403": (says({"code": 20403}, 403), ERROR),
    "404": (says({"code": 20404}, 404), ERROR),
    "204": (says(status=204), ERROR),
    "a redirect": (says(status=302, Location="/elsewhere"), ERROR),
    "HTML": (says(HTML), ERROR),
    "truncated JSON": (says(b'{"incoming_phone_numbers": [{"phone_number": "+120255'), ERROR),
    "a JSON list": (says([PAGE]), ERROR),
    "null": (says(None), ERROR),
    "another object": (says({"numbers": []}), ERROR),
    "a looping next link": (following(f"{LIST}?Page=1&PageToken=PA1"), ERROR),
    "a next link to itself": (following(f"{LIST}?PageSize=1000"), ERROR),
    "a body without end": (does(pour), ERROR),
    "a decompression bomb": (bomb(64), ERROR),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_fault(carrier: Carrier, twilio: TwilioAPI, kind: str) -> None:
    client = service(carrier.url)
    carrier.answer, (status, category) = FAULTS[kind]
    assert_fails(client, status, category)
    carrier.answer = twilio
    assert_healthy(client)


def test_fault_at_the_second_page(carrier: Carrier) -> None:
    """Half an account's numbers would look like all of them."""
    large = TwilioAPI()
    large.add_account(SID, TOKEN, twilio_numbers(1500))
    client = service(carrier.url)
    carrier.answer = lambda asked: large(asked) if "Page" not in asked.params else hang
    assert_fails(client, *UNAVAILABLE)
    carrier.answer = large
    answer = ask(client)
    assert answer.json
    assert len(answer.json["phoneNumbers"]) == 1050


@pytest.mark.parametrize("greeting", [hang, reset])
def test_fault_before_the_request_is_read(carrier: Carrier, greeting: Any) -> None:
    carrier.greeting = greeting
    client = service(carrier.url)
    assert_fails(client, *UNAVAILABLE)
    carrier.greeting = None
    assert_healthy(client)


def test_a_refused_connection_is_unavailable() -> None:
    with refusing() as url:
        assert_fails(service(url), *UNAVAILABLE)


def test_an_unknown_host_is_unavailable() -> None:
    assert_fails(service("http://twilio.invalid"), *UNAVAILABLE)


@pytest.mark.parametrize("link", ["http://127.0.0.1:{}/x", "//127.0.0.1:{}/x", "@127.0.0.1:{}/x"])
def test_a_next_link_to_another_host_is_not_followed(
    carrier: Carrier, twilio: TwilioAPI, link: str
) -> None:
    with Carrier(twilio) as other:
        client = service(carrier.url)
        carrier.answer = following(link.format(other.port))
        assert_fails(client, *ERROR)
        carrier.answer = twilio
        assert_healthy(client)
        assert other.connections == 0


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 1, 5),
        (formatdate(time.time() + 600, usegmt=True), 300, 600),
        (None, 5, 5),
        ("soon", 5, 5),
    ],
    ids=["seconds", "none", "date", "nothing", "a word"],
)
def test_a_rate_limit_is_passed_on(
    carrier: Carrier, twilio: TwilioAPI, given: str | None, low: int, high: int
) -> None:
    client = service(carrier.url)
    headers = {} if given is None else {"Retry_After": given}
    carrier.answer = says({"code": 20429}, 429, **headers)
    answer = assert_fails(client, *UNAVAILABLE)
    assert low <= int(answer.headers["Retry-After"]) <= high
    carrier.answer = twilio
    if high > 5:  # the carrier said how long, so it is left alone for as long
        again = assert_fails(client, *UNAVAILABLE)
        assert low - 1 <= int(again.headers["Retry-After"]) <= high
    else:
        assert_healthy(client)


DESK = """
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Front desk" }]
[portals.62515]
accounts = ["acme", "desk"]
"""


@pytest.mark.parametrize("fault", [does(drip_body), says(HTML), says(b"", 401)])
def test_the_other_accounts_numbers_still_come(carrier: Carrier, fault: Answer) -> None:
    client = service(carrier.url, DIRECTORY_TOML=twilio_account("acme", carrier.url) + DESK)
    carrier.answer = fault
    started = time.monotonic()
    answer = ask(client)
    assert time.monotonic() - started < DEADLINE_S + 0.5 + BUSY_MACHINE_S
    assert answer.status_code == 200
    assert answer.headers["Numbers-Source"] == "partial"
    assert answer.json == {
        "phoneNumbers": [
            {"e164PhoneNumber": "+12025550143", "extension": None, "friendlyName": "Front desk"}
        ]
    }
