"""What an operator reads, and what must never stand there."""

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app import create_app
from helpdesk_numbers import logs
from helpdesk_numbers.webhook import PATH
from hubspot.signature import OLD_HEADER, TIMESTAMP_HEADER, V3_HEADER, signed_headers
from providers.testing.carrier import Carrier
from tests.support.carrier import HTML, TOKEN, says, twilio_account

Post = Callable[..., TestResponse]

NUMBER = "+12025550143"
# One number in the forms that it may slip into a URL.
WRITTEN = [
    "+12025550143", "%2B12025550143", "%2b12025550143", "12025550143", "2025550143",
    "+1%20202%20555%200143", "+1+202+555+0143", "+1.202.555.0143", "(202)%20555-0143",
    "202-555-0143",
]  # fmt: skip


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], environ: dict[str, str]) -> Lines:
    """The log's lines since the last call, none of which holds a secret or a number."""

    def read() -> list[dict[str, Any]]:
        text = capsys.readouterr().err
        for secret in (*environ["HUBSPOT_CLIENT_SECRET"].split(","), TOKEN):
            assert secret not in text
        digits = re.sub(r"[^\d\n]|%20", "", text)
        assert "2025550" not in digits, text
        return [json.loads(line) for line in text.split("\n")[:-1]]

    return read


def test_success_is_one_line_with_all_that_matters(post: Post, lines: Lines) -> None:
    answer = post()
    [line] = lines()
    assert line.pop("correlation_id") == answer.headers["X-Correlation-Id"]
    assert line.pop("time").endswith("Z")
    assert isinstance(line.pop("ms"), float)
    assert [isinstance(account.pop("ms"), float) for account in line["accounts"]] == [True, True]
    assert line == {
        "level": "INFO",
        "event": "request",
        "method": "POST",
        "path": PATH,
        "status": 200,
        "signature": "v3",
        "portal_id": 62515,
        "user_id": 1001,
        "source": "live",
        "count": 3,
        "why": "user without a rule: all numbers",
        "who": "not needed",
        "accounts": [
            {"name": "front-desk", "provider": "static", "outcome": "ok"},
            {"name": "support", "provider": "static", "outcome": "ok"},
        ],
        "left_out": {},
    }


@pytest.mark.parametrize(
    ("portal_id", "why"),
    [(70000, 'user without a rule, and users = "none"'), (80000, "portal not in the directory")],
)
def test_empty_answer_says_why(post: Post, lines: Lines, portal_id: int, why: str) -> None:
    post({"appId": 54321, "portalId": portal_id, "userId": 1001})
    [line] = lines()
    assert (line["status"], line["count"], line["why"], line["accounts"]) == (200, 0, why, [])


def test_older_signature_is_named(environ: dict[str, str], post: Post, lines: Lines) -> None:
    environ["HUBSPOT_SIGNATURE_VERSIONS"] = "v3,v2"
    assert post(version="v2").status_code == 200
    assert lines()[0]["signature"] == "v2"


def test_another_app_is_named(post: Post, lines: Lines) -> None:
    post({"appId": 999, "portalId": 62515, "userId": 1001})
    [line] = lines()
    assert (line["status"], line["portal_id"], line["user_id"]) == (403, 62515, 1001)
    assert line["reason"] == "for app 999; HUBSPOT_APP_ID is 54321"


PORTALS = """
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Desk +1 202 555 0143" }]
[portals.1]
accounts = ["carrier"]
[portals.2]
accounts = ["carrier", "desk"]
"""
ERROR = {"code": 20003, "message": f"Call {NUMBER}", "detail": TOKEN}


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        (says(ERROR, 401), "refused", "answered 401 with code 20003"),
        (says(ERROR, 429), "rate_limited", "answered 429 with code 20003"),
        (says(ERROR, 500), "unreachable", "answered 500 with code 20003"),
        (says(HTML), "unreadable", None),
    ],
)
@pytest.mark.parametrize("portal_id", [1, 2], ids=["alone", "beside another"])
def test_failed_account_says_how(
    environ: dict[str, str], post: Post, lines: Lines,
    said: Any, outcome: str, reason: str | None, portal_id: int,
) -> None:  # fmt: skip
    with Carrier(said) as server:
        environ["DIRECTORY_TOML"] = twilio_account("carrier", server.url) + PORTALS
        answer = post({"appId": 54321, "portalId": portal_id, "userId": 1001})
    [line] = lines()
    account = line["accounts"][0]
    assert line["status"] == answer.status_code
    assert (account["name"], account["provider"]) == ("carrier", "twilio")
    assert account["outcome"] == outcome
    assert account["reason"] == (reason or account["reason"])


@pytest.mark.parametrize("number", WRITTEN)
@pytest.mark.parametrize("target", ["/{}", PATH + "/{}", PATH + "?to={}", PATH + "?{}=1", "/?{}"])
def test_forged_request_brings_no_number_into_the_log(
    post: Post, lines: Lines, target: str, number: str
) -> None:
    answer = post(target=target.format(number), secret="another")
    [line] = lines()
    assert line["status"] == answer.status_code in (401, 404)
    assert line["correlation_id"] == answer.headers["X-Correlation-Id"]


