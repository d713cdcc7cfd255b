"""Twilio, against a server that follows its description."""

from collections.abc import Mapping
from typing import Any

import pytest

from helpdesk_numbers.directory.toml import parse
from providers import JSON, Deadline, PhoneNumber, Query, basic
from providers.base.errors import ProviderError, Refused, Unreadable
from providers.base.options import Faults
from providers.testing import Asked, ByLink, ProviderContract
from providers.testing.carrier import Carrier, Reply
from providers.twilio import Twilio
from tests.support.carrier import (
    SID,
    TOKEN,
    Record,
    TwilioAPI,
    can_take_calls,
    documented,
    says,
    twilio_numbers,
)

SUB = "AC" + "0" * 31 + "2"
LIST = f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json"


class TestTwilio(ProviderContract):
    provider = Twilio
    options = {"account_sid": SID, "auth_token": TOKEN}
    host = "https://api.twilio.com"
    authorization = basic(SID, TOKEN)["Authorization"]
    path = LIST
    documented = documented("twilio/numbers")
    list_at, number_at, name_at = "incoming_phone_numbers", "phone_number", "friendly_name"
    paging = ByLink(at="next_page_uri", size="PageSize", default=50, largest=1000)
    strict_at = ("date_created", "date_updated")
    unusable = [
        {"capabilities.voice": False},
        {"capabilities": None},
        {"voice_receive_mode": "fax"},
    ]
    expected = [PhoneNumber("+18085550127", "(808) 555-0127")]

    def select(self, items: list[JSON], asked: Asked) -> list[JSON]:
        wanted = asked.params.get("PhoneNumber", "")
        return [item for item in items if wanted in (item.get("phone_number") or "")]


def account(environ: Mapping[str, str] | None = None, /, **options: str) -> Twilio:
    """An account as the directory makes it from these options."""
    given = {"account_sid": SID, "auth_token": TOKEN} | options
    table = "".join(f"{name} = '{value}'\n" for name, value in given.items() if value)
    text = f"[accounts.acme]\nprovider = 'twilio'\n{table}[portals.1]\naccounts = ['acme']"
    made = parse(text, environ or {}).accounts["acme"]
    assert isinstance(made, Twilio)
    return made


def usable(numbers: list[PhoneNumber]) -> list[str]:
    return [one.number for one in numbers if one.voice]


def expected(records: list[Record]) -> list[str]:
    return [one["phone_number"] for one in records if can_take_calls(one)]


def test_2500_numbers_come_in_three_requests(carrier: Carrier, twilio: TwilioAPI) -> None:
    records = twilio_numbers(2500)
    twilio.add_account(SID, TOKEN, records)
    found = account(base_url=carrier.url).ask(Query())
    assert [(one.number, one.name) for one in found] == [
        (one["phone_number"], one["friendly_name"]) for one in records
    ]
    assert usable(found) == expected(records)
    assert len(usable(found)) == 1750
    assert [asked.params["PageSize"] for asked in carrier.asked] == ["1000"] * 3


def test_an_empty_account_has_no_numbers(carrier: Carrier, twilio: TwilioAPI) -> None:
    twilio.add_account(SID, TOKEN, [])
    assert account(base_url=carrier.url).ask(Query()) == []


# Credentials and addresses


def test_a_sub_account_is_read_with_its_parents_credentials(
    carrier: Carrier, twilio: TwilioAPI
) -> None:
    twilio.add_account(SID, TOKEN, twilio_numbers(10))
    twilio.add_account(SUB, "its-own", twilio_numbers(10, area=301), parent=(SID, TOKEN))
    mine = account(base_url=carrier.url, account_sid=SUB, parent_account_sid=SID)
    assert usable(mine.ask(Query())) == expected(twilio_numbers(10, area=301))
    assert carrier.asked[0].path.split("/")[3] == SUB
    assert carrier.asked[0].basic == (SID, TOKEN)


