"""Every built-in passes the contract, the contract catches adapters that are wrong, and both need
no more than a third party has: an adapter, and providers.testing."""

import importlib
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from msgspec import Meta

import providers
from providers import (
    JSON,
    HTTPProvider,
    OAuthProvider,
    Page,
    PhoneNumber,
    Query,
    Request,
    Secret,
    basic,
    bearer,
    paging,
    plus,
)
from providers.ringcentral import RingCentral
from providers.static import Static
from providers.testing import (
    Asked,
    ByLink,
    ByToken,
    LocalContract,
    OAuthContract,
    Paging,
    ProviderContract,
)
from providers.twilio import Twilio

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent


class TestStatic(LocalContract):
    provider = Static
    options = {
        "country": "US",
        "numbers": [
            {"number": "(202) 555-0143", "name": "Front desk", "owners": ["anna@acme.example"]},
            {"number": "+12025550100", "extension": "7"},
            {"number": "+12025550101", "voice": False},
        ],
    }
    expected = [
        PhoneNumber("(202) 555-0143", "Front desk", owners=("anna@acme.example",)),
        PhoneNumber("+12025550100", extension="7"),
        PhoneNumber("+12025550101", voice=False),
    ]


class TestTwilio(ProviderContract):
    provider = Twilio
    options = {"account_sid": "AC" + "0" * 32, "auth_token": "not-a-real-token"}
    authorization = basic("AC" + "0" * 32, "not-a-real-token")["Authorization"]
    path = f"/2010-04-01/Accounts/AC{'0' * 32}/IncomingPhoneNumbers.json"
    documented = {
        "end": 0,
        "first_page_uri": f"{path}?PageSize=50&Page=0",
        "incoming_phone_numbers": [
            {
                "account_sid": "AC" + "0" * 32,
                "beta": False,
                "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
                "date_created": "Thu, 30 Jul 2015 23:19:04 +0000",
                "friendly_name": "(202) 555-0143",
                "origin": "twilio",
                "phone_number": "+12025550143",
                "sid": "PN" + "0" * 32,
                "status": "in-use",
                "trunk_sid": None,
                "voice_receive_mode": "voice",
            }
        ],
        "next_page_uri": None,
        "page": 0,
        "page_size": 50,
        "previous_page_uri": None,
        "start": 0,
        "uri": f"{path}?PageSize=50&Page=0",
    }
    list_at, number_at, name_at = "incoming_phone_numbers", "phone_number", "friendly_name"
    paging = ByLink(at="next_page_uri", size="PageSize", default=50, largest=1000)
    strict_at = ("date_created",)
    unusable = [
        {"capabilities.voice": False},
        {"capabilities": None},
        {"voice_receive_mode": "fax"},
    ]
    expected = [PhoneNumber("+12025550143", "(202) 555-0143")]

    def select(self, items: list[JSON], asked: Asked) -> list[JSON]:
        wanted = asked.params.get("PhoneNumber", "")
        return [item for item in items if wanted in (item.get("phone_number") or "")]


class Larkline(HTTPProvider):
    """An invented carrier, as somebody who follows the documentation would write it."""

    name = "larkline"
    base_url = "https://api.larkline.example/v2/"

    class Reply(msgspec.Struct):
        lines: list[JSON]
        links: dict[str, str | None]

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        account_id: str
        api_key: Annotated[Secret, Meta(description="from their console")]

    options: Options

    def headers(self) -> Mapping[str, str]:
        return bearer(self.options.api_key)

    def first_page(self, query: Query) -> Request:
        return Request(f"accounts/{self.options.account_id}/lines", {"limit": 250})

    def read_page(self, reply: Reply) -> Page:
        return Page(map(self.read_number, reply.lines), paging.link(reply.links.get("next")))

    def read_number(self, line: JSON) -> PhoneNumber:
        return PhoneNumber(
            number=plus(line.get("msisdn")),
            name=line.get("label") or "",
            extension=line.get("ext"),
            voice=line.get("status") == "live",
            owners=tuple(str(user) for user in line.get("users") or ()),
        )


