"""A carrier's bad day, end to end: the service in front of a real server on a real socket.

Where each fault of a carrier, a clock or a process is shown to be survived:

| fault | test |
|---|---|
| hang, drip, reset, 500, HTML, truncated JSON | test_faults.py: `test_fault` |
| endless pages, gigantic page | test_faults.py: `test_fault` |
| refused connection, DNS failure | test_faults.py: `…refused_connection…`, `…unknown_host…` |
| TLS failure | here, and test_providers_http.py: `…https_url_without_tls…` |
| 429 with and without Retry-After | test_faults.py: `test_a_rate_limit_is_passed_on`, and here |
| 500 storm, carrier back after an outage | here |
| one account hangs, half the answers slow | here |
| clock jump, start with every carrier down | here |
| SIGTERM and SIGINT with requests in flight | test_gunicorn.py |
| worker killed, SIGTERM, rolling restart, all under load | test_rolling_restart.py |
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from helpdesk_numbers.lookup import breaker
from providers.testing.carrier import Answer, Asked, Carrier, Reply, break_off, hang, reset
from tests.support.asking import (
    DEADLINE_S,
    KNOWN,
    LIVE,
    SECRET,
    UNAVAILABLE,
    ask_server,
    assert_fails,
    count_of,
    service,
)
from tests.support.carrier import (
    SID,
    TOKEN,
    TwilioAPI,
    does,
    refusing,
    says,
    twilio_account,
    twilio_numbers,
)
from tests.support.server import serving


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of the breaker that a test can wait for."""
    monkeypatch.setattr(breaker, "MIN_OPEN_S", 0.4)
    monkeypatch.setattr(breaker, "MAX_OPEN_S", 0.4)


def slowly(answer: Answer, seconds: float) -> Answer:
    def answering(asked: Asked) -> Any:
        time.sleep(seconds)
        return answer(asked)

    return answering


# Shared calls


def test_five_hundred_callers_at_once_cost_one_listing(carrier: Carrier, twilio: TwilioAPI) -> None:
    everybody = threading.Barrier(500)
    carrier.answer = slowly(twilio, 0.8)
    client = service(carrier.url, LOOKUP_DEADLINE="20", WEB_THREADS="500")

    def call(_: int) -> Any:
        everybody.wait(30)
        return count_of(client.application.test_client())

    with ThreadPoolExecutor(500) as callers:
        answers = list(callers.map(call, range(500)))
    assert answers == [LIVE] * 500
    # A machine too busy to start them all within the first listing may need some more.
    assert len(carrier.asked) <= 4


def test_users_with_rules_of_their_own_cost_two_listings(
    carrier: Carrier, twilio: TwilioAPI
) -> None:
    shown = [one["phone_number"] for one in twilio_numbers(20) if one["voice_receive_mode"]]
    rules = '[portals.62515]\naccounts = ["acme"]\n' + "".join(
        f'[portals.62515.user.{1001 + user}]\nnumbers = ["{number}"]\n'
        for user, number in enumerate(shown)
    )
    carrier.answer = slowly(twilio, 0.5)
    toml = twilio_account("acme", carrier.url) + rules
    client = service(
        carrier.url, LOOKUP_DEADLINE="4", WEB_THREADS=str(len(shown)), DIRECTORY_TOML=toml
    )
    lookup = client.application.extensions["helpdesk_numbers"].lookup

    with ThreadPoolExecutor(len(shown)) as callers:
        results = list(
            callers.map(lambda user: lookup.look_up(62515, user), range(1001, 1001 + len(shown)))
        )
    assert {result.source for result in results} == {"live"}
    for number, result in zip(shown, results, strict=True):
        assert [one.e164 for one in result.numbers] in ([number], [])
    assert sum(len(result.numbers) for result in results) >= 10
    assert len(carrier.asked) == 2


# Last known good