def test_a_sub_account_does_not_reach_its_parent(carrier: Carrier, twilio: TwilioAPI) -> None:
    twilio.add_account(SID, TOKEN, twilio_numbers(10))
    twilio.add_account(SUB, "its-own", twilio_numbers(10), parent=(SID, TOKEN))
    mine = account(base_url=carrier.url, parent_account_sid=SUB, auth_token="its-own")
    assert isinstance(failure(mine), Refused)


def test_an_api_key_reads_its_account(carrier: Carrier, twilio: TwilioAPI) -> None:
    twilio.add_account(SID, TOKEN, twilio_numbers(10))
    twilio.add_key("SK1", "secret-of-the-key", SID)
    mine = account(
        base_url=carrier.url, auth_token="", api_key="SK1", api_secret="secret-of-the-key"
    )
    assert usable(mine.ask(Query())) == expected(twilio_numbers(10))
    assert carrier.asked[0].path == LIST
    assert carrier.asked[0].basic == ("SK1", "secret-of-the-key")


@pytest.mark.parametrize(
    "options",
    [
        {"auth_token": ""},
        {"auth_token": "", "api_key": "SK1"},
        {"auth_token": "", "api_secret": "s"},
        {"api_key": "SK1"},
        {"api_key": "SK1", "api_secret": "s"},
        {"account_sid": ""},
        {"account_sid": "SK1"},
        {"base_url": "api.twilio.com"},
        {"user": "me"},
    ],
)
def test_options_that_make_no_account_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(Faults) as caught:
        account(**options)
    assert all(fault.startswith("accounts.acme.") for fault in caught.value.faults)
    assert TOKEN not in str(caught.value)


def test_what_stands_around_a_variables_value_is_no_part_of_it() -> None:
    """A secret out of a file ends in a line feed: https://github.com/kubernetes/kubernetes/issues/23404"""
    mine = account({"MINE": " AC1\n"}, account_sid="env:MINE")
    assert mine.options.account_sid == "AC1"
    with pytest.raises(Faults, match="account_sid: the environment variable MINE is not set"):
        account({"MINE": " \n"}, account_sid="env:MINE")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"region": "ie1"}, "edge: missing"),
        ({"region": "dublin.ie1"}, "region: such as ie1"),
        ({"region": "dublin", "edge": "ie1"}, "region: such as ie1"),
        ({"region": "https://api.dublin.ie1.twilio.com", "edge": "dublin"}, "region: such as ie1"),
        ({"edge": "https://dublin.twilio.com"}, "edge: such as dublin"),
        ({"edge": "dublin.ie1"}, "edge: such as dublin"),
    ],
)
def test_regions_that_no_host_has_are_told_at_the_start(
    options: dict[str, str], fault: str
) -> None:
    with pytest.raises(Faults, match=fault):
        account(**options)


