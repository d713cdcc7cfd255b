"""Every built-in passes the contract, and so does an adapter made with no more than a third party
has: providers and providers.testing. Those that are wrong are in test_wrong_adapters.py."""

import importlib
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
    bearer,
    plus,
)
from providers.base import paging
from providers.static import Static
from providers.testing import (
    ByLink,
    ByToken,
    LocalContract,
    OAuthContract,
    Paging,
    ProviderContract,
    Unpaged,
)

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent


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
        return Page(map(self.read_number, reply.lines), paging.link(reply.links["next"]))

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
    host = "https://api.larkline.example"
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


class TestLarklineOfUnknownDefault(TestLarkline):
    """Nothing says how many numbers a page has by default."""

    paging = ByLink(at="links.next", size="limit", largest=250)


class TestLarklineWithKind(TestLarkline):
    """The same carrier, which has to be asked for all kinds of lines."""

    class OfAllKinds(Larkline):
        def first_page(self, query: Query) -> Request:
            return Request(
                f"accounts/{self.options.account_id}/lines", {"limit": 250, "kind": "all"}
            )

    provider = OfAllKinds
    params = {"kind": "all"}


class TestLarklineNested(TestLarkline):
    """The number is in an object of its own."""

    class Nested(Larkline):
        def read_number(self, line: JSON) -> PhoneNumber:
            number = line.get("line")
            inner = number if isinstance(number, dict) else {}
            return super().read_number(line | {"msisdn": inner.get("msisdn")})

    provider = Nested
    documented: ClassVar[Any] = {
        "lines": [
            {key: value for key, value in line.items() if key != "msisdn"}
            | {"line": {"msisdn": line["msisdn"]}}
            for line in TestLarkline.documented["lines"]
        ],
        "links": {"next": None},
    }
    number_at = "line.msisdn"


class TestLarklineUnpaged(TestLarkline):
    """All lines at once."""

    class AtOnce(Larkline):
        def first_page(self, query: Query) -> Request:
            return Request(f"accounts/{self.options.account_id}/lines")

        def read_page(self, reply: Larkline.Reply) -> Page:
            return Page(map(self.read_number, reply.lines))

    provider = AtOnce
    paging = Unpaged()


class TestLarklineByToken(TestLarkline):
    """The same carrier with a cursor."""

    class ByCursor(Larkline):
        def read_page(self, reply: Larkline.Reply) -> Page:
            following = paging.token("cursor", reply.links.get("cursor"))
            return Page(map(self.read_number, reply.lines), following)

    provider = ByCursor
    paging = ByToken(token="cursor", at="links.cursor", size="limit", default=20, largest=250)


def test_every_built_in_has_a_contract() -> None:
    names = [path.stem for path in HERE.glob("test_providers_*.py")]
    modules = map(importlib.import_module, names)
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
        "assert not {'pytest', 'providers.testing', 'providers.testing.carrier'} & set(sys.modules)"
    )
    assert pytester.run(sys.executable, "-c", code).ret == 0
