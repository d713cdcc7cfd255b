"""Numbers by who is asking: HubSpot and the carriers asked side by side, and nobody else's seen."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from helpdesk_numbers.directory.model import OWN, Directory, Portal, Rule
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.users.asking import sender, tokens
from helpdesk_numbers.users.resolver import Resolver
from hubspot.errors import HubSpotUnavailable
from providers.base.options import Secret
from providers.base.provider import Provider
from providers.ringcentral import RingCentral
from providers.testing import carrier as faults
from providers.testing.carrier import Asked, Carrier, Reply
from tests.support.accounts import EAST, Fixed, Immediate, Obedient, Punctual, gives
from tests.support.hubspot_users import TOKEN, HubSpotUsers, email_of, people

PORTAL = 62515


def lookup_of(
    hubspot: HubSpotUsers, *accounts: Provider, deadline_s: float = 20, **portal: Any
) -> Lookup:
    listed = {account.account: account for account in accounts}
    made = Portal(tuple(listed), **{"users": OWN, "token": Secret(TOKEN), **portal})
    directory = Directory(listed, {PORTAL: made})
    return Lookup(
        Fixed(directory),
        deadline_s,
        threads=512,
        users=lambda bulkhead: Resolver(
            sender(hubspot.url), tokens(None), lambda call: bulkhead.submit(call, healthy=False)
        ),
    )


@pytest.fixture
def hubspot() -> Iterator[HubSpotUsers]:
    with HubSpotUsers(*people(range(1, 501))) as made:
        yield made


class ListsAll(Punctual):
    """A carrier whose listing is the same for everybody."""

    narrows = frozenset()


def test_the_carrier_is_asked_while_hubspot_is(hubspot: HubSpotUsers) -> None:
    carrier_asked, hubspot_asked = threading.Event(), threading.Event()

    def lists(_: object) -> Any:
        carrier_asked.set()
        assert hubspot_asked.wait(10), "HubSpot is asked after the carrier"
        return []

    answer = hubspot.answer

    def waits(asked: Asked) -> Any:
        hubspot_asked.set()
        assert carrier_asked.wait(10), "the carrier is asked after HubSpot"
        return answer(asked)

    hubspot.answer = waits
    account = ListsAll("acme", lists)
    result = lookup_of(hubspot, account).look_up(PORTAL, 1)
    assert result.who.how == "hubspot"
    assert [outcome.outcome for outcome in result.outcomes] == ["ok"]
    assert len(account.queries) == 1


def test_a_listing_that_was_there_before_hubspot_answered_is_not_made_again(
    hubspot: HubSpotUsers,
) -> None:
    hubspot.delay_s = 0.3
    account = ListsAll("acme", gives(EAST))
    lookup_of(hubspot, account, users="all", teams={"x": Rule()}).look_up(PORTAL, 1)
    assert len(account.queries) == 1


def test_a_carrier_that_is_asked_for_less_is_asked_once_it_is_known_for_whom(
    hubspot: HubSpotUsers,
) -> None:
    account = Obedient("acme", gives())
    lookup_of(hubspot, account).look_up(PORTAL, 7)
    (query,) = account.queries
    assert query.owner == email_of(7)


def test_accounts_that_no_rule_names_and_fixed_ones_are_not_asked_ahead(
    hubspot: HubSpotUsers,
) -> None:
    other, desk = ListsAll("other", gives(EAST)), Immediate("desk", gives(EAST))
    lookup = lookup_of(
        hubspot, other, desk, users="none", addresses={email_of(1): Rule(accounts=("desk",))}
    )
    assert [number.account for number in lookup.look_up(PORTAL, 1).numbers] == ["desk"]
    assert other.queries == []


def test_an_adapter_that_fails_while_it_is_asked_ahead_costs_its_own_account_alone(
    hubspot: HubSpotUsers,
) -> None:
    class Odd(ListsAll):
        def list_numbers(self, query: Any) -> Any:
            raise ZeroDivisionError

    good = ListsAll("good", gives(EAST))
    lookup = lookup_of(hubspot, Odd("odd", gives()), good, users="all", teams={"x": Rule()})
    result = lookup.look_up(PORTAL, 1)
    assert [outcome.outcome for outcome in result.outcomes] == ["unreadable", "ok"]
    assert [number.e164 for number in result.numbers] == [EAST]


def test_users_by_id_do_not_notice_that_hubspot_is_away(hubspot: HubSpotUsers) -> None:
    hubspot.always = faults.hang
    account = ListsAll("acme", gives(EAST))
    lookup = lookup_of(hubspot, account, deadline_s=0.3, rules={2: Rule()})
    assert lookup.look_up(PORTAL, 2).who.how == "not needed"
    with pytest.raises(HubSpotUnavailable):
        lookup.look_up(PORTAL, 1)
    assert [asked.path for asked in hubspot.asked] == ["/crm/owners/2026-09/1"]


NUMBERS = 600


def e164(index: int) -> str:
    return f"+1202555{index:04}"


def ringcentral(asked: Asked) -> Reply:
    """600 numbers, of which the first 500 belong to the users in turn."""
    if "token" in asked.path:
        return Reply({"access_token": "t", "expires_in": 3600})
    paging = {"totalPages": 1, "totalElements": NUMBERS}
    if asked.path.endswith("/extension"):
        ids = range(1, 501)
        if email := asked.params.get("email"):
            ids = range(int(email[5:-13]), int(email[5:-13]) + 1)
        users = [{"id": 9000 + i, "contact": {"email": email_of(i).title()}} for i in ids]
        return Reply({"records": users, "paging": {"totalPages": 1}})
    numbers = [
        {"phoneNumber": e164(i)} | ({"extension": {"id": 9000 + i}} if i <= 500 else {})
        for i in range(1, NUMBERS + 1)
    ]
    return Reply({"records": numbers, "paging": paging})


def test_five_hundred_users_at_once_see_their_own_and_cost_one_listing(
    hubspot: HubSpotUsers,
) -> None:
    """HubSpot's list is read in place of 500 questions, of which it would answer 110."""
    came, all_came = list[Asked](), threading.Event()

    def slowly(asked: Asked) -> Reply:
        if "token" not in asked.path:
            came.append(asked)
            all_came.wait(15)
        return ringcentral(asked)

    with Carrier(slowly) as carrier, ThreadPoolExecutor(500) as callers:
        logins: Any = {"client_id": "c", "client_secret": Secret("s"), "jwt": Secret("j")}
        options = RingCentral.Options(base_url=carrier.url, **logins)
        lookup = lookup_of(hubspot, RingCentral(options, "acme"))
        barrier = threading.Barrier(500, timeout=30)

        def ask(user_id: int) -> Any:
            barrier.wait()
            return lookup.look_up(PORTAL, user_id)

        answers = [callers.submit(ask, user_id) for user_id in range(1, 501)]
        while lookup.bulkhead.long_waiting(float("inf")) < 500:
            if any(answer.done() for answer in answers):
                break
        all_came.set()
        results = [answer.result() for answer in answers]
        for user_id, result in enumerate(results, 1):
            assert [number.e164 for number in result.numbers] == [e164(user_id)], result
        assert sorted(asked.path.rpartition("/")[2] for asked in came) == [
            "extension", "phone-number",
        ]  # fmt: skip
        first = len(hubspot.asked)
        assert first <= 30
        again = list(callers.map(ask, range(1, 501)))
        assert {result.who.how for result in again} == {"remembered"}
        assert [result.numbers for result in again] == [result.numbers for result in results]
        assert len(hubspot.asked) == first