def test_a_base_url_may_have_a_path(carrier: Carrier) -> None:
    twilio = TwilioAPI("/proxy/twilio")
    twilio.add_account(SID, TOKEN, twilio_numbers(2500))
    carrier.answer = twilio
    for slash in ("", "/"):
        found = account(base_url=f"{carrier.url}/proxy/twilio{slash}").ask(Query())
        assert usable(found) == expected(twilio_numbers(2500))
    assert {asked.path for asked in carrier.asked} == {f"/proxy/twilio{LIST}"}


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "api.twilio.com"),
        ({"region": "us1"}, "api.us1.twilio.com"),
        ({"edge": "dublin"}, "api.dublin.us1.twilio.com"),
        ({"region": "ie1", "edge": "dublin"}, "api.dublin.ie1.twilio.com"),
    ],
)
def test_region_and_edge_choose_the_host(
    carrier: Carrier,
    twilio: TwilioAPI,
    options: dict[str, str],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen by a proxy, which is asked for the URL instead of the host itself."""
    monkeypatch.setattr(Twilio, "base_url", "http://api.twilio.com")
    monkeypatch.setenv("http_proxy", carrier.url)
    monkeypatch.setenv("HTTP_PROXY", carrier.url)
    twilio.add_account(SID, TOKEN, twilio_numbers(2500))
    carrier.answer = lambda asked: twilio(type(asked)(asked.target.split(host)[1], asked.headers))
    assert usable(account(**options).ask(Query())) == expected(twilio_numbers(2500))
    assert [asked.target.partition("/2010")[0] for asked in carrier.asked] == [f"http://{host}"] * 3


def test_the_default_host_is_called_by_tls() -> None:
    assert Twilio.base_url == "https://api.twilio.com"


def test_region_and_edge_leave_a_base_url_alone(carrier: Carrier, twilio: TwilioAPI) -> None:
    twilio.add_account(SID, TOKEN, twilio_numbers(10))
    mine = account(base_url=carrier.url, region="ie1", edge="dublin")
    assert usable(mine.ask(Query())) == expected(twilio_numbers(10))


def test_the_process_environment_does_not_reach_an_account(
    carrier: Carrier, twilio: TwilioAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCOUNT_SID", "AUTH_TOKEN", "REGION", "EDGE", "BASE_URL", "API_KEY"):
        monkeypatch.setenv(f"TWILIO_{name}", "of-somebody-else")
    twilio.add_account(SID, TOKEN, twilio_numbers(10))
    mine = account({"TWILIO_REGION": "au1"}, base_url=carrier.url)
    assert usable(mine.ask(Query())) == expected(twilio_numbers(10))
    assert carrier.asked[0].basic == (SID, TOKEN)
    assert "of-somebody-else" not in str(carrier.asked[0].headers)


# By number


def test_one_wanted_number_is_one_small_request(carrier: Carrier, twilio: TwilioAPI) -> None:
    records = twilio_numbers(2500)
    twilio.add_account(SID, TOKEN, records)
    wanted = expected(records)[1234]
    found = account(base_url=carrier.url).ask(Query((wanted,)))
    assert usable(found) == [wanted]
    assert [asked.params["PhoneNumber"] for asked in carrier.asked] == [wanted]


def test_two_wanted_of_a_large_account_are_two_requests(
    carrier: Carrier, twilio: TwilioAPI
) -> None:
    records = twilio_numbers(2500)
    twilio.add_account(SID, TOKEN, records)
    mine = account(base_url=carrier.url)
    mine.ask(Query())
    carrier.asked.clear()
    wanted = (expected(records)[1700], expected(records)[3])
    assert usable(mine.ask(Query(wanted))) == list(wanted)
    assert [asked.params.get("PhoneNumber") for asked in carrier.asked] == list(wanted)


def test_two_wanted_of_a_small_account_are_one_request(carrier: Carrier, twilio: TwilioAPI) -> None:
    records = twilio_numbers(100)
    twilio.add_account(SID, TOKEN, records)
    wanted = expected(records)[5:7]
    found = usable(account(base_url=carrier.url).ask(Query(tuple(wanted))))
    assert set(wanted) <= set(found)
    assert len(carrier.asked) == 1


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_asking_by_number_finds_what_listing_finds(
    carrier: Carrier, twilio: TwilioAPI, seen: bool, count: int
) -> None:
    records = twilio_numbers(2500)
    twilio.add_account(SID, TOKEN, records)
    mine = account(base_url=carrier.url)
    if seen:
        mine.ask(Query())
    carrier.asked.clear()
    step = len(records) // count
    wanted = {one["phone_number"] for one in records[::step]} | {"+12995550199"}
    found = usable(mine.ask(Query(tuple(sorted(wanted)))))
    assert wanted & set(found) == wanted & set(expected(records))
    assert len(carrier.asked) <= 3 + 2


# Odd records


@pytest.mark.parametrize(
    ("changed", "number", "name", "voice"),
    [
        ({"friendly_name": None}, "+18085550127", "", True),
        ({"friendly_name": ""}, "+18085550127", "", True),
        ({"phone_number": None}, "", "(808) 555-0127", True),
        ({"capabilities": None}, "+18085550127", "(808) 555-0127", False),
        ({"capabilities": ["voice"]}, "+18085550127", "(808) 555-0127", False),
        ({"capabilities": {}}, "+18085550127", "(808) 555-0127", False),
        ({"capabilities": {"voice": "true"}}, "+18085550127", "(808) 555-0127", False),
        ({"capabilities": {"voice": 1}}, "+18085550127", "(808) 555-0127", False),
        ({"voice_receive_mode": "fax"}, "+18085550127", "(808) 555-0127", False),
        ({"voice_receive_mode": None}, "+18085550127", "(808) 555-0127", True),
        ({"voice_receive_mode": "new"}, "+18085550127", "(808) 555-0127", True),
        ({"date_created": None, "date_updated": ""}, "+18085550127", "(808) 555-0127", True),
        ({"date_created": "last Tuesday"}, "+18085550127", "(808) 555-0127", True),
        ({"a_new_field": [{}]}, "+18085550127", "(808) 555-0127", True),
    ],
)
def test_an_odd_record_survives(
    carrier: Carrier, changed: Record, number: str, name: str, voice: bool
) -> None:
    page = documented("twilio/numbers")
    page["incoming_phone_numbers"] = [
        page["incoming_phone_numbers"][0] | changed,
        {"phone_number": "+18085550128", "capabilities": {"voice": True}},
    ]
    carrier.answer = says(page)
    assert account(base_url=carrier.url).ask(Query()) == [
        PhoneNumber(number, name, voice=voice),
        PhoneNumber("+18085550128"),
    ]


# Failures


def failure(asked: Twilio, seconds: float = 10) -> ProviderError:
    """The error that asking ends in, seen to name the account and to keep its secrets."""
    with pytest.raises(ProviderError) as caught:
        asked.ask(Query(deadline=Deadline(seconds)))
    error = caught.value
    assert (error.account, error.provider) == ("acme", "twilio")
    for shown in (str(error), repr(error)):
        for secret in (TOKEN, SID, "8085550", "2025550", "http:", "html"):
            assert secret not in shown
    return error


def test_wrong_credentials_are_refused_with_twilios_code(carrier: Carrier) -> None:
    error = failure(account(base_url=carrier.url, auth_token="another-token"))
    assert isinstance(error, Refused)
    assert str(error) == "answered 401 with code 20003"


PAGE = documented("twilio/numbers")
ANSWERS: dict[str, tuple[Reply, type[ProviderError]]] = {
    "307": (Reply(status=307, headers={"Location": "/elsewhere"}), Unreadable),
    "not UTF-8": (Reply(b'{"incoming_phone_numbers": ["\xff"]}'), Unreadable),
    "another list": (Reply({"errors": []}), Unreadable),
    "a null number": (Reply(PAGE | {"incoming_phone_numbers": [None]}), Unreadable),
    "a link that is no text": (Reply(PAGE | {"next_page_uri": 7}), Unreadable),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_failure(carrier: Carrier, kind: str) -> None:
    reply, expected_error = ANSWERS[kind]
    carrier.answer = lambda _: reply
    error = failure(account(base_url=carrier.url))
    assert type(error) is expected_error
    assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:{}/x", "//127.0.0.1:{}/x", "@127.0.0.1:{}/x", "\\@127.0.0.1:{}/x"]
)
def test_a_link_to_another_host_is_not_followed(carrier: Carrier, link: str) -> None:
    with Carrier(says(PAGE)) as other:
        page: dict[str, Any] = PAGE | {"next_page_uri": link.format(other.port)}
        carrier.answer = lambda asked: Reply(page) if asked.path == LIST else Reply(status=404)
        assert isinstance(failure(account(base_url=carrier.url)), Refused | Unreadable)
        assert other.connections == 0
