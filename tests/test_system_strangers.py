"""Clients without any secret do not hold up the service. The bar with all figures is
`python -m tests.support.strangers`, and `python -m tests.support.forgeries`."""

import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests

from helpdesk_numbers.webhook import PATH
from providers.testing.carrier import Asked, Carrier, Reply
from tests.support.accounts import wait_until
from tests.support.asking import SECRET, ask_server, request
from tests.support.carrier import TwilioAPI, twilio_settings
from tests.support.forgeries import Draft, answer_to, processor_s, send_all
from tests.support.server import ROOT, Server, environ, free_port, procfile, serving
from tests.support.strangers import (
    KINDS,
    SETTINGS,
    Attack,
    attacking,
    descriptors,
    mute,
    processes,
    threads,
    times_beside,
)
from tests.test_system_gunicorn import wait_for_worker
from tests.test_system_rolling_restart import wait_until_up

HELD_UP_S = 3
"""A second is the bar, on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(SETTINGS) as made:
        wait_for_worker(made, 2)
        yield made


@pytest.fixture(scope="module")
def before(server: Server) -> tuple[list[int], int, int]:
    """Processes, descriptors and threads before anybody came."""
    return processes(server), descriptors(server), threads(server)


@pytest.mark.parametrize("attack", KINDS, ids=lambda attack: attack.__name__)
def test_nobody_is_held_up_by_strangers_of_whom_nothing_is_left(
    server: Server, before: tuple[list[int], int, int], attack: Attack
) -> None:
    with attacking(server, {attack: KINDS[attack]}):
        time.sleep(1)
        answers = times_beside(server, 2.5)
    assert {status for status, _ in answers} == {200}
    assert max(took for _, took in answers) < HELD_UP_S
    ids, files, running = before
    assert processes(server) == ids
    wait_until(lambda: descriptors(server) <= files + 4 and threads(server) <= running + 4)


def test_with_few_descriptors_no_worker_dies_and_who_is_signed_is_answered(
    twilio: TwilioAPI,
) -> None:
    with Carrier(twilio) as carrier, serving(settings_for(carrier), descriptors=96) as server:
        wait_for_worker(server, 2)
        before = processes(server)
        with attacking(server, {mute: 400}):
            time.sleep(1)
            answers = times_beside(server, 2.5)
        assert {status for status, _ in answers} == {200}
        assert max(took for _, took in answers) < HELD_UP_S
        assert processes(server) == before


def settings_for(carrier: Carrier) -> dict[str, str]:
    """Two workers with one account, of that carrier."""
    settings = {**SETTINGS, **twilio_settings(carrier.url), "LAST_KNOWN_GOOD": "0"}
    del settings["DIRECTORY"]
    return settings


def test_without_any_descriptor_left_no_worker_dies_and_requests_are_answered_again(
    twilio: TwilioAPI,
) -> None:
    """Though by its limits there should be enough: something else in it may have taken them."""
    with Carrier(twilio) as carrier, serving(settings_for(carrier)) as server:
        wait_for_worker(server, 2)
        before = processes(server)
        for pid in before:
            files = len(os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (files + 1, files + 1))
        answers = times_beside(server, 1.5)
        # 0: the connection itself had no descriptor, or gave its own to another
        assert {status for status, _ in answers} <= {0, 200, 503}
        assert max(took for _, took in answers) < HELD_UP_S
        with attacking(server, {mute: 200}):
            time.sleep(2)
        wait_until(lambda: is_answered(server))
        assert processes(server) == before
        assert "Traceback" not in server.output()


def is_answered(server: Server) -> bool:
    with suppress(requests.ConnectionError):
        return ask_server(server.url).status_code in (200, 503)
    return False


def test_the_limit_of_descriptors_is_raised_at_the_start() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        with serving({**SETTINGS, "WEB_CONCURRENCY": "1"}) as server:
            for pid in processes(server):
                assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_amid_strangers_answers_what_is_in_flight_and_is_over_in_time(
    twilio: TwilioAPI, stop: signal.Signals
) -> None:
    asked = threading.Event()

    def slowly(request: Asked) -> Reply:
        asked.set()
        time.sleep(1)
        return twilio(request)

    with Carrier(slowly) as carrier:
        settings = {**settings_for(carrier), "LOOKUP_DEADLINE": "4"}
        with serving(settings) as server, ThreadPoolExecutor(8) as pool:
            wait_for_worker(server, 2)
            with attacking(server, KINDS):
                time.sleep(1)
                answers = [pool.submit(ask_server, server.url) for _ in range(8)]
                assert asked.wait(20)
                time.sleep(0.5)
                server.process.send_signal(stop)
                stopped = time.monotonic()
                assert server.process.wait(timeout=30) == 0
                took = time.monotonic() - stopped
            assert [answer.result().status_code for answer in answers] == [200] * 8
            assert took < 5 + HELD_UP_S


@pytest.mark.parametrize(("log_format", "count"), [("json", 5000), ("text", 1000)])
def test_a_log_that_nobody_reads_holds_up_neither_requests_nor_the_stop(
    log_format: str, count: int
) -> None:
    reading, writing = os.pipe()
    port = free_port()
    settings = {**SETTINGS, "WEB_CONCURRENCY": "1", "PORT": str(port), "LOG_FORMAT": log_format}
    process = subprocess.Popen(procfile(), cwd=ROOT, env=environ(settings), stderr=writing)
    os.close(writing)
    url, lines = f"http://127.0.0.1:{port}", bytearray()

    def read() -> None:
        while data := os.read(reading, 65_536):
            lines.extend(data)

    try:
        wait_until_up(url)
        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(lambda _: ask_server(url).status_code, range(count)))
        assert statuses == [200] * count
        if log_format == "json":
            reader = threading.Thread(target=read)
            reader.start()
            deadline = time.monotonic() + 20
            while b"log_lines_dropped" not in lines and time.monotonic() < deadline:
                time.sleep(0.1)
            assert b'"event":"log_lines_dropped","count":' in lines
        process.terminate()
        stopped = time.monotonic()
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - stopped < 5
        if log_format == "text":
            read()
        assert b"Fatal" not in lines
    finally:
        process.kill()
        process.wait()
    if log_format == "json":
        reader.join(20)
    os.close(reading)


def test_no_forgery_is_accepted_nor_taken_for_a_fault_of_ours(server: Server) -> None:
    host = server.url.removeprefix("http://")
    good = Draft(host, random.Random())
    _, answer = answer_to(int(host.rpartition(":")[2]), good.bytes())
    assert b"phoneNumbers" in answer, "what the forgeries are made of is accepted"
    before, booted = processes(server), server.output().count("Booting worker")
    answers, bad = send_all(server, 520, seed=10)
    assert bad == []
    assert answers.total() > 500
    assert processes(server) == before
    assert server.output().count("Booting worker") == booted


def test_a_forgery_costs_at_most_three_times_a_good_request(server: Server) -> None:
    """Five a second are diagnosed, which takes ten times as long."""
    good, forged = (
        min(processor_s_of(server, secret) for _ in range(3)) for secret in (SECRET, "x")
    )
    assert forged < 3 * good, "a little less than one is usual"


def processor_s_of(server: Server, secret: str) -> float:
    """The server's processor time for 400 requests signed with this secret."""
    before = processor_s(server)
    with requests.Session() as session:
        for _ in range(400):
            body, headers = request(server.url + PATH, secret=secret)
            session.post(server.url + PATH, data=body, headers=headers, timeout=20)
    return processor_s(server) - before
