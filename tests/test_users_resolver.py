"""Who is asking, in time: remembered, refreshed, asked once by all, and HubSpot away."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from helpdesk_numbers.lookup.result import Who
from helpdesk_numbers.users import resolver as module
from helpdesk_numbers.users.questions import FRESH_S, MISS_S
from helpdesk_numbers.users.resolver import KEPT_S
from hubspot.errors import HubSpotRefused, HubSpotUnavailable, LookupFailed
from providers.testing import carrier as faults
from providers.testing.carrier import Reply
from tests.support.accounts import wait_until
from tests.support.hubspot_api import refusal
from tests.support.hubspot_users import TOKEN, HubSpotUsers, Person, email_of, people
from tests.support.users import PORTAL, Asking, directory_of, emails

AWAY = [
    faults.reset,
    Reply(b"<html>", 500),
    refusal(429, "slow down"),
    Reply(b"", 477, {"Retry-After": "600"}),
    refusal(423, "locked"),
    Reply(b"nonsense"),
]


@pytest.fixture
def hubspot() -> Iterator[HubSpotUsers]:
    with HubSpotUsers(*people(range(1, 6))) as made:
        yield made


@pytest.fixture
def ask(hubspot: HubSpotUsers) -> Asking:
    return Asking(hubspot.url, directory_of())


def test_a_user_is_asked_about_once_an_hour(hubspot: HubSpotUsers, ask: Asking) -> None:
    assert ask().how == "hubspot"
    ask.clock.now += FRESH_S - 1
    assert (ask().how, emails(ask())) == ("remembered", (email_of(1),))
    assert len(hubspot.asked) == 1


def test_after_an_hour_a_user_is_asked_about_in_the_background(
    hubspot: HubSpotUsers, ask: Asking
) -> None:
    ask()
    hubspot.persons[0].email = "married@acme.example"
    ask.clock.now += FRESH_S + 1
    assert [(ask().how, emails(ask())) for _ in range(3)] == [("stale", (email_of(1),))] * 3
    assert len(hubspot.asked) == 1
    assert len(ask.later) == 1  # however many ask meanwhile
    ask.run_background()
    assert (ask().how, emails(ask())) == ("remembered", ("married@acme.example",))


def test_a_user_who_left_is_unknown_from_then_on(hubspot: HubSpotUsers, ask: Asking) -> None:
    ask()
    hubspot.persons.clear()
    ask.clock.now += FRESH_S + 1
    ask()
    ask.run_background()
    assert ask() == Who("unknown")


def test_an_unknown_user_is_unknown_for_five_minutes(hubspot: HubSpotUsers, ask: Asking) -> None:
    assert ask(77).how == "unknown"
    asked = len(hubspot.asked)
    hubspot.persons.append(Person(77, "new@acme.example"))
    ask.clock.now += MISS_S - 1
    assert ask(77).how == "unknown"
    assert len(hubspot.asked) == asked
    ask.clock.now += 2
    assert emails(ask(77)) == ("new@acme.example",)


@pytest.mark.parametrize("away", AWAY)
def test_while_hubspot_is_away_who_is_remembered_stands_in(
    hubspot: HubSpotUsers, ask: Asking, away: Any
) -> None:
    ask()
    hubspot.always = away
    for age_s in (FRESH_S - 1, FRESH_S + 1, 3 * FRESH_S, KEPT_S - 1):
        ask.clock.now = 1_000 + age_s
        ask.resolver._submit = lambda call: call()
        assert emails(ask()) == (email_of(1),)
        assert ask().how == ("remembered" if age_s < FRESH_S else "stale")
    ask.clock.now = 1_000 + KEPT_S + 1
    with pytest.raises(HubSpotUnavailable):
        ask()
    with pytest.raises(HubSpotUnavailable):
        ask(2)


def test_a_hubspot_that_hangs_is_waited_for_no_longer_than_there_is_time(
    hubspot: HubSpotUsers, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    hubspot.always = faults.hang
    began = time.monotonic()
    with pytest.raises(HubSpotUnavailable, match="in time"):
        ask(2, seconds=0.3)
    assert time.monotonic() - began < 2
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    ask.clock.now += 3 * FRESH_S
    began = time.monotonic()
    assert ask(1, seconds=30).how == "stale"
    assert time.monotonic() - began < 5


def test_the_circuit_breaker_of_a_portal_is_its_own(hubspot: HubSpotUsers) -> None:
    ask = Asking(hubspot.url, directory_of(TOKEN, 1, 2))
    hubspot.always = Reply(b"", 500)
    for _ in range(5):
        with pytest.raises(HubSpotUnavailable):
            ask(1, portal_id=1)
    assert len(hubspot.asked) == 3
    hubspot.always = None
    assert ask(1, portal_id=2).how == "hubspot"
    with pytest.raises(HubSpotUnavailable, match="circuit open") as raised:
        ask(1, portal_id=1)
    assert raised.value.retry_after_s
    ask.clock.now += 6
    assert ask(1, portal_id=1).how == "hubspot"


def test_hubspot_is_left_alone_for_as_long_as_it_asks(hubspot: HubSpotUsers, ask: Asking) -> None:
    hubspot.then = [Reply(b"", 477, {"Retry-After": "600"})]
    for second in (0, 1, 599):
        ask.clock.now = 1_000 + second
        with pytest.raises(HubSpotUnavailable) as raised:
            ask()
        assert raised.value.retry_after_s == 600 - second
    assert len(hubspot.asked) == 1
    ask.clock.now = 1_601
    assert ask().how == "hubspot"


def test_a_refused_token_is_one_log_line_with_the_remedy(
    hubspot: HubSpotUsers, caplog: pytest.LogCaptureFixture
) -> None:
    ask = Asking(hubspot.url, directory_of("pat-na1-wrong"))
    with caplog.at_level(logging.INFO, "helpdesk_numbers"):
        for user_id in range(1, 12):
            with pytest.raises(HubSpotRefused):
                ask(user_id)
            ask.clock.now += 4
    (line,) = caplog.records
    assert line.message == "hubspot_refused"
    assert vars(line)["portal_id"] == PORTAL
    assert "(401)" in vars(line)["reason"]
    assert "docs/who-sees-what.md" in vars(line)["remedy"]
    assert "pat-na1" not in str(vars(line))
    ask.directory = directory_of(TOKEN)  # an edit, and at once another token
    assert ask().how == "hubspot"


def test_another_token_that_is_refused_is_told_too(
    hubspot: HubSpotUsers, caplog: pytest.LogCaptureFixture
) -> None:
    ask = Asking(hubspot.url, directory_of("pat-na1-wrong"))
    for token in ("pat-na1-wrong", "pat-na1-wrong-too", "pat-na1-wrong-too"):
        ask.directory = directory_of(token)
        with pytest.raises(HubSpotRefused):
            ask()
    assert [line.message for line in caplog.records] == ["hubspot_refused"] * 2


def test_a_user_whose_record_cannot_be_read_costs_nobody_else(
    hubspot: HubSpotUsers, ask: Asking
) -> None:
    hubspot.then = [Reply({"userId": 1, "email": 5})] * 5
    for _ in range(5):
        with pytest.raises(HubSpotUnavailable, match="cannot be read"):
            ask(1)
    assert ask(2).how == "hubspot"


def test_who_is_remembered_does_not_stand_in_where_the_token_is_refused(
    hubspot: HubSpotUsers, ask: Asking
) -> None:
    """Access was taken away on purpose: after the hour, nobody is known any more."""
    ask()
    hubspot.always = refusal(401, "gone", "INVALID_AUTHENTICATION")
    assert ask().how == "remembered"
    ask.clock.now += FRESH_S + 1
    assert ask().how == "stale"
    ask.run_background()
    ask.resolver._submit = lambda call: call()
    with pytest.raises(HubSpotRefused):
        ask()


@pytest.mark.parametrize(
    ("portals", "only", "asked"),
    [((1,), None, False), ((1,), TOKEN, True), ((1, 2), TOKEN, False)],
)
def test_the_one_token_is_for_the_only_portal(
    hubspot: HubSpotUsers,
    caplog: pytest.LogCaptureFixture,
    portals: tuple[int, ...],
    only: str | None,
    asked: bool,
) -> None:
    ask = Asking(hubspot.url, directory_of(None, *portals), only)
    if asked:
        assert ask(1, portal_id=1).how == "hubspot"
    else:
        for _ in range(3):
            with pytest.raises(HubSpotRefused, match="no token"):
                ask(1, portal_id=1)
        (line,) = caplog.records
        assert "portals.1" in vars(line)["remedy"]
    assert bool(hubspot.asked) == asked


def test_all_who_ask_for_a_user_at_once_cost_one_question(hubspot: HubSpotUsers) -> None:
    ask = Asking(hubspot.url, directory_of())
    hubspot.delay_s = 0.5
    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda _: ask(), range(20)))
    assert {who.how for who in answers} == {"hubspot"}
    assert len(hubspot.asked) == 1


def test_threads_that_wait_for_a_hubspot_that_hangs_are_few(hubspot: HubSpotUsers) -> None:
    portals = tuple(range(1, 21))
    ask = Asking(hubspot.url, directory_of(TOKEN, *portals))
    ask.resolver._most_hanging = 10
    hubspot.always = faults.hang
    with ThreadPoolExecutor(20) as callers:
        first = [callers.submit(ask, 1, portal, 1.5) for portal in portals[:10]]
        wait_until(lambda: len(ask.resolver._running) == 10)
        ask.clock.now += 2
        began = time.monotonic()
        with pytest.raises(HubSpotUnavailable, match="too many"):
            ask(1, 20, 30)
        assert time.monotonic() - began < 1
        for answer in first:
            assert isinstance(answer.exception(), LookupFailed)
    hubspot.always = None
    assert ask(1, 20).how == "hubspot"


def test_memory_is_bounded(hubspot: HubSpotUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_USERS", 3)
    ask = Asking(hubspot.url, directory_of())
    for user_id in (1, 2, 3, 4, 1):
        assert ask(user_id).how == "hubspot"
    assert len(ask.resolver._users) == 3
