"""Carriers that are asked by POST, with JSON, and those that want each request signed: they pass
the contract, which catches what is wrong about them."""

from collections.abc import Mapping
from itertools import count
from typing import Any, ClassVar

import msgspec
import pytest

from providers import JSON, HTTPProvider, Page, Query, Request
from providers.base import paging
from providers.base.listing import Listing
from providers.base.paging import Next
from providers.base.signing import AWSKey, signed_for_aws
from providers.testing import Asked, ByNumber, ByToken, Carrier, Paging, Reply
from providers.testing.carrier import reset
from providers.testing.signing import signed_for_aws as came_for_aws
from tests.support.wrong import assert_fails
from tests.test_providers_contract import Larkline, TestLarkline

pytest_plugins = ["pytester"]


class Posted(Larkline):
    """Larkline, had it an API of POSTs: cursor and size are in their JSON."""

    def first_page(self, query: Query) -> Request:
        path = f"accounts/{self.options.account_id}/lines"
        return Request(path, body={"limit": 250, "kind": "all", "label": None})

    def read_page(self, reply: Larkline.Reply) -> Page:
        return Page(map(self.read_number, reply.lines), self.following(reply.links.get("cursor")))

    def following(self, cursor: str | None) -> Next | None:
        return paging.token("cursor", cursor)


class TestPosted(TestLarkline):
    provider: ClassVar[Any] = Posted
    method = "POST"
    params: ClassVar[Mapping[str, Any]] = {"kind": "all"}
    paging = ByToken(token="cursor", at="links.cursor", size="limit", default=20, largest=250)

    def test_what_is_none_is_left_out_of_the_json(self) -> None:
        self.account().ask(Query())
        (asked,) = self.listings()
        assert asked.payload == {"limit": 250, "kind": "all"}
        assert asked.headers["Content-Type"] == "application/json"


class Signed(Posted):
    """The same, with each request signed."""

    def headers(self) -> Mapping[str, str]:
        return {}

    def authorise(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        key = AWSKey("7", self.options.api_key, "eu-1", "lines")
        return signed_for_aws(method, url, headers, body, key)


class TestSigned(TestPosted):
    provider: ClassVar[Any] = Signed
    authorization = ""

    def authorised(self, asked: Asked) -> bool:
        return came_for_aws(asked, "7", "not-a-real-key", "eu-1", "lines")


class Counted(Larkline):
    """Larkline, had it pages by number and a total alone."""

    class Reply(msgspec.Struct):
        lines: list[JSON]
        links: dict[str, int | None]

    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 250, "page": 0})

    def read_page(self, reply: Reply) -> Page:  # type: ignore[override]
        total, came = reply.links["total"] or 0, len(reply.lines)
        return Page(map(self.read_number, reply.lines), self.following(total, came))

    def following(self, total: int, came: int) -> Next | None:
        return paging.counted("page", "limit", total, came, first=0)


class TestCounted(TestLarkline):
    provider: ClassVar[Any] = Counted
    paging: ClassVar[Paging] = ByNumber(
        number="page", first=0, size="limit", default=20, largest=250, total_at="links.total"
    )


class CountedSideBySide(Counted):
    def following(self, total: int, came: int) -> Next | None:
        return paging.counted("page", "limit", total, came, first=0, side_by_side=True)


class TestCountedSideBySide(TestCounted):
    provider = CountedSideBySide
    side_by_side = True


@pytest.mark.parametrize(("body", "sent"), [({}, {}), ({"page": 0, "kind": None}, {"page": 0})])
def test_a_body_is_posted_even_if_it_says_nothing(body: JSON, sent: JSON) -> None:
    with Carrier(lambda _: Reply({})) as carrier:
        Listing(carrier.url, Query()).ask(Request("lines", body=body))
        (asked,) = carrier.asked
        assert (asked.method, asked.payload) == ("POST", sent)


