"""One more try: when a request is sent a second time, and when not."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.base import transport
from providers.testing.carrier import Answer, Carrier, break_off, hang, reset
from tests.support.asking import (
    LIVE,
    UNAVAILABLE,
    ask,
    assert_fails,
    assert_healthy,
    count_of,
    service,
)
from tests.support.carrier import TwilioAPI, does, refusing, says


@pytest.mark.parametrize("fault", [reset, lambda *_: None], ids=["reset", "closed"])
def test_a_kept_connection_that_broke_is_replaced(
    carrier: Carrier, twilio: TwilioAPI, fault: Any
) -> None:
    client = service(carrier.url)
    assert count_of(client) == LIVE
    faults = [fault]
    carrier.answer = lambda asked: faults.pop() if faults else twilio(asked)
    assert count_of(client) == LIVE
    assert (len(carrier.asked), carrier.connections) == (3, 2)


def test_a_connection_reset_before_the_request_is_tried_again(
    carrier: Carrier, twilio: TwilioAPI
) -> None:
    client = service(carrier.url)

    def once(connection: socket.socket, stop: threading.Event) -> None:
        carrier.greeting = None
        reset(connection, stop)

    carrier.greeting = once
    assert_healthy(client)
    assert carrier.connections == 2


def test_a_refused_connection_is_tried_again(
    twilio: TwilioAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The carrier's process restarts, say: its port opens between the two tries."""
    monkeypatch.setattr(transport, "RETRY_JITTER_S", (0.6, 0.6))
    with refusing() as url:
        port = int(url.rpartition(":")[2])
    client = service(url, LOOKUP_DEADLINE="4")
    with ThreadPoolExecutor(1) as callers:
        answer = callers.submit(count_of, client)
        time.sleep(0.2)
        assert not answer.done()
        with Carrier(twilio, port) as carrier:
            assert answer.result() == LIVE
            assert len(carrier.asked) == 1


def test_it_is_tried_no_more_than_twice(carrier: Carrier) -> None:
    carrier.answer = does(reset)
    assert_fails(service(carrier.url), *UNAVAILABLE)
    assert len(carrier.asked) == 2


@pytest.mark.parametrize(
    "fault", [does(hang), does(break_off), says(b"", 500), says(b"", 429), says(b"", 401)]
)
def test_what_was_answered_or_took_too_long_is_not_tried_again(
    carrier: Carrier, fault: Answer
) -> None:
    carrier.answer = fault
    client = service(carrier.url, LOOKUP_DEADLINE="0.5")
    assert ask(client).status_code in (502, 503)
    assert len(carrier.asked) == 1


def test_the_second_try_keeps_the_deadline_of_the_first(carrier: Carrier) -> None:
    faults: list[Any] = [reset]
    carrier.answer = lambda asked: faults.pop() if faults else hang
    assert_fails(service(carrier.url), *UNAVAILABLE)
    assert len(carrier.asked) == 2
