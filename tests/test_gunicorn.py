"""The real server, started as the Procfile says."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests

from hubspot.signature import signed_headers
from hubspot.webhook import PATH
from tests.server import ROOT, Server, environ, free_port, procfile, serving

SECRET = "a-secret-of-tests"
STATIC = """
[accounts.desk]
provider = "static"
numbers = [{ number = "+12025550143", name = "Front desk" }]
[portals.62515]
accounts = ["desk"]
"""
BODY = json.dumps({"appId": 1, "portalId": 62515, "userId": 1001}).encode()


def ask(server: Server, path: str = PATH, signed: str | None = None) -> requests.Response:
    """HubSpot's request, signed for another URL if one is given."""
    url = server.url + path
    headers = signed_headers("v3", SECRET, "POST", signed or url, BODY, time.time_ns() // 10**6)
    headers["Content-Type"] = "application/json"
    return requests.post(url, data=BODY, headers=headers, timeout=20)


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


def test_the_raw_path_and_query_are_what_is_verified() -> None:
    settings = {"HUBSPOT_CLIENT_SECRET": SECRET, "DIRECTORY_TOML": STATIC}
    with serving(settings) as server:
        for target in (PATH, f"{PATH}?x=%20%2B%3A&y=%C3%A9", "/hubspot%2Fphone-numbers"):
            assert ask(server, target).status_code == 200, target
        assert ask(server, f"{PATH}?x=1", signed=f"{server.url}{PATH}?x=2").status_code == 401
        assert ask(server, signed=f"https://numbers.example.com{PATH}").status_code == 401
        output = server.output()
    lines = [json.loads(line) for line in output.splitlines() if '"event":"request"' in line]
    assert [line["status"] for line in lines].count(200) == 3
    assert SECRET not in output
    assert "+12025550143" not in output


def test_an_access_log_that_the_platform_turns_on_stays_off() -> None:
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DIRECTORY_TOML": STATIC,
        "GUNICORN_CMD_ARGS": "--access-logfile -",
    }
    with serving(settings) as server:
        ask(server)
        time.sleep(0.2)
        assert all(line.startswith("{") for line in server.output().splitlines())


def test_forwarded_headers_count_only_as_far_as_trusted_proxies_says() -> None:
    for trusted, status in (("1", 200), ("0", 401)):
        settings = {
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "DIRECTORY_TOML": STATIC,
            "TRUSTED_PROXIES": trusted,
            "FORWARDED_ALLOW_IPS": "*",
        }
        with serving(settings) as server:
            outside = server.url.replace("http://", "https://") + PATH
            headers = signed_headers(
                "v3", SECRET, "POST", outside, BODY, time.time_ns() // 1_000_000
            )
            headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
            answer = requests.post(server.url + PATH, data=BODY, headers=headers, timeout=10)
            assert answer.status_code == status


class SlowCarrier:
    """Answers every request with an empty Twilio page, after a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.asked = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "SlowCarrier":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.recv(65_536)
                self.asked.set()
                time.sleep(self._seconds)
                body = b'{"incoming_phone_numbers": [], "next_page_uri": null}'
                client.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_answered_after(stop: signal.Signals) -> None:
    with SlowCarrier(1.5) as carrier:
        settings = {
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "PROVIDER": "twilio",
            "HUBSPOT_PORTAL_IDS": "62515",
            "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000",
            "TWILIO_AUTH_TOKEN": "a-token-of-tests",
            "TWILIO_BASE_URL": carrier.url,
        }
        answers: list[requests.Response] = []
        with serving(settings) as server:
            asking = threading.Thread(target=lambda: answers.append(ask(server)))
            asking.start()
            assert carrier.asked.wait(10)
            server.process.send_signal(stop)
            stopped = time.monotonic()
            asking.join()
            assert server.process.wait(timeout=20) == 0
            assert time.monotonic() - stopped < 12  # graceful_timeout, and a busy machine
            with pytest.raises(requests.ConnectionError):
                ask(server)
        assert [(answer.status_code, answer.json()) for answer in answers] == [
            (200, {"phoneNumbers": []})
        ]


def test_a_faulty_directory_file_stops_neither_new_workers_nor_a_reload(tmp_path: Path) -> None:
    directory = tmp_path / "directory.toml"
    directory.write_text(STATIC)
    settings = {
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "DIRECTORY": str(directory),
        "WEB_CONCURRENCY": "1",
    }
    with serving(settings) as server:
        assert ask(server).status_code == 200
        directory.write_text("[portals")
        for disturb in (kill_worker, reload):
            before = server.output().count("Booting worker")
            disturb(server)
            wait_for_worker(server, before + 1)
            answer = ask(server)
            assert (answer.status_code, len(answer.json()["phoneNumbers"])) == (200, 1)
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