@pytest.mark.parametrize("account", [Posted, Signed])
def test_each_try_is_authorised_anew(account: type[Posted]) -> None:
    """A second one may come after the signature of the first has ended."""
    tries: list[tuple[str, str, bytes]] = []

    class Tried(account):  # type: ignore[valid-type, misc] # one of the two
        def authorise(
            self, method: str, url: str, headers: Mapping[str, str], body: bytes
        ) -> Mapping[str, str]:
            tries.append((method, url, body))
            return {**headers, "X-Try": str(len(tries))}

    def answer(asked: Asked) -> Any:
        return Reply({"lines": [], "links": {}}) if asked.headers["X-Try"] == "2" else reset

    with Carrier(answer) as carrier:
        options = Tried.Options(account_id="7", api_key="k", base_url=carrier.url)
        assert Tried(options).ask(Query()) == []
        url = f"{carrier.url}/accounts/7/lines"
        assert tries == [("POST", url, carrier.asked[1].body)] * 2


# Wrong ones


class TokenInTheURL(Posted):
    def following(self, cursor: str | None) -> Next | None:
        return (lambda asked: asked._replace(params={"cursor": cursor})) if cursor else None


class OnlyTheTokenLater(Posted):
    """What the first body asked for is not asked for again."""

    def following(self, cursor: str | None) -> Next | None:
        return (lambda asked: asked._replace(body={"cursor": cursor})) if cursor else None


class AskedByGet(Posted):
    def first_page(self, query: Query) -> Request:
        posted = super().first_page(query)
        return Request(posted.path, posted.fields)


class AskedAgainWithAnotherBody(Posted):
    """So that the guard against circles sees a request that was never made before."""

    numbers = count()

    def following(self, cursor: str | None) -> Next | None:
        number = next(self.numbers)
        return (
            (lambda asked: asked.having("cursor", cursor).having("request", number))
            if cursor
            else None
        )


class SignedWithoutTheBody(Signed):
    def authorise(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        return super().authorise(method, url, headers, b"")


class SignedInAnotherForm(Signed):
    """What means the same is not the same bytes."""

    def authorise(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        return super().authorise(method, url, headers, msgspec.json.format(body))


class SignedOnceForAllPages(Signed):
    def authorise(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        kept: Mapping[str, str] | None = vars(self).get("kept")
        self.kept = kept or super().authorise(method, url, headers, body)
        return self.kept


class CountedByTheSizeAskedFor(Counted):
    def following(self, total: int, came: int) -> Next | None:
        last = -(-total // 250) - 1
        return paging.count_up("page", last)


class CountedFromOne(Counted):
    def first_page(self, query: Query) -> Request:
        return Request("accounts/7/lines", {"limit": 250, "page": 1})


class TotalMayBeMissing(Counted):
    def read_page(self, reply: Counted.Reply) -> Page:  # type: ignore[override]
        reply.links.setdefault("total", 0)
        return super().read_page(reply)


@pytest.mark.parametrize(
    ("wrong", "test", "right"),
    [
        (TokenInTheURL, "all_pages", "TestPosted"),
        (OnlyTheTokenLater, "all_pages", "TestPosted"),
        (AskedByGet, "documented", "TestPosted"),
        (AskedAgainWithAnotherBody, "circle", "TestPosted"),
        (SignedWithoutTheBody, "documented", "TestSigned"),
        (SignedInAnotherForm, "documented", "TestSigned"),
        (SignedOnceForAllPages, "all_pages", "TestSigned"),
        (CountedByTheSizeAskedFor, "made_smaller", "TestCounted"),
        (CountedFromOne, "documented", "TestCounted"),
        (TotalMayBeMissing, "not_told", "TestCounted"),
    ],
)
def test_what_is_wrong_with_a_posted_signed_or_counted_page_is_caught(
    pytester: pytest.Pytester, wrong: type[HTTPProvider], test: str, right: str
) -> None:
    assert_fails(pytester, wrong, test, f"test_providers_posted.{right}")