@pytest.mark.parametrize(
    "fault",
    [does(hang), does(reset), does(break_off), says(b"", 500), says(b"<html>"), says(b"", 429)],
)
def test_the_last_good_answer_stands_in_and_the_log_says_how_old_it_is(
    carrier: Carrier, fault: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    assert count_of(client) == LIVE
    carrier.answer = fault
    assert count_of(client) == KNOWN
    live, known = map(json.loads, capsys.readouterr().err.splitlines())
    assert (live["source"], known["source"]) == ("live", "last-known-good")
    assert "age_s" not in live["accounts"][0]
    assert 0 <= known["accounts"][0]["age_s"] < 60
    assert known["accounts"][0]["outcome"] in ("unreachable", "unreadable", "rate_limited")


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_end_it_at_once_and_for_good(carrier: Carrier, status: int) -> None:
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    assert count_of(client) == LIVE
    carrier.answer = says({"code": 20003}, status)
    assert_fails(client, 502, "PROVIDER_ERROR")
    carrier.answer = says(b"", 500)
    for _ in range(4):
        assert_fails(client, *UNAVAILABLE)


@pytest.mark.parametrize("status", [400, 404])
def test_a_refusal_that_is_not_about_credentials_does_not_end_it(
    carrier: Carrier, status: int
) -> None:
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    assert count_of(client) == LIVE
    carrier.answer = says({"code": 20404}, status)
    assert count_of(client) == KNOWN


def test_zero_turns_it_off(carrier: Carrier) -> None:
    client = service(carrier.url, LAST_KNOWN_GOOD="0")
    assert count_of(client) == LIVE
    carrier.answer = says(b"", 500)
    assert_fails(client, *UNAVAILABLE)


# The breaker


def test_a_storm_of_500_costs_the_carrier_three_requests(carrier: Carrier) -> None:
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    assert count_of(client) == LIVE
    carrier.answer = says(b"", 500)
    asked = len(carrier.asked)
    assert [count_of(client) for _ in range(30)] == [KNOWN] * 30
    assert len(carrier.asked) - asked == 3


def test_once_it_is_open_a_carrier_that_hangs_is_answered_for_at_once(carrier: Carrier) -> None:
    carrier.answer = does(hang)
    client = service(carrier.url, LOOKUP_DEADLINE="0.2")
    for _ in range(3):
        assert_fails(client, *UNAVAILABLE)
    started = time.monotonic()
    for _ in range(10):
        answer = assert_fails(client, *UNAVAILABLE)
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
    assert time.monotonic() - started < 1  # of 2, had it been asked


@pytest.mark.usefixtures("short")
def test_after_an_outage_answers_are_live_again_with_the_first_trial(
    carrier: Carrier, twilio: TwilioAPI
) -> None:
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    assert count_of(client) == LIVE
    carrier.answer = does(reset)
    for _ in range(10):
        assert count_of(client) == KNOWN
    carrier.answer = twilio
    back = time.monotonic()
    while count_of(client) == KNOWN and time.monotonic() - back < 10:
        time.sleep(0.02)
    assert time.monotonic() - back < 0.4 + 1
    assert count_of(client) == LIVE


def test_a_rate_limit_with_retry_after_is_respected_from_the_first(
    carrier: Carrier, twilio: TwilioAPI
) -> None:
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    assert count_of(client) == LIVE
    carrier.answer = says({"code": 20429}, 429, Retry_After="1")
    assert count_of(client) == KNOWN
    carrier.answer = twilio
    assert count_of(client) == KNOWN
    time.sleep(1.05)
    assert count_of(client) == LIVE
    assert len(carrier.asked) == 3


# The share of threads


def both(sick: str, well: str) -> str:
    """The directory of two portals: 62516's account is the sick one."""
    return (
        twilio_account("sick", sick)
        + twilio_account("well", well)
        + '[portals.62515]\naccounts = ["well"]\n[portals.62516]\naccounts = ["sick"]\n'
    )


def test_other_portals_do_not_notice_an_account_that_hangs(
    carrier: Carrier,
) -> None:
    """The real server with eight threads, and twice as many callers for the hanging account."""
    with Carrier(does(hang)) as sick:
        settings = {
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "DIRECTORY_TOML": both(sick=sick.url, well=carrier.url),
            "WEB_THREADS": "8",
            "LOOKUP_DEADLINE": "4",
        }
        stop = threading.Event()
        with serving(settings) as server, ThreadPoolExecutor(16) as callers:

            def ask_sick() -> None:
                while not stop.is_set():
                    post(server.url, 62516)

            try:
                for _ in range(16):
                    callers.submit(ask_sick)
                assert wait_for(lambda: len(sick.asked) > 0)
                time.sleep(2.2)  # until those who wait do not count any more
                started, answers = time.monotonic(), []
                while time.monotonic() - started < 1.2:
                    before = time.monotonic()
                    answers.append((post(server.url, 62515), time.monotonic() - before))
            finally:
                stop.set()
    assert {status for (status, _), _ in answers} == {200}
    assert {source for (_, source), _ in answers} == {"live"}
    assert len(answers) > 5
    assert sorted(seconds for _, seconds in answers)[len(answers) // 2] < 0.5


def post(url: str, portal_id: int) -> tuple[int, str | None]:
    """Status and source of the answer to HubSpot's request, sent to a real server."""
    answer = ask_server(url, portal_id=portal_id)
    return answer.status_code, answer.headers.get("Numbers-Source")


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_when_half_the_answers_are_slow_all_are_live(carrier: Carrier, twilio: TwilioAPI) -> None:
    turns = iter(range(1000))
    slow = slowly(twilio, 0.3)
    carrier.answer = lambda asked: (slow if next(turns) % 2 else twilio)(asked)
    client = service(carrier.url, LOOKUP_DEADLINE="4")
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: count_of(client.application.test_client()), range(32)))
    assert answers == [LIVE] * 32


