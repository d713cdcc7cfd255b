"""Two instances of the real service share last good answers by Redis, whatever becomes of it."""

import threading
import time
from collections.abc import Iterator

import pytest

from providers.testing.carrier import Carrier
from tests.support.asking import SECRET, ask_server
from tests.support.carrier import TwilioAPI, says, twilio_settings
from tests.support.server import serving
from tests.support.valkey import OwnValkey, Valkey, valkey, valkey_to_stop

SETTINGS = {"HUBSPOT_CLIENT_SECRET": SECRET, "WEB_CONCURRENCY": "2", "LOOKUP_DEADLINE": "2"}


@pytest.fixture
def redis() -> Iterator[Valkey]:
    with valkey() as made:
        yield made


def source(server_url: str) -> tuple[int, str | None]:
    """By a connection of its own, so that either worker may answer."""
    answer = ask_server(server_url, headers={"Connection": "close"})
    return answer.status_code, answer.headers.get("Numbers-Source")


@pytest.fixture
def unsteady() -> Iterator[OwnValkey]:
    with valkey_to_stop() as made:
        yield made


def in_redis(redis: Valkey, kind: str) -> None:
    for _ in range(1000):
        if redis.client().keys(f"*:{kind}:*"):
            return
        time.sleep(0.01)
    raise AssertionError(f"nothing of that kind is in Redis: {kind}")


def first(server_url: str, wanted: tuple[int, str | None]) -> None:
    """It answers so, at the latest once it is connected."""
    for _ in range(100):
        if (last := source(server_url)) == wanted:
            return
        time.sleep(0.1)
    assert last == wanted


def test_a_new_instance_has_the_others_answer_while_the_carrier_is_down(
    carrier: Carrier, twilio: object, redis: Valkey
) -> None:
    settings = SETTINGS | twilio_settings(carrier.url) | {"REDIS_URL": redis.url}
    with serving(settings) as asked:
        assert source(asked.url) == (200, "live")
        in_redis(redis, "answer")
        carrier.answer = says(b"", 500)
        with serving(settings) as new:
            first(new.url, (200, "last-known-good"))
            answers = {source(new.url) for _ in range(40)}
            assert answers <= {(200, "last-known-good"), (503, None)}
            assert [source(new.url) for _ in range(20)] == [(200, "last-known-good")] * 20
            carrier.answer = says(b"", 401)
            time.sleep(5.5)  # the circuit is open
            first(asked.url, (502, None))
            in_redis(redis, "refused")
            first(new.url, (502, None))


def test_no_request_fails_when_redis_is_flushed_hangs_or_stops(
    carrier: Carrier, twilio: TwilioAPI, unsteady: OwnValkey
) -> None:
    settings = SETTINGS | twilio_settings(carrier.url) | {"REDIS_URL": unsteady.url}
    with serving(settings) as server:
        assert source(server.url) == (200, "live")
        time.sleep(0.5)
        answers, over = [], threading.Event()

        def ask() -> None:
            while not over.is_set():
                began = time.monotonic()
                answers.append((*source(server.url), time.monotonic() - began < 2))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for outage in (unsteady.client().flushdb, unsteady.hang, unsteady.go_on, unsteady.stop):
            outage()
            time.sleep(0.7)
            carrier.answer = says(b"", 500)
            time.sleep(0.7)
            carrier.answer = twilio
        over.set()
        for thread in threads:
            thread.join()
        assert {(status, quick) for status, _, quick in answers} == {(200, True)}
        assert {of for _, of, _ in answers} == {"live", "last-known-good"}
        assert server.output().count("shared among instances") <= 4
