"""The client for HubSpot's users, over real sockets: HubSpot's behaviour, and odd answers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpdesk_numbers.users.asking import sender
from hubspot.api import Send
from hubspot.errors import HubSpotRefused, HubSpotUnavailable, LookupFailed
from hubspot.users import HubSpotUser, Team, UsersAPI
from providers.base.provider import Deadline
from providers.testing import carrier as faults
from providers.testing.carrier import Reply
from tests.support.hubspot_api import refusal
from tests.support.hubspot_users import (
    EXPIRED,
    OWNERS_SCOPE,
    SETTINGS_SCOPE,
    TEAMS_SCOPE,
    TOKEN,
    HubSpotUsers,
    Person,
    email_of,
    people,
)

SUPPORT = ("368389", "Support")
ANNA = Person(1001, "anna@acme.example", (SUPPORT, ("2", "Sales")))


@pytest.fixture
def hubspot() -> Iterator[HubSpotUsers]:
    with HubSpotUsers(ANNA, Person(1002, "ben@acme.example"), *people(range(2000, 2010))) as made:
        yield made


@pytest.fixture
def send(hubspot: HubSpotUsers) -> Send:
    return sender(hubspot.url)(Deadline(10))


def test_an_owner_is_found_by_the_id_of_the_user(hubspot: HubSpotUsers, send: Send) -> None:
    assert UsersAPI().find(send, TOKEN, 1001) == HubSpotUser(
        1001,
        ("anna@acme.example",),
        "Anna",
        "Example",
        (Team("368389", "Support"), Team("2", "Sales")),
    )
    (asked,) = hubspot.asked
    assert asked.target == "/crm/owners/2026-09/1001?idProperty=userId&archived=false"
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"


def test_ids_may_be_text(hubspot: HubSpotUsers, send: Send) -> None:
    hubspot.ids_as_text = True
    user = UsersAPI().find(send, TOKEN, 1002)
    assert user
    assert (user.id, user.emails) == (1002, ("ben@acme.example",))


def test_the_generation_before_is_asked_where_the_newest_has_no_such_path(
    hubspot: HubSpotUsers, send: Send
) -> None:
    hubspot.generations["crm/owners"] = {"2026-03"}
    api = UsersAPI()
    assert api.find(send, TOKEN, 1001)
    assert api.find(send, TOKEN, 1002)
    paths = [asked.path for asked in hubspot.asked]
    # not there; is it the user or the path?; and from then on the right one at once
    assert paths == [
        "/crm/owners/2026-09/1001",
        "/crm/owners/2026-09",
        "/crm/owners/2026-03/1001",
        "/crm/owners/2026-03/1002",
    ]


def test_a_host_that_is_not_hubspots_api_knows_nobody_unknown(send: Send) -> None:
    """Else a wrong HUBSPOT_API_BASE_URL would make strangers of all users."""
    with HubSpotUsers() as other:
        other.generations = {"crm/owners": set(), "settings/users": set()}
        with pytest.raises(HubSpotUnavailable, match="HUBSPOT_API_BASE_URL"):
            UsersAPI().find(sender(other.url)(Deadline(10)), TOKEN, 1001)


def test_who_is_nowhere_is_none_whatever_the_error_looks_like(
    hubspot: HubSpotUsers, send: Send
) -> None:
    api = UsersAPI()
    assert api.find(send, TOKEN, 7) is None
    hubspot.asked.clear()
    assert api.find(send, TOKEN, 7) is None
    assert [asked.target for asked in hubspot.asked] == [
        "/crm/owners/2026-09/7?idProperty=userId&archived=false",
        "/settings/users/2026-03/7",  # for which there is no scope
        "/crm/owners/2026-09/7?idProperty=userId&archived=true",
    ]
    answer = hubspot.answer
    hubspot.answer = lambda asked: Reply(b"", 404) if "/8" in asked.path else answer(asked)
    assert api.find(send, TOKEN, 8) is None


def test_a_path_that_is_gone_makes_nobody_unknown(hubspot: HubSpotUsers, send: Send) -> None:
    """As behind a proxy that answers in place of HubSpot for a while."""
    api = UsersAPI()
    assert api.find(send, TOKEN, 1001)
    hubspot.always = Reply(b"<html>404</html>", 404)
    with pytest.raises(HubSpotUnavailable, match="HUBSPOT_API_BASE_URL"):
        api.find(send, TOKEN, 1001)
    hubspot.always = None
    hubspot.generations["crm/owners"] = {"2026-03"}
    assert api.find(send, TOKEN, 1001)


def test_a_403_that_names_no_scope_says_nothing_about_the_path(
    hubspot: HubSpotUsers, send: Send
) -> None:
    api, hubspot.then = UsersAPI(), [Reply(b"<html>blocked</html>", 403)] * 3
    with pytest.raises(HubSpotRefused):
        api.find(send, TOKEN, 1001)
    hubspot.then.clear()
    hubspot.generations["crm/owners"] = {"2026-03"}
    assert api.find(send, TOKEN, 1001)


def test_an_owner_who_was_deactivated_is_found_by_the_id_that_includes_inactive(
    hubspot: HubSpotUsers, send: Send
) -> None:
    hubspot.persons.append(Person(9685555, "gone@acme.example", archived=True))
    user = UsersAPI().find(send, TOKEN, 9685555)
    assert user
    assert user.emails == ("gone@acme.example",)


def test_a_user_who_is_no_owner_is_found_in_the_settings(hubspot: HubSpotUsers, send: Send) -> None:
    hubspot.persons.append(Person(55, "new@acme.example", (SUPPORT, ("3", "EU")), owner=False))
    api = UsersAPI()
    assert api.find(send, TOKEN, 55) is None  # the scope is not there
    hubspot.scopes.add(SETTINGS_SCOPE)
    user = api.find(send, TOKEN, 55)
    assert user
    assert user.emails == ("new@acme.example",)
    assert user.teams == (Team("368389", None), Team("3", None))
    hubspot.scopes.add(TEAMS_SCOPE)
    user = api.find(send, TOKEN, 55)
    assert user
    assert user.teams == (Team("368389", "Support"), Team("3", "EU"))


def test_the_settings_do_where_the_token_may_not_read_owners(
    hubspot: HubSpotUsers, send: Send
) -> None:
    hubspot.scopes = {SETTINGS_SCOPE}
    api = UsersAPI()
    user = api.find(send, TOKEN, 1002)
    assert user
    assert user.emails == ("ben@acme.example",)
    assert api.find(send, TOKEN, 7) is None
    assert [len(page.users) for page in api.pages(send, TOKEN)] == [12]


def test_a_queue_is_nobody(hubspot: HubSpotUsers, send: Send) -> None:
    hubspot.persons.append(Person(66, "queue@acme.example", type="QUEUE"))
    api = UsersAPI()
    assert api.find(send, TOKEN, 66) is None
    assert 66 not in {user.id for page in api.pages(send, TOKEN) for user in page.users}


@pytest.mark.parametrize("email", [None, "", "  "])
def test_a_user_may_have_no_address(hubspot: HubSpotUsers, send: Send, email: str | None) -> None:
    hubspot.persons.append(Person(77, email))
    user = UsersAPI().find(send, TOKEN, 77)
    assert user
    assert user.emails == ()


def test_another_user_than_asked_for_is_not_believed(hubspot: HubSpotUsers, send: Send) -> None:
    """As of an API that takes no notice of `idProperty`."""
    hubspot.then = [Reply({"id": "1001", "type": "PERSON", "userId": 5, "email": "x@x.example"})]
    with pytest.raises(HubSpotUnavailable, match="another user"):
        UsersAPI().find(send, TOKEN, 1001)


@pytest.mark.parametrize(
    ("token", "said"),
    [(EXPIRED, "the portal's token has expired (401)"), ("x", "HubSpot refuses the token (401)")],
)
def test_a_token_that_is_not_valid(
    hubspot: HubSpotUsers, send: Send, token: str, said: str
) -> None:
    with pytest.raises(HubSpotRefused) as raised:
        UsersAPI().find(send, token, 1001)
    assert str(raised.value) == said
    assert "docs/who-sees-what.md" in raised.value.remedy
    assert len(hubspot.asked) == 1


def test_missing_scopes_are_named(hubspot: HubSpotUsers, send: Send) -> None:
    hubspot.scopes = set()
    for call in (
        lambda: UsersAPI().find(send, TOKEN, 1001),
        lambda: list(UsersAPI().pages(send, TOKEN)),
    ):
        with pytest.raises(HubSpotRefused) as raised:
            call()
        assert raised.value.scopes == (OWNERS_SCOPE,)
        assert OWNERS_SCOPE in str(raised.value)
        assert OWNERS_SCOPE in raised.value.remedy


@pytest.mark.parametrize(
    ("reply", "said", "retry_after_s"),
    [
        (refusal(423, "locked"), "HubSpot answered 423, locked", None),
        (refusal(429, "slow down"), "HubSpot answered 429, too many requests", 1),
        (Reply(b"", 429, {"Retry-After": "7"}), "HubSpot answered 429, too many requests", 7),
        (
            Reply(b"", 477, {"Retry-After": "86400"}),
            "HubSpot answered 477, the portal is being moved to another data centre",
            86_400,
        ),
        (Reply(b"", 429, {"Retry-After": "9" * 400}), "HubSpot answered 429", 86_400),
        (Reply(b"<html>", 500), "HubSpot answered 500", None),
        (Reply(b"<html>", 503, {"Retry-After": "3"}), "HubSpot answered 503", 3),
        (Reply(b"", 302, {"Location": "https://x.example"}), "HubSpot answered 302", None),
        (Reply(b"<html>", 200), "HubSpot's answer cannot be read", None),
        (Reply([1]), "HubSpot's answer cannot be read: Expected `object`, got `array`", None),
        (Reply({"userId": 1001, "email": 5}), "Expected `str | null`, got `int`", None),
        (faults.reset, "HubSpot was not reached: ", None),
    ],
)
def test_what_passes_is_told_from_what_does_not(
    hubspot: HubSpotUsers, send: Send, reply: Any, said: str, retry_after_s: float | None
) -> None:
    hubspot.always = reply
    with pytest.raises(LookupFailed) as raised:
        UsersAPI().find(send, TOKEN, 1001)
    assert isinstance(raised.value, HubSpotUnavailable)
    assert said in str(raised.value)
    assert raised.value.retry_after_s == retry_after_s


def test_no_error_shows_a_token_or_what_hubspot_quotes(hubspot: HubSpotUsers, send: Send) -> None:
    context = {"requiredGranularScopes": [f"not a scope {TOKEN}"], "who": ["anna@acme.example"]}
    for status in (400, 401, 403, 429, 500):
        hubspot.always = refusal(status, f"{TOKEN} of anna@acme.example", context=context)
        with pytest.raises(LookupFailed) as raised:
            UsersAPI().find(send, TOKEN, 1001)
        shown = f"{raised.value!r} {getattr(raised.value, 'remedy', '')}"
        assert "token-of-tests" not in shown
        assert "anna" not in shown


def test_a_token_that_http_cannot_carry_is_refused(send: Send) -> None:
    with pytest.raises(HubSpotRefused, match="cannot carry"):
        UsersAPI().find(send, "pat-\n", 1001)


@pytest.mark.parametrize(("most", "pages"), [(500, 3), (100, 13), (499, 13)])
def test_all_users_come_page_by_page_by_the_largest_page_that_hubspot_takes(
    send: Send, hubspot: HubSpotUsers, most: int, pages: int
) -> None:
    hubspot.persons, hubspot.most = people(range(1, 1202)), most
    came = list(UsersAPI().pages(send, TOKEN))
    assert len(came) == pages
    assert [user.id for page in came for user in page.users] == list(range(1, 1202))


def test_an_odd_record_does_not_cost_the_others(hubspot: HubSpotUsers, send: Send) -> None:
    good = {"id": "1", "type": "PERSON", "userId": 5, "email": "x@acme.example", "teams": None}
    odd: list[Any] = [{"userId": 6, "email": {}}, None, {"id": "2", "userId": None}, good]
    hubspot.then = [Reply({"results": odd})]
    (page,) = UsersAPI().pages(send, TOKEN)
    assert [user.id for user in page.users] == [5]


def test_pages_that_lead_back_have_an_end(hubspot: HubSpotUsers, send: Send) -> None:
    hubspot.always = Reply({"results": [], "paging": {"next": {"after": "1"}}})
    with pytest.raises(HubSpotUnavailable, match="no end"):
        list(UsersAPI().pages(send, TOKEN))
    assert len(hubspot.asked) == 2


@pytest.mark.parametrize("change", [str, str.upper, str.title])
def test_a_user_is_found_by_address_whatever_its_case(
    hubspot: HubSpotUsers, send: Send, change: Callable[[str], str]
) -> None:
    user = UsersAPI().find_by_email(send, TOKEN, change(email_of(2003)))
    assert user
    assert user.id == 2003


def test_an_address_of_nobody_finds_nobody(send: Send) -> None:
    assert UsersAPI().find_by_email(send, TOKEN, "stranger@acme.example") is None