# The rest of the bad days


@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
def test_failing_tls_is_unavailable_and_costs_one_connection(carrier: Carrier) -> None:
    def plain(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    carrier.greeting = plain
    assert_fails(service(f"https://127.0.0.1:{carrier.port}"), *UNAVAILABLE)
    assert carrier.connections == 1


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_a_jump_of_the_clock_changes_nothing(
    carrier: Carrier, twilio: TwilioAPI, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    """Neither ages nor pauses nor deadlines: what stands in and what is left alone stays so."""
    right, right_ns, ahead_s = time.time, time.time_ns, 0
    monkeypatch.setattr(time, "time", lambda: right() + ahead_s)
    monkeypatch.setattr(time, "time_ns", lambda: right_ns() + ahead_s * 10**9)
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    assert count_of(client) == LIVE
    carrier.answer = says(b"", 500)
    assert [count_of(client) for _ in range(5)] == [KNOWN] * 5
    asked = len(carrier.asked)
    ahead_s = jump_s
    assert count_of(client) == KNOWN
    assert len(carrier.asked) == asked
    carrier.answer = twilio
    time.sleep(0.45)
    assert count_of(client) == LIVE
    carrier.answer = does(hang)
    started = time.monotonic()
    assert count_of(client) == KNOWN
    assert 0.9 * DEADLINE_S < time.monotonic() - started < 3


def test_the_service_starts_and_is_healthy_while_every_carrier_is_down() -> None:
    with refusing() as url:
        settings = {
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "DIRECTORY_TOML": both(sick=url, well=url),
        }
        with serving(settings) as server:
            assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
            assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 200
            assert post(server.url, 62515) == (503, None)


def test_a_half_read_listing_stands_in_for_nobody(carrier: Carrier) -> None:
    """Nor is it kept: half an account would look like a whole one."""
    large = TwilioAPI()
    large.add_account(SID, TOKEN, twilio_numbers(1500))
    client = service(carrier.url, LAST_KNOWN_GOOD="60")
    carrier.answer = lambda asked: large(asked) if "Page" not in asked.params else Reply(b"", 500)
    for _ in range(2):
        assert_fails(client, *UNAVAILABLE)