def test_number_in_body_or_headers_stays_out_of_the_log(post: Post, lines: Lines) -> None:
    for header in (V3_HEADER, TIMESTAMP_HEADER, OLD_HEADER, "User-Agent", "X-Request-Id"):
        post(headers={header: NUMBER})
    post(f'{{"appId": "{NUMBER}"}}'.encode())
    post(f'{{"{NUMBER}": 1, "{NUMBER}": 1}}'.encode())
    post(method=NUMBER)
    assert len(lines()) == 8


def test_unexpected_fault_is_logged_without_its_text(environ: dict[str, str], lines: Lines) -> None:
    app = create_app(environ)

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError(f"{environ['HUBSPOT_CLIENT_SECRET']} {NUMBER} (202) 555-0143")

    app.test_client().get("/broken")
    [line] = lines()
    assert (line["status"], line["error"]) == (500, "RuntimeError")
    assert any(frame.endswith(" broken") for frame in line["frames"])


def test_health_checks_are_not_logged(environ: dict[str, str], lines: Lines) -> None:
    client = create_app(environ).test_client()
    assert client.get("/nowhere").status_code == 404
    assert len(lines()) == 1
    client.get("/healthz")
    client.get("/readyz")
    assert lines() == []


PUBLIC = "https://numbers.example.com"
REMEDIES: list[tuple[dict[str, str], str, str, str, str]] = [
    # settings, target, URL that HubSpot signed, cause, remedy
    ({}, PATH, f"https://localhost{PATH}", "http for https",
     "set PUBLIC_URL=https://localhost (or, without it, TRUSTED_PROXIES to the number of proxies"
     " that set X-Forwarded-Proto)"),
    ({"PUBLIC_URL": "http://numbers.example.com"}, PATH, PUBLIC + PATH, "http for https",
     f"PUBLIC_URL is http://numbers.example.com, and the sender signed for {PUBLIC}: set"
     f" PUBLIC_URL={PUBLIC} only if HubSpot calls that"),
    ({"PUBLIC_URL": PUBLIC}, PATH, f"https://localhost{PATH}",
     "another host (numbers.example.com for localhost)",
     "set PUBLIC_URL=https://localhost only if HubSpot calls that"),
    ({"PUBLIC_URL": PUBLIC}, PATH + "?a=1", f"http://localhost{PATH}?a=1",
     "https for http and another host (numbers.example.com for localhost)",
     f"PUBLIC_URL is {PUBLIC}, and the sender signed for http://localhost: set"
     " PUBLIC_URL=http://localhost only if HubSpot calls that"),
    ({}, PATH, f"http://localhost{PATH}/", "a trailing slash was lost on the way",
     f"register exactly the URL that arrives: flask channel-connection update --url"
     f" http://localhost{PATH}"),
    ({}, PATH + "?a=%20b", f"http://localhost{PATH}?a= b",
     f"another path or query ({PATH}?a=… for {PATH}?a=…)",
     "something in front of the service changes the URL: stop that, or register a URL that is left"
     " unchanged"),
    ({}, "/%68ubspot/phone-numbers", f"http://localhost{PATH}",
     f"another path or query (/%68ubspot/phone-numbers for {PATH})",
     "something in front of the service changes the URL: stop that, or register a URL that is left"
     " unchanged"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "target", "signed", "cause", "remedy"), REMEDIES)
def test_401_names_the_url_and_the_setting_to_change(
    environ: dict[str, str], post: Post, lines: Lines,
    settings: dict[str, str], target: str, signed: str, cause: str, remedy: str,
) -> None:  # fmt: skip
    environ.update(settings)
    assert post(target=target, url=signed).status_code == 401
    [line] = lines()
    assert (line["signature"], line["reason"]) == ("invalid", "signature does not match")
    assert line["url"] == settings.get("PUBLIC_URL", "http://localhost") + target
    assert line["cause"] == cause
    assert remedy in line["remedy"]


def test_remedy_works(environ: dict[str, str], post: Post, lines: Lines) -> None:
    url = f"https://numbers.example.com:8443{PATH}"
    headers = {"Host": "numbers.example.com:8443"}
    assert post(url=url, headers=headers).status_code == 401
    [found] = re.findall(r"PUBLIC_URL=(\S+)", lines()[0]["remedy"])
    again = create_app(environ | {"PUBLIC_URL": found}).test_client()
    assert post(url=url, headers=headers, client=again).status_code == 200


