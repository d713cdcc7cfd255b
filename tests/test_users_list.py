"""Who is asking, where many are: the list of a portal's users, in place of a question each."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpdesk_numbers.users import resolver as module
from helpdesk_numbers.users.questions import FRESH_S
from helpdesk_numbers.users.resolver import KEPT_S
from providers.testing import carrier as faults
from providers.testing.carrier import Reply
from tests.support.accounts import wait_until
from tests.support.hubspot_users import HubSpotUsers, Person, email_of, people
from tests.support.users import Asking, directory_of, emails


@pytest.fixture
def hubspot() -> Iterator[HubSpotUsers]:
    with HubSpotUsers(*people(range(1, 6))) as made:
        yield made


def test_a_large_portal_does_not_make_others_forgotten(
    hubspot: HubSpotUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROWD", 0)
    monkeypatch.setattr(module, "MOST_LISTED", 100)
    hubspot.persons, hubspot.most = people(range(1, 1001)), 100
    ask = Asking(hubspot.url, directory_of())
    ask.resolver._submit = lambda call: call()
    assert ask(1).how == "hubspot"
    assert len(ask.resolver._users) == 100
    assert emails(ask(900)) == (email_of(900),)


def test_a_crowd_of_new_users_reads_the_list(hubspot: HubSpotUsers) -> None:
    hubspot.persons, hubspot.delay_s = people(range(1, 401)), 0.3
    hubspot.persons.append(Person(500, "queue@acme.example", type="QUEUE"))
    ask = Asking(hubspot.url, directory_of())
    ask.resolver._submit = lambda call: threading.Thread(target=call).start()
    with ThreadPoolExecutor(402) as callers:
        answers = list(callers.map(lambda i: ask(i, seconds=30), [*range(1, 401), 500]))
    assert [emails(who) for who in answers] == [(email_of(i),) for i in range(1, 401)] + [()]
    lists = [asked for asked in hubspot.asked if asked.params.get("limit") == "500"]
    assert len(lists) == 1
    assert len(hubspot.lookups()) <= module.CROWD + 4  # four for who is not on the list


def test_several_users_one_after_another_read_the_list_too(hubspot: HubSpotUsers) -> None:
    hubspot.persons = people(range(1, 101))
    ask = Asking(hubspot.url, directory_of())
    ask.resolver._submit = lambda call: call()
    for hour in range(3):
        ask.clock.now += hour * (FRESH_S + 1)
        hubspot.asked.clear()
        assert [emails(ask(i)) for i in range(1, 101)] == [(email_of(i),) for i in range(1, 101)]
        assert len(hubspot.asked) == module.CROWD + 1
        assert {ask(i).how for i in range(1, 101)} == {"remembered"}
    assert len(hubspot.asked) == module.CROWD + 1


def test_users_are_found_one_by_one_where_the_list_cannot_be_read(hubspot: HubSpotUsers) -> None:
    hubspot.persons, answer = people(range(1, 101)), hubspot.answer
    no_list = Reply(b"<html>", 500)
    hubspot.answer = lambda asked: no_list if "limit" in asked.params else answer(asked)
    ask = Asking(hubspot.url, directory_of())
    ask.resolver._submit = lambda call: threading.Thread(target=call).start()
    assert [emails(ask(i)) for i in range(1, 101)] == [(email_of(i),) for i in range(1, 101)]
    assert len(hubspot.asked) == 101  # the list, once


def test_a_list_that_takes_too_long_is_not_read_again(
    hubspot: HubSpotUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROWD", 0)
    hubspot.persons, hubspot.most = people(range(1, 301)), 100
    ask = Asking(hubspot.url, directory_of())
    ask.resolver._submit = lambda call: threading.Thread(target=call).start()
    assert emails(ask(1)) == (email_of(1),)
    (portal,) = ask.resolver._portals.values()
    wait_until(lambda: not portal.flights)
    portal.list_s = 6.0  # as if it had taken so long
    hubspot.asked.clear()
    ask.clock.now += KEPT_S
    assert emails(ask(2)) == (email_of(2),)
    assert len(hubspot.asked) == len(hubspot.lookups()) == 1


def test_users_on_the_first_page_do_not_wait_for_the_last(
    hubspot: HubSpotUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROWD", 0)
    hubspot.persons, hubspot.most = people(range(1, 301)), 100
    page = Reply({"results": [hubspot._owner(p) for p in people([1])],
                  "paging": {"next": {"after": "1"}}})  # fmt: skip
    hubspot.then = [page, faults.hang]
    ask = Asking(hubspot.url, directory_of())
    ask.resolver._submit = lambda call: threading.Thread(target=call, daemon=True).start()
    assert ask(1, seconds=20).how == "hubspot"
    assert emails(ask(2, seconds=2)) == (email_of(2),)  # by a question of its own, after a while
