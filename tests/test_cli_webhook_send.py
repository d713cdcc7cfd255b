"""`flask webhook send`, against the real server and against strangers."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from helpdesk_numbers.webhook import PATH
from providers.testing.carrier import Carrier, Reply
from tests.support.commands import Done, flask, here
from tests.support.server import Server, free_port, serving
from tests.test_cli_numbers import SETTINGS

WHO = ("--portal-id", "62515", "--user-id", "1001")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(SETTINGS | {"HUBSPOT_SIGNATURE_VERSIONS": "v3,v2,v1"}) as running:
        yield running


def send(url: str, *arguments: str, **settings: str) -> Done:
    return here(SETTINGS | settings, "webhook", "send", *WHO, "--url", url, *arguments)


@pytest.mark.parametrize("version", ["v3", "v2", "v1"])
def test_send_shows_the_drop_down(server: Server, version: str) -> None:
    done = send(server.url, "--signature", version)
    assert done.returncode == 0
    assert f"POST {server.url}{PATH}\n200 OK, signed with {version}, " in done.stdout
    assert "within HubSpot's 5 s, live" in done.stdout
    assert "Customer Su…ort – Berlin" in done.stdout
    assert "not selectable: extension 7" in done.stdout


def test_send_asks_for_the_only_portal_if_none_is_named() -> None:
    toml = SETTINGS["DIRECTORY_TOML"].partition("[portals.62516]")[0]
    with answering((200, "application/json", EMPTY)) as url:
        done = here(
            SETTINGS | {"DIRECTORY_TOML": toml}, "webhook", "send", "--user-id", "1", "--url", url
        )
    assert done.returncode == 0
    assert "flask numbers --portal-id 62515 --user-id 1 --explain" in done.stdout


def test_send_without_a_directory_wants_to_know_the_portal() -> None:
    done = here({"HUBSPOT_CLIENT_SECRET": "x"}, "webhook", "send", "--user-id", "1")
    assert done.returncode == 2
    assert "give --portal-id" in done.stderr


def test_send_takes_the_whole_url_too(server: Server) -> None:
    done = send(server.url + PATH, "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, 200)


def test_send_with_the_wrong_secret_fails_and_shows_the_answer(server: Server) -> None:
    wrong = "another-secret-of-tests"
    done = send(server.url, HUBSPOT_CLIENT_SECRET=wrong)
    assert done.returncode == 1
    assert "401" in done.stdout
    assert "INVALID_AUTHENTICATION" in done.stdout
    assert "flask webhook explain --from-log FILE" in done.stdout
    assert wrong not in done.stdout + done.stderr


def test_send_to_this_machine_signs_for_the_public_url() -> None:
    settings = SETTINGS | {"PUBLIC_URL": "https://numbers.example.com"}
    with serving(settings) as server:
        done = send(server.url, PUBLIC_URL=settings["PUBLIC_URL"])
        refused = send(server.url, "--signature", "v2", "--json")
    assert done.returncode == 0
    assert f"signed for {settings['PUBLIC_URL']}{PATH}" in done.stdout
    assert refused.returncode == 1, "v2 is not accepted by default"
    assert json.loads(refused.stdout)["status"] == 401


def test_this_machine_is_recognised_without_a_port_too(monkeypatch: pytest.MonkeyPatch) -> None:
    public = {"PUBLIC_URL": "https://numbers.example.com"}
    with serving(SETTINGS | public) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)  # for nothing listens at port 80 here
        monkeypatch.setenv("NO_PROXY", "")
        for url in ("http://localhost", "http://127.0.0.1/", "http://[::1]/", "http://LOCALHOST"):
            done = send(url, **public)
            assert done.returncode == 0, url
            assert "signed for https://numbers.example.com/" in done.stdout


def test_send_to_nobody_says_so() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = flask(SETTINGS, "webhook", "send", *WHO, "--url", url)
    assert done.returncode == 1
    assert f"no answer from {url}" in done.stderr
    assert "it was refused; is `make run` running?" in done.stderr
    assert "Traceback" not in done.stderr


def test_send_to_an_unknown_host_says_that_it_is_unknown() -> None:
    done = send("https://nobody.invalid")
    assert done.returncode == 1
    assert "the host name was not found; does the service run there?" in done.stderr


def test_send_to_nobody_is_told_as_json_too() -> None:
    done = send(f"http://127.0.0.1:{free_port()}", "--json")
    assert done.returncode == 1
    assert "no answer from http://127.0.0.1:" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("url", ["numbers.example.com", "ftp://x.example", "http://", "https://["])
def test_send_to_what_is_no_url_says_so(url: str) -> None:
    done = send(url)
    assert done.returncode == 2
    assert "--url" in done.stderr
    assert "Traceback" not in done.stderr


def test_send_without_a_secret_says_what_is_missing() -> None:
    url = "http://127.0.0.1:1"
    done = here({}, "webhook", "send", *WHO, "--url", url)
    assert done.returncode == 1
    assert "HUBSPOT_CLIENT_SECRET: missing" in done.stderr


def test_repeat_prints_the_spread(server: Server) -> None:
    done = send(server.url, "--repeat", "7")
    assert done.returncode == 0
    assert "7 requests, 0 failed: fastest " in done.stdout
    assert " median " in done.stdout
    data = json.loads(send(server.url, "--repeat", "3", "--json").stdout)
    assert len(data["allMs"]) == 3
    assert min(data["allMs"]) <= data["ms"] <= max(data["allMs"])


def test_repeat_with_a_failure_among_them_fails() -> None:
    with answering((200, "application/json", EMPTY), (503, "application/json", BUSY)) as url:
        done = send(url, "--repeat", "4")
    assert done.returncode == 1
    assert "4 requests, 2 failed" in done.stdout
    assert "503" in done.stdout


EMPTY = '{"phoneNumbers": []}'
BUSY = (
    '{"status":"error","message":"The phone provider asks us to wait.",'
    '"correlationId":"b3a0aaef-ab87-4b00-a344-673f41ff7635","category":"PROVIDER_UNAVAILABLE"}'
)


@contextmanager
def answering(*answers: tuple[int, str, str]) -> Iterator[str]:
    """A server that gives these answers in turn, again and again, each with Retry-After: 17."""
    turns = itertools.cycle(
        Reply(body.encode(), status, {"Content-Type": kind, "Retry-After": "17"})
        for status, kind, body in answers
    )
    with Carrier(lambda _: next(turns)) as server:
        yield server.url


HTML = "<!DOCTYPE html><title>Another site</title><p>Welcome"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ((503, "application/json", BUSY), ["503 Service Unavailable", BUSY, "Retry-After: 17"]),
        ((200, "text/html", HTML), ["200 OK", HTML, "another service answers at this URL"]),
        ((200, "application/json", "[1]"), ["[1]", "another service answers at this URL"]),
        ((200, "application/json", '{"phoneNumbers":[{"x":1}]}'), ["another service answers"]),
        ((404, "text/html", HTML), ["404 Not Found", HTML, "no webhook at this URL"]),
        ((301, "text/html", ""), ["301", "register the URL that it leads to"]),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_failure_is_shown_in_full(answer: tuple[int, str, str], shown: list[str]) -> None:
    with answering(answer) as url:
        done = send(url)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for text in shown:
        assert text in done.stdout


def test_failure_as_json_holds_it_too() -> None:
    with answering((503, "application/json", BUSY)) as url:
        data = json.loads(send(url, "--json").stdout)
    assert (data["status"], data["retryAfter"]) == (503, "17")
    assert data["body"]["category"] == "PROVIDER_UNAVAILABLE"


def test_empty_drop_down_says_who_tells_why() -> None:
    with answering((200, "application/json", EMPTY)) as url:
        done = send(url)
    assert done.returncode == 0
    assert "drop-down is empty; `flask numbers --portal-id 62515 --user-id 1001" in done.stdout
