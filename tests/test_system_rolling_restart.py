"""Real servers are stopped, killed and replaced while they are asked without a pause."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from helpdesk_numbers.webhook import PATH
from providers.testing.carrier import Asked, Carrier, Reply
from tests.support.asking import SECRET, request
from tests.support.carrier import TwilioAPI, twilio_settings
from tests.support.server import ROOT, environ, free_port, procfile, serving
from tests.test_system_gunicorn import kill_worker, wait_for_worker

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
OUTSIDE = "https://numbers.example.com"
CALLERS = 6

# As docs/operating.md tells it.
NGINX_CONF = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream numbers {{
        server 127.0.0.1:{first} max_fails=0;
        server 127.0.0.1:{second} max_fails=0;
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://numbers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_next_upstream error timeout non_idempotent;
            proxy_next_upstream_tries 2;
            proxy_connect_timeout 1s;
            proxy_read_timeout 10s;
        }}
    }}
}}
"""


class Load:
    """Callers who ask as HubSpot does, one request after another, until the block ends or each has
    asked 1,000 times. `kept`: over connections that they keep."""

    def __init__(self, url: str, *, kept: bool) -> None:
        self.outcomes: list[str] = []
        self._url, self._kept = url, kept
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.go_on(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def go_on(self, count: int) -> None:
        """Return after so many more answers."""
        goal, deadline = len(self.outcomes) + count, time.monotonic() + 20
        while len(self.outcomes) < goal and time.monotonic() < deadline:
            time.sleep(0.01)

    def count(self) -> Counter[str]:
        return Counter(self.outcomes)

    def _call(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(1000):
                if self._stop.is_set():
                    return
                self.outcomes.append(self._ask(session))
                time.sleep(0.02)

    def _ask(self, session: requests.Session) -> str:
        body, headers = request(OUTSIDE + PATH)
        if not self._kept:
            headers["Connection"] = "close"
        try:
            answer = session.post(self._url + PATH, data=body, headers=headers, timeout=20)
        except requests.RequestException as error:
            return type(error).__name__
        if answer.status_code != 200:
            return str(answer.status_code)
        return f"200 with {len(answer.json()['phoneNumbers'])}"


GOOD = "200 with 14"
BROKEN_OFF = "ConnectionError", "ChunkedEncodingError"  # before the head, and after it


@pytest.fixture
def settings(twilio: TwilioAPI) -> Iterator[dict[str, str]]:
    """The service's, in front of a carrier that takes a tenth of a second."""

    def answer(asked: Asked) -> Reply:
        time.sleep(0.1)
        return twilio(asked)

    with Carrier(answer) as carrier:
        yield {
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "PUBLIC_URL": OUTSIDE,
            "WEB_CONCURRENCY": "2",
            **twilio_settings(carrier.url),
        }


def test_a_worker_that_is_killed_loses_its_own_requests_only(settings: dict[str, str]) -> None:
    with serving(settings) as server, Load(server.url, kept=False) as load:
        booted = server.output().count("Booting worker")
        kill_worker(server)
        load.go_on(20)
        wait_for_worker(server, booted + 1)
        lost = len(load.outcomes) - load.count()[GOOD]
        load.go_on(40)
    assert lost <= CALLERS
    assert len(load.outcomes) - load.count()[GOOD] == lost
    assert set(load.count()) <= {GOOD, *BROKEN_OFF}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_when_it_stops_under_load_all_that_it_has_begun_is_answered(
    settings: dict[str, str], stop: signal.Signals
) -> None:
    with serving(settings) as server, Load(server.url, kept=False) as load:
        server.process.send_signal(stop)
        assert server.process.wait(timeout=20) == 0
        load.go_on(CALLERS)
        begun = server.output().count('"event":"request"')
    assert set(load.count()) == {GOOD, "ConnectionError"}  # then nobody listens any more
    assert load.count()[GOOD] == begun


@contextmanager
def instance(port: int, settings: dict[str, str], log: Path) -> Iterator[None]:
    """One instance as the Procfile starts it, up; stopped at the end as a platform does."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            procfile(),
            cwd=ROOT,
            env=environ({**settings, "PORT": str(port), "WEB_CONCURRENCY": "1"}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_up(f"http://127.0.0.1:{port}")
        yield
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0, log.read_text()


@contextmanager
def nginx(folder: Path, ports: tuple[int, int]) -> Iterator[str]:
    """The URL of a proxy in front of two ports."""
    assert NGINX
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        NGINX_CONF.format(folder=folder, port=port, first=ports[0], second=ports[1])
        + ("user root;\n" if os.geteuid() == 0 else "")
    )
    error_log = folder / "error.log"
    with (folder / "nginx.out").open("wb") as output:
        process = subprocess.Popen(
            [NGINX, "-e", str(error_log), "-p", str(folder), "-c", str(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_up(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_up(url: str) -> None:
    for _ in range(300):
        try:
            if requests.get(f"{url}/healthz", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"nothing at {url}")


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_no_request_fails_while_two_instances_behind_nginx_are_replaced(
    settings: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "service.log"
    ports = free_port(), free_port()
    with ExitStack() as stack:
        old = [stack.enter_context(ExitStack()) for _ in ports]
        for one, port in zip(old, ports, strict=True):
            one.enter_context(instance(port, settings, log))
        url = stack.enter_context(nginx(tmp_path, ports))
        with Load(url, kept=True) as load:
            for one, port in zip(old, ports, strict=True):
                one.close()
                load.go_on(20)
                stack.enter_context(instance(port, settings, log))
                load.go_on(20)
    assert len(load.outcomes) > 100
    assert load.count() == {GOOD: len(load.outcomes)}, (tmp_path / "error.log").read_text()