class TestLarkline(ProviderContract):
    provider: ClassVar[Any] = Larkline
    options = {"account_id": "7", "api_key": "not-a-real-key"}
    authorization = "Bearer not-a-real-key"
    path = "/v2/accounts/7/lines"
    documented = {
        "lines": [
            {"msisdn": "12025550143", "label": "Front desk", "status": "live", "users": [7]},
            {"msisdn": "12025550144", "label": None, "ext": "9", "status": "parked"},
        ],
        "links": {"next": None},
    }
    list_at, number_at, name_at = "lines", "msisdn", "label"
    paging: ClassVar[Paging] = ByLink(at="links.next", size="limit", default=20, largest=250)
    unusable = [{"status": "parked"}, {"status": None}]
    rate_limits = [
        ({"Retry-After": lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}"}, 60),
        ({"Retry-After": lambda at: f"{at:%Y-%m-%dT%H:%M:%S}"}, 60),
        ({"Retry-After": lambda at: str(int(at.timestamp()))}, 60),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "86400"}, 3600),
    ]
    expected = [
        PhoneNumber("+12025550143", "Front desk", owners=("7",)),
        PhoneNumber("+12025550144", extension="9", voice=False),
    ]

    def write_number(self, e164: str) -> str:
        return e164.lstrip("+")


class TestLarklineByToken(TestLarkline):
    """The same carrier with a cursor."""

    class ByCursor(Larkline):
        def read_page(self, reply: Larkline.Reply) -> Page:
            following = paging.token("cursor", reply.links.get("cursor"))
            return Page(map(self.read_number, reply.lines), following)

    provider = ByCursor
    paging = ByToken(token="cursor", at="links.cursor", size="limit", default=20, largest=250)


class LastPageSkipped(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        page = super().read_page(reply)
        return page if page.next or len(reply.lines) < 3 else Page(())


class OnePageOnly(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        return Page(super().read_page(reply).numbers)


class SmallPages(Larkline):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 100})


class HugePages(Larkline):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 1000})


