"""Rules at carriers that list everything: who shares what, and who sees which."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from helpdesk_numbers.directory.model import Directory, Portal, Rule
from helpdesk_numbers.lookup.lookup import Lookup
from providers.base.options import Secret
from providers.base.provider import Provider
from providers.dialpad import Dialpad
from providers.ringcentral import RingCentral
from providers.telnyx import Telnyx
from providers.testing.carrier import Asked, Carrier, Reply
from providers.zoom import Zoom
from tests.support.accounts import Fixed

USERS = 40
PAGE = 25  # users a page, fewer than the carriers', so that there are two
KEY = Secret("not-a-real-key")


def email(index: int) -> str:
    return f"user-{index}@acme.example"


def e164(index: int) -> str:
    return f"+120255501{index:02}"


def zoom(url: str) -> Provider:
    logins: Any = {"account_id": "a", "client_id": "c", "client_secret": KEY}
    return Zoom(Zoom.Options(base_url=url, oauth_url=f"{url}/token", **logins), "acme")


def zoom_page(asked: Asked, shown: range, more: bool) -> Any:
    token = str(shown.stop) if more else ""
    if asked.path == "/phone/users":
        users = [{"id": f"id-{i}", "email": email(i)} for i in shown]
        return {"users": users, "next_page_token": token}
    numbers = [
        {
            "number": e164(i),
            "capability": ["incoming"],
            "assignee": {"type": "user", "id": f"id-{i}"},
        }
        for i in range(USERS)
    ]
    return {"phone_numbers": numbers, "next_page_token": ""}


def ringcentral(url: str) -> Provider:
    logins: Any = {"client_id": "c", "client_secret": KEY, "jwt": KEY}
    return RingCentral(RingCentral.Options(base_url=url, **logins), "acme")


def ringcentral_page(asked: Asked, shown: range, more: bool) -> Any:
    pages = {"totalPages": int(asked.params.get("page", 1)) + more}
    if asked.path.endswith("/extension"):
        users = [{"id": 1000 + i, "contact": {"email": email(i)}} for i in shown]
        return {"records": users, "paging": pages}
    numbers = [{"phoneNumber": e164(i), "extension": {"id": 1000 + i}} for i in range(USERS)]
    return {"records": numbers, "paging": {"totalPages": 1}}


def dialpad(url: str) -> Provider:
    return Dialpad(Dialpad.Options(base_url=url, api_key=KEY), "acme")


def dialpad_page(asked: Asked, shown: range, more: bool) -> Any:
    if asked.path == "/users":
        users = [{"id": str(i), "emails": [email(i)]} for i in shown]
        return {"items": users} | ({"cursor": str(shown.stop)} if more else {})
    return {
        "items": [{"number": e164(i), "target_type": "user", "target_id": i} for i in range(USERS)]
    }


def answering(page: Callable[[Asked, range, bool], Any]) -> Callable[[Asked], Reply]:
    """A carrier of USERS users with a number each, that takes its time."""

    def answer(asked: Asked) -> Reply:
        if "token" in asked.path:
            return Reply({"access_token": "t", "expires_in": 3600})
        time.sleep(0.2)
        params = asked.params
        if sought := params.get("email") or params.get("keyword"):
            index = next(i for i in range(USERS) if email(i) == sought)
            return Reply(page(asked, range(index, index + 1), False))
        start = int(params.get("next_page_token") or params.get("cursor") or 0)
        start = start or (int(params.get("page", 1)) - 1) * PAGE
        return Reply(page(asked, range(start, min(start + PAGE, USERS)), start + PAGE < USERS))

    return answer


@pytest.mark.parametrize(
    ("make", "page"),
    [(zoom, zoom_page), (ringcentral, ringcentral_page), (dialpad, dialpad_page)],
)
def test_users_who_ask_at_once_cost_two_listings_and_see_their_own(
    make: Callable[[str], Provider],
    page: Callable[[Asked, range, bool], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Carrier(answering(page)) as carrier:
        rules = {1 + i: Rule(owner=email(i)) for i in range(USERS)}
        directory = Directory({"acme": make(carrier.url)}, {7: Portal(("acme",), "none", rules)})
        lookup = Lookup(Fixed(directory), 10, threads=USERS)
        with ThreadPoolExecutor(USERS) as callers:
            results = list(callers.map(lambda i: lookup.look_up(7, 1 + i), range(USERS)))
        for i, result in enumerate(results):
            assert [number.e164 for number in result.numbers] == [e164(i)], result.outcomes
        listings = [asked for asked in carrier.asked if "token" not in asked.path]
        # for the first: the user and the numbers; for all others: two pages of users, the numbers
        assert len(listings) == 5


def test_at_carriers_that_list_everything_rules_share_the_last_good_answer() -> None:
    numbers = [{"phone_number": e164(i), "status": "active"} for i in range(USERS)]
    listed = {"data": numbers, "meta": {"total_pages": 1}}
    replies = [Reply(listed)]
    rules = {
        1: Rule(numbers=(e164(1),)),
        2: Rule(numbers=(e164(2),)),
        3: Rule(names=("no such*",)),
        4: Rule(owner="nobody"),
        5: Rule(),
    }
    with Carrier(lambda _: replies.pop() if replies else Reply(status=500)) as carrier:
        account = Telnyx(Telnyx.Options(api_key=KEY, base_url=carrier.url), "acme")
        directory = Directory({"acme": account}, {7: Portal(("acme",), "none", rules)})
        lookup = Lookup(Fixed(directory), 10, 60)
        results = [lookup.look_up(7, user) for user in rules]
    assert [result.source for result in results] == ["live", *["last-known-good"] * 4]
    assert [len(result.numbers) for result in results] == [1, 1, 0, 0, USERS]
    assert results[1].numbers[0].e164 == e164(2)


@pytest.mark.parametrize(
    ("users", "failure"),
    [
        ([{"email": "user-1@acme.example"}], "a user cannot be read: [0]: KeyError 'id'"),
        ([{"id": 2, "emails": [email(2)]}, {"email": "?"}], "a user cannot be read: [1]: KeyError"),
        ([{"id": 1, "emails": [email(1)]}, {"email": "?"}], None),
        ([{"id": 2, "emails": [email(2)]}], None),
    ],
)
def test_an_owner_who_may_be_among_users_that_cannot_be_read_is_not_taken_to_have_none(
    users: list[Any], failure: str | None
) -> None:
    numbers = [{"number": e164(1), "target_type": "user", "target_id": 1, "status": "user"}]

    def answer(asked: Asked) -> Reply:
        return Reply({"items": users if asked.path == "/users" else numbers})

    with Carrier(answer) as carrier:
        account = Dialpad(Dialpad.Options(base_url=carrier.url, api_key=KEY), "acme")
        portal = Portal(("acme",), rules={7: Rule(owner=email(1))})
        lookup = Lookup(Fixed(Directory({"acme": account}, {1: portal})), 10)
        result = lookup.look_up(1, 7)
    assert (failure is None) == (result.failure is None)
    assert (failure or "") in str(result.failure)
    if failure is None:
        assert len(result.numbers) == sum(user.get("id") == 1 for user in users)
