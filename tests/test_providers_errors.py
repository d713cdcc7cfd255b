"""The carriers' own error codes are shown, from where they document them, and nothing else is."""

from typing import Any

import msgspec
import pytest

from providers import HTTPProvider, Secret, load
from providers.base.listing import Answer, carriers_words
from providers.base.provider import Query
from providers.testing import Carrier, Reply

SECRET = "not-a-real-secret-20003"
ID = "b4d2e3f0-7ac1-11ef-a3c8-0242ac110004"


def words(provider: str, body: Any) -> str:
    kind = load(provider)
    assert issubclass(kind, HTTPProvider)
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return carriers_words(
        Answer(400, [], encoded), kind.error_code_at, kind.request_id_at, [SECRET]
    )


@pytest.mark.parametrize(
    ("provider", "body", "shown"),
    [
        ("twilio", {"code": 20003, "message": "Authenticate"}, " with code 20003"),
        ("telnyx", {"errors": [{"code": "10009", "title": "no"}]}, " with code 10009"),
        ("vonage", {"error-code": "401", "error-code-label": "no"}, " with code 401"),
        ("plivo", {"api_id": ID, "error": "authentication failed"}, f", request {ID}"),
        ("plivo", {"api_id": ID, "error_code": 7}, f" with code 7, request {ID}"),
        ("ringcentral", {"errors": [{"errorCode": "OAU-129"}]}, " with code OAU-129"),
        ("ringcentral", {"errorCode": "CMN-301", "message": "x"}, " with code CMN-301"),
        ("ringcentral", {"error": "invalid_grant"}, " with code invalid_grant"),
        ("zoom", {"code": 4711, "message": "no scopes"}, " with code 4711"),
        ("zoom", {"reason": "Bad", "error": "invalid_client"}, " with code invalid_client"),
        (
            "signalwire",
            {"errors": [{"code": "rate_limit_exceeded"}]},
            " with code rate_limit_exceeded",
        ),
        ("signalwire", {"error": "Unauthorized"}, " with code Unauthorized"),
        ("dialpad", {"error": {"code": 401, "message": "no"}}, " with code 401"),
        ("aircall", {"error": "Forbidden", "troubleshoot": "x"}, " with code Forbidden"),
        (
            "bandwidth",
            b"<r><ResponseStatus><ErrorCode> 15511 </ErrorCode></ResponseStatus></r>",
            " with code 15511",
        ),
        ("bandwidth", {"error": "invalid_client"}, " with code invalid_client"),
        ("sinch", {"error": {"code": 404, "status": "NOT_FOUND"}}, " with code NOT_FOUND"),
        (
            "teams",
            {"error": {"code": "forbidden", "innerError": {"request-id": ID}}},
            f" with code forbidden, request {ID}",
        ),
        ("webex", {"errors": [{"errorCode": 4008}]}, " with code 4008"),
        (
            "infobip",
            {"requestError": {"serviceException": {"messageId": "UNAUTHORIZED", "text": "x"}}},
            " with code UNAUTHORIZED",
        ),
        ("acs", {"error": {"code": "Denied", "message": "x"}}, " with code Denied"),
    ],
)
def test_the_carriers_code_and_id_are_shown(provider: str, body: Any, shown: str) -> None:
    assert words(provider, body) == shown


@pytest.mark.parametrize(
    "code",
    [
        SECRET,
        f"key.{SECRET}",
        "a text with blanks",
        "+12025550143",
        "12025550143",
        "anna@acme.example",
        "https://x.example",
        "x" * 60,
        True,
        None,
        {},
        [],
        1.5,
        "line\nbreak",
    ],
)
def test_what_is_no_code_is_not_shown(code: Any) -> None:
    assert words("twilio", {"code": code}) == ""
    assert words("plivo", {"api_id": code}) == ""


@pytest.mark.parametrize("body", [b"", b"[", b"<html>", b"null", b"[1]", b'"text"', b"\xff"])
def test_a_body_of_any_kind_is_survived(body: bytes) -> None:
    for provider in ("telnyx", "zoom", "bandwidth"):
        assert words(provider, body) == ""


def test_a_token_endpoints_own_code_is_shown() -> None:
    with Carrier(lambda _: Reply({"error": "invalid_client"}, 400)) as carrier:
        kind: Any = load("zoom")
        options = kind.Options(
            base_url=carrier.url,
            oauth_url=f"{carrier.url}/token",
            account_id="a",
            client_id="b",
            client_secret=Secret(SECRET),
        )
        with pytest.raises(Exception, match="answered 400 with code invalid_client"):
            kind(options, "acme").ask(Query())
