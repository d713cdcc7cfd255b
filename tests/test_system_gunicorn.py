"""The real server, started as the Procfile says."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from helpdesk_numbers.webhook import PATH
from providers.testing.carrier import Asked, Carrier, Reply
from tests.support.asking import SECRET, ask_server
from tests.support.carrier import twilio_settings
from tests.support.server import ROOT, Server, environ, free_port, procfile, serving

STATIC = """
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Front desk" }]
[portals.62515]
accounts = ["desk"]
"""


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        (
            {"PORT": "http", "LOOKUP_DEADLINE": "soon", "DIRECTORY_TOML": STATIC},
            ["HUBSPOT_CLIENT_SECRET: missing", "PORT: ", "LOOKUP_DEADLINE: "],
        ),
        (
            {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": '[portals.x]\naccounts = ["y"]'},
            ["portals.x: not an id", "portals.x.accounts[0]: no account 'y'"],
        ),
        (
            {"HUBSPOT_CLIENT_SECRET": SECRET, "PROVIDER": "twilio", "TWILIO_AUTH_TOKEN": "t0ken"},
            ["TWILIO_ACCOUNT_SID: missing", "HUBSPOT_PORTAL_IDS: missing"],
        ),
    ],
)
def test_a_bad_configuration_stops_the_start_with_one_message_that_names_every_fault(
    settings: dict[str, str], faults: list[str]
) -> None:
    done = subprocess.run(
        procfile(),
        cwd=ROOT,
        env=environ({"PORT": str(free_port()), **settings}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("the configuration is not usable") == 1
    assert all(fault in done.stderr for fault in faults)
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    assert "t0ken" not in done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server on a platform that turns the access log on and trusts every proxy."""
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DIRECTORY_TOML": STATIC,
        "GUNICORN_CMD_ARGS": "--access-logfile -",
        "FORWARDED_ALLOW_IPS": "*",
    }
    with serving(settings) as running:
        yield running


def test_the_raw_path_and_query_are_what_is_verified(server: Server) -> None:
    before = len(server.output())
    for target in (PATH, f"{PATH}?x=%20%2B%3A&y=%C3%A9", "/hubspot%2Fphone-numbers"):
        assert ask_server(server.url, target).status_code == 200, target
    url = server.url + PATH
    assert ask_server(server.url, f"{PATH}?x=1", signed=f"{url}?x=2").status_code == 401
    assert ask_server(server.url, signed=f"https://numbers.example.com{PATH}").status_code == 401
    output = server.output()[before:]
    lines = [json.loads(line) for line in output.splitlines() if '"event":"request"' in line]
    assert [line["status"] for line in lines].count(200) == 3
    assert SECRET not in output
    assert "+12025550143" not in output


def test_an_access_log_that_the_platform_turns_on_stays_off(server: Server) -> None:
    ask_server(server.url)
    time.sleep(0.2)
    assert all(line.startswith("{") for line in server.output().splitlines())


def forwarded(server: Server) -> int:
    """The status of a request to a proxy that ends TLS."""
    outside = server.url.replace("http://", "https://") + PATH
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    return ask_server(server.url, signed=outside, headers=headers).status_code


def test_forwarded_headers_count_only_as_far_as_trusted_proxies_says(server: Server) -> None:
    assert forwarded(server) == 200
    settings = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": STATIC, "TRUSTED_PROXIES": "0"}
    with serving(settings | {"FORWARDED_ALLOW_IPS": "*"}) as trusting_nobody:
        assert forwarded(trusting_nobody) == 401


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_answered_after(stop: signal.Signals) -> None:
    asked = threading.Event()

    def slowly(_: Asked) -> Reply:
        asked.set()
        time.sleep(0.7)
        return Reply({"incoming_phone_numbers": [], "next_page_uri": None})

    with Carrier(slowly) as carrier:
        settings = {
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "WEB_CONCURRENCY": "2",
            **twilio_settings(carrier.url),
        }
        answers: list[requests.Response] = []
        with serving(settings) as server:
            asking = threading.Thread(target=lambda: answers.append(ask_server(server.url)))
            asking.start()
            assert asked.wait(10)
            server.process.send_signal(stop)
            stopped = time.monotonic()
            asking.join()
            assert server.process.wait(timeout=20) == 0
            assert time.monotonic() - stopped < 12  # graceful_timeout, and a busy machine
            with pytest.raises(requests.ConnectionError):
                ask_server(server.url)
        assert [(answer.status_code, answer.json()) for answer in answers] == [
            (200, {"phoneNumbers": []})
        ]


def test_a_faulty_directory_file_stops_neither_a_new_worker_nor_a_reload_but_their_answers(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "directory.toml"
    directory.write_text(STATIC)
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DIRECTORY": str(directory),
        "WEB_CONCURRENCY": "1",
    }
    with serving(settings) as server:
        assert ask_server(server.url).status_code == 200
        directory.write_text("[portals")
        for disturb in (kill_worker, reload):
            before = server.output().count("Booting worker")
            disturb(server)
            wait_for_worker(server, before + 1)
            answer = ask_server(server.url)
            assert (answer.status_code, answer.json()["category"]) == (503, "DIRECTORY_REFUSED")
        assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 503


def kill_worker(server: Server) -> None:
    children = subprocess.check_output(["pgrep", "-P", str(server.process.pid)], text=True)
    os.kill(int(children.split()[0]), signal.SIGKILL)


def reload(server: Server) -> None:
    server.process.send_signal(signal.SIGHUP)


def wait_for_worker(server: Server, count: int) -> None:
    """Return once so many workers have been started in all, and the last has had time to listen."""
    deadline = time.monotonic() + 20
    while server.output().count("Booting worker") < count and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