@pytest.mark.parametrize(
    ("changes", "reason", "cause", "remedy"),
    [
        ({"secret": "another"}, "signature does not match", "wrong secret",
         "HUBSPOT_CLIENT_SECRET is not the secret"),
        ({"age_ms": 600_000}, r"timestamp 60\d s old, more than 5 minutes",
         r"the timestamp is 60\d s old", "this machine's clock is wrong: set it by NTP"),
        ({"age_ms": -600_000}, r"timestamp (599|600) s in the future",
         r"the timestamp is (599|600) s in the future", "this machine's clock is wrong"),
        ({"headers": {TIMESTAMP_HEADER: "x"}}, f"{TIMESTAMP_HEADER} is missing or not a time",
         "the timestamp was rewritten on the way", f"have {TIMESTAMP_HEADER} passed on unchanged"),
        ({"headers": {V3_HEADER: None, TIMESTAMP_HEADER: None}}, "no signature header",
         "no signature header arrived",
         f"something in front of the service drops {V3_HEADER}: have it passed on"),
        ({"version": "v2"}, "v2, which HUBSPOT_SIGNATURE_VERSIONS does not accept",
         "signed with v2, which is not accepted", "add v2 to HUBSPOT_SIGNATURE_VERSIONS"),
    ],
    ids=str,
)  # fmt: skip
def test_401_says_what_else_may_be_wrong(
    post: Post, lines: Lines,
    changes: dict[str, Any], reason: str, cause: str, remedy: str,
) -> None:  # fmt: skip
    post(**changes)
    [line] = lines()
    assert re.search(reason, line["reason"])
    assert re.search(cause, line["cause"])
    assert remedy in line["remedy"]
    assert "portal_id" not in line


def test_401_of_a_body_that_was_written_anew_says_so(post: Post, lines: Lines) -> None:
    body = b'{"appId":54321,"portalId":62515,"userId":1001}'
    sent = signed_headers("v3", "test-secret-not-a-real-one", "POST", f"http://localhost{PATH}",
                          body, time.time_ns() // 1_000_000)  # fmt: skip
    answer = post(body.replace(b":", b": ").replace(b",", b", "), headers=sent)
    [line] = lines()
    assert (answer.status_code, line["cause"]) == (
        401, "the body was parsed and written anew on the way",
    )  # fmt: skip


def test_answer_that_is_none_of_the_signatures_has_no_remedy(post: Post, lines: Lines) -> None:
    post()
    post(b"{}")
    post({"appId": 999, "portalId": 62515, "userId": 1001})
    assert not [line for line in lines() if "remedy" in line or "cause" in line]


def test_long_url_is_cut(post: Post, lines: Lines) -> None:
    post(target=f"{PATH}?{'x' * 4000}", secret="another")
    post(target=f"/{'x' * 4000}")
    refused, lost = lines()
    assert (len(refused["url"]), len(lost["path"])) == (500, 200)


def text_of(capsys: pytest.CaptureFixture[str], **fields: Any) -> str:
    logs.set_up("text", "info")
    logging.getLogger("helpdesk_numbers").info("request", extra=fields)
    text: str = capsys.readouterr().err
    return text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (200, "200"),
        ("live", "live"),
        ("two words", "'two words'"),
        ("a\nb", r"'a\nb'"),
        ("a\r\n12:00:00 INFO forged", r"'a\r\n12:00:00 INFO forged'"),
        ("a\u2028b", r"'a\u2028b'"),
        ("\x1b[31mred", r"'\x1b[31mred'"),
        (["a\nb"], r"['a\nb']"),
        ({"name": "a\nb"}, r"{'name': 'a\nb'}"),
        (NUMBER, "+…"),
    ],
)
def test_text_is_one_line_whatever_is_in_it(
    capsys: pytest.CaptureFixture[str], value: object, shown: str
) -> None:
    text = text_of(capsys, field=value)
    assert re.fullmatch(rf"\d\d:\d\d:\d\d INFO request field={re.escape(shown)}\n", text)


def test_request_as_text_is_one_line(
    environ: dict[str, str], post: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    environ["LOG_FORMAT"] = "text"
    post()
    post(target="/a%0Ab%0D%0A12:00:00%20INFO%20forged")
    served, forged = capsys.readouterr().err.splitlines()
    assert " status=200 " in served
    assert " status=404 " in forged


def test_json_is_one_line_whatever_is_in_it(post: Post, lines: Lines) -> None:
    post(target="/a%0Ab%E2%80%A8c%FF%00")
    [line] = lines()
    assert line["path"] == "/a\nb\u2028c\ufffd\0"


@pytest.mark.parametrize(
    ("url", "logged"),
    [
        (
            "https://n-12345678.example.com:8443/a/1234567?b=2",
            "https://n-12345678.example.com:8443/a/…?b=2",
        ),
        ("/portals/62515/123456", "/portals/62515/123456"),
        ("/1-2-3-4-5-6-7", "/…"),
        ("/٠١٢٣٤٥٦٧٨", "/…"),
        ("", ""),
    ],
)
def test_url_is_logged_without_what_may_be_a_number(url: str, logged: str) -> None:
    assert logs.redact(url) == logged


def test_level_is_the_configured_one(environ: dict[str, str], post: Post, lines: Lines) -> None:
    environ["LOG_LEVEL"] = "error"
    post()
    assert lines() == []