class Backwards(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        page = super().read_page(reply)
        return Page(reversed(list(page.numbers)), page.next)


class EndsAtAnEmptyPage(Larkline):
    def read_page(self, reply: Larkline.Reply) -> Page:
        return super().read_page(reply) if reply.lines else Page(())


class VoiceIgnored(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        return msgspec.structs.replace(super().read_number(line), voice=True)


class PlusDropped(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        return msgspec.structs.replace(super().read_number(line), number=line["msisdn"])


class LabelRequired(Larkline):
    def read_number(self, line: JSON) -> PhoneNumber:
        return msgspec.structs.replace(super().read_number(line), name=line["label"].strip())


class Narrowing(Larkline):
    """Takes patterns for whole names, as some carriers' filters do."""

    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        found = super().list_numbers(query)
        return [number for number in found if not query.names or number.name in query.names]


class KeyInTheURL(Larkline):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 250, "key": self.options.api_key})


class KeyLogged(Larkline):
    def headers(self) -> Mapping[str, str]:
        logging.getLogger("larkline").debug("with %s", dict(super().headers()))
        return super().headers()


class KeyInTheError(Larkline):
    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        try:
            return list(super().list_numbers(query))
        except providers.Refused:
            raise providers.Refused("see the cause") from ValueError(f"{self.options.api_key}")


class FailuresSwallowed(Larkline):
    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        try:
            return list(super().list_numbers(query))
        except providers.ProviderError:
            return []


class LaterFailuresSwallowed(Larkline):
    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        found: list[PhoneNumber] = []
        try:
            found.extend(super().list_numbers(query))
        except providers.ProviderError:
            if not found:
                raise
        return found


class WrongShapeIsEmpty(Larkline):
    Reply: ClassVar[Any] = Any

    def read_page(self, reply: Any) -> Page:
        lines = reply.get("lines") if isinstance(reply, dict) else None
        return Page([self.read_number(line) for line in lines or [] if isinstance(line, dict)])


class SharedState(Larkline):
    """Keeps what it has found on itself, where another thread's listing clears it."""

    def list_numbers(self, query: Query) -> list[PhoneNumber]:
        self.found: list[PhoneNumber] = []
        for number in super().list_numbers(query):
            self.found.append(number)
        return self.found


class OptionsUntyped(Larkline):
    class Options(Larkline.Options, frozen=True, kw_only=True):
        account_id: str = "7"
        api_key: str = "not-a-real-key"  # type: ignore[assignment] # no Secret: that is the fault
        colour: str = "blue"


class TokenFetchedEachTime(RingCentral):
    def fetch(self, listing: Any, request: Request) -> Any:
        self._until = 0.0
        return super().fetch(listing, request)


class TokenKeptForEver(RingCentral):
    def _forget(self, token: str) -> None:
        """Nothing."""


WRONG: list[tuple[type[HTTPProvider], str]] = [
    (LastPageSkipped, "all_pages"),
    (OnePageOnly, "all_pages"),
    (SmallPages, "fewest_requests"),
    (HugePages, "documented"),
    (Backwards, "in_order"),
    (EndsAtAnEmptyPage, "empty_page"),
    (VoiceIgnored, "cannot_take_calls"),
    (PlusDropped, "all_pages"),
    (LabelRequired, "odd_fields"),
    (Narrowing, "a_rule"),
    (KeyInTheURL, "documented"),
    (KeyLogged, "documented"),
    (KeyInTheError, "told_apart and 401"),
    (FailuresSwallowed, "told_apart and 401"),
    (LaterFailuresSwallowed, "told_apart and 503 and later"),
    (WrongShapeIsEmpty, "wrong_shape"),
    (SharedState, "threads"),
    (OptionsUntyped, "unknown_option"),
    (TokenFetchedEachTime, "share_a_token"),
    (TokenKeptForEver, "revoked"),
]


@pytest.mark.parametrize(("wrong", "test"), WRONG, ids=[wrong.__name__ for wrong, _ in WRONG])
def test_a_wrong_adapter_fails(
    pytester: pytest.Pytester, wrong: type[HTTPProvider], test: str
) -> None:
    right = "TestRingCentral" if issubclass(wrong, RingCentral) else "TestLarkline"
    home = "test_provider_ringcentral" if issubclass(wrong, RingCentral) else "test_contract"
    pytester.syspathinsert(HERE)
    pytester.makepyfile(
        f"import {home}, test_contract\n"
        f"class TestWrong({home}.{right}): provider = test_contract.{wrong.__name__}"
    )
    done = pytester.runpytest_inprocess("-k", test, "-p", "no:cacheprovider")
    outcome = done.parseoutcomes()
    assert outcome.get("failed", 0) + outcome.get("errors", 0), done.outlines


@pytest.mark.parametrize(
    ("rule", "params", "following"),
    [
        (paging.link("/v2/lines?after=7"), {}, Request("/v2/lines?after=7")),
        (paging.link(""), {}, None),
        (paging.link(None), {}, None),
        (paging.token("cursor", "a/b+c="), {"limit": 9}, {"limit": 9, "cursor": "a/b+c="}),
        (paging.token("cursor", "b"), {"cursor": "a"}, {"cursor": "b"}),
        (paging.token("cursor", ""), {"cursor": "a"}, None),
        (paging.token("cursor", None), {}, None),
        (paging.count_up("page", 3), {"page": 1, "size": 9}, {"page": 2, "size": 9}),
        (paging.count_up("page", 3), {"page": 2}, {"page": 3}),
        (paging.count_up("page", 3), {"page": 3}, None),
        (paging.count_up("page", 3), {"size": 9}, {"page": 2, "size": 9}),
        (paging.count_up("page", 1), {}, None),
        (paging.count_up("page", 0), {"page": 1}, None),
        (paging.count_up("page", 1, full=True), {"page": 1}, None),
        (paging.count_up("page", None, full=True), {"page": 1}, {"page": 2}),
        (paging.count_up("page", None), {"page": 1}, None),
        (paging.count_up("index", paging.pages(200, 100)), {"index": 2}, None),
        (paging.count_up("index", paging.pages(201, 100)), {"index": 2}, {"index": 3}),
        (paging.offset("offset", 20, 40), {"limit": 20}, {"limit": 20, "offset": 20}),
        (paging.offset("offset", 20, 41), {"offset": 20}, {"offset": 40}),
        (paging.offset("offset", 20, 40), {"offset": 20}, None),
        (paging.offset("offset", 20, 0), {}, None),
    ],
)
def test_a_paging_rule_gives_the_next_request(rule: Any, params: JSON, following: Any) -> None:
    found = rule(Request("lines", params)) if callable(rule) else rule
    wanted = Request("lines", following) if isinstance(following, dict) else following
    assert found == wanted


def test_every_built_in_has_a_contract() -> None:
    names = [path.stem for path in HERE.glob("test_provider_*.py")]
    modules = [*map(importlib.import_module, names), sys.modules[__name__]]
    kinds = [kind for module in modules for kind in vars(module).values()]
    contracts = {
        kind.provider: kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, LocalContract) and "provider" in vars(kind)
    }
    for name in providers.BUILT_IN:
        provider = providers.load(name)
        assert provider in contracts, f"no contract class for {name} in tests/"
        over_http = OAuthContract if issubclass(provider, OAuthProvider) else ProviderContract
        fitting = LocalContract if provider is Static else over_http
        assert issubclass(contracts[provider], fitting), name


def test_nothing_that_serves_needs_pytest(pytester: pytest.Pytester) -> None:
    root = HERE.parent
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import app, providers\n"
        "for name in providers.BUILT_IN: providers.load(name)\n"
        "assert not {'pytest', 'providers.testing', 'providers.fake'} & set(sys.modules)"
    )
    assert pytester.run(sys.executable, "-c", code).ret == 0
