"""The tests behind providers/testing/__init__.py, which is what to import: those over HTTP."""

import copy
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from ..base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from ..base.http import HTTPProvider
from ..base.provider import ANYBODY, Deadline, Query
from .carrier import (
    ABSENT,
    Asked,
    ByLink,
    ByToken,
    Carrier,
    Fault,
    Paging,
    Reply,
    Shown,
    break_off,
    drip_body,
    hang,
    put,
    reset,
)
from .local import LocalContract, by_rule, e164

Spoil = Callable[[Asked], Reply | Fault | None]
"""Something else to answer with, or None for what the carrier answers."""

Moment = Callable[[datetime], str]
RateLimit = tuple[Mapping[str, str | Moment], float]

PATIENCE_S = 0.15
SLACK_S = 2.0  # for a busy machine, beyond the deadline


class ProviderContract(LocalContract):
    """For a provider that asks a carrier over HTTP.

    A small server plays the carrier: it wants `authorization`, splits its numbers over pages by
    `paging` and answers with the documented body, its list exchanged.
    """

    authorization: ClassVar[str]
    """The header that the carrier expects: `basic(user, password)["Authorization"]`, or `Bearer …`.
    The carrier answers 401 to any other."""

    path: ClassVar[str]
    """The listing's whole path, `/v2/phone_numbers`."""

    paging: ClassVar[Paging]

    documented: ClassVar[Any]
    """A reply's body as the carrier documents it; `expected` is what it reads as."""

    list_at: ClassVar[str]
    """Where in it the list sits, dotted: `data`."""

    number_at: ClassVar[str] = "number"
    name_at: ClassVar[str] = ""
    """Where in an item the number and, if it has one, the label sit."""

    unusable: ClassVar[Sequence[Mapping[str, Any]]]
    """Changes, by place, to the first documented item, each of which leaves it without calls."""

    list_may_be_missing: ClassVar[bool] = False
    """Whether the carrier leaves the list out when there is nothing in it."""

    strict_at: ClassVar[Sequence[str]] = ()
    """Places in an item where a vendor's own client takes nothing odd."""

    rate_limits: ClassVar[Sequence[RateLimit]] = ()
    """The carrier's own headers of a 429, and the seconds that they say. Where they name the moment
    itself, the value is a function that writes it: `lambda at: str(int(at.timestamp()))`."""

    users: ClassVar[Mapping[str, Sequence[str]]] = {}
    """At platforms whose owners are ids: e-mail addresses that `other` finds, and those ids."""

    def write_number(self, e164: str) -> Any:
        """A number as the carrier writes it."""
        return e164

    def other(self, asked: Asked) -> Reply:
        """The answer to any other path: a search for a user by e-mail address, say."""
        return Reply({"error": "not found"}, 404)

    def authorised(self, asked: Asked) -> bool:
        return asked.headers["Authorization"] == self.authorization

    def items(self) -> list[Any]:
        """The documented items; override it and `body` where those are not JSON."""
        found = self.documented
        for key in self.list_at.split("."):
            found = found[key]
        return list(copy.deepcopy(found))

    def body(self, shown: Shown) -> Any:
        """A page's body: what is not bytes is sent as JSON."""
        body = copy.deepcopy(self.documented)
        put(body, self.list_at, shown.items)
        for at, value in self.paging.fields(shown).items():
            put(body, at, value)
        return body

    def select(self, items: list[Any], asked: Asked) -> list[Any]:
        """What the carrier's own filters leave, if the adapter uses any."""
        return items

    # What the tests below are made with.

    carrier: Carrier
    kinds: list[Any]
    listed: list[Any]
    spoil: Spoil | None
    bend: Callable[[Shown], Shown]

    @pytest.fixture(autouse=True)
    def play(self) -> Iterator[None]:
        yield from self.playing()

    def playing(self) -> Iterator[None]:
        self.kinds, self.listed = self.items(), self.items()
        self.spoil, self.bend = None, lambda shown: shown
        with Carrier(self.answer) as self.carrier:
            yield
        if self.carrier.failures:  # a fault of the test's own
            raise self.carrier.failures[0]
        targets = " ".join(asked.target for asked in self.carrier.asked)
        assert not [secret for secret in self.secrets() if secret in targets], "a secret in a URL"

    def secrets(self) -> set[str]:
        return super().secrets() | {self.authorization.partition(" ")[2] or self.authorization}

    def settings(self) -> dict[str, Any]:
        below = urlsplit(getattr(self.provider, "base_url", "")).path
        return super().settings() | {"base_url": self.carrier.url + below}

    def make(self, index: int) -> Any:
        """An item of the documented kind with a number, and a name, of its own."""
        item = copy.deepcopy(self.kinds[index % len(self.kinds)])
        put(item, self.number_at, self.write_number(made(index)))
        if self.name_at:
            put(item, self.name_at, f"Line {index}")
        return item

    def page_of(self, items: list[Any]) -> Any:
        """The body of a page with these items and no other page after it."""
        asked = Asked(self.path, Message(), url=self.carrier.url)
        return self.body(Shown(asked, items, 0, self.paging.largest, len(items), None))

    def answer(self, asked: Asked) -> Reply | Fault:
        spoilt = self.spoil(asked) if self.spoil else None
        if spoilt is not None:
            return spoilt
        if not self.authorised(asked):
            return Reply({"error": "who are you"}, 401)
        if asked.path != self.path:
            return self.other(asked)
        shown = self.paging.shown(asked, self.select(self.listed, asked))
        return Reply(self.body(self.bend(shown))) if shown else Reply({"error": "page size"}, 400)

    def listings(self) -> list[Asked]:
        """The requests for the listing so far."""
        return [asked for asked in self.carrier.asked if asked.path == self.path]

    def is_at(self, where: str, asked: Asked) -> bool:
        """Whether a failure meant for that place belongs here."""
        first = asked.path == self.path and asked.target == self.listings()[0].target
        return first if where == "the first page" else asked.path == self.path and not first

    def fails(self, patience_s: float = 10, **changes: str) -> ProviderError:
        """The error of a listing, none of whose texts shows a secret or a number."""
        account = self.account(**changes)
        with pytest.raises(ProviderError) as caught:
            account.ask(Query(deadline=Deadline(patience_s)))
        error = caught.value
        assert (error.account, error.provider) == ("the-account", self.provider.name)
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert not [secret for secret in self.secrets() if secret in shown], "a secret in an error"
        assert "55501" not in shown, "a number in an error"
        return error

    # Pages

    @pytest.mark.parametrize("count", ["none", "1000", "whole pages", "one more"])
    def test_all_pages_are_read_in_order_in_the_fewest_requests(self, count: str) -> None:
        largest = self.paging.largest
        size = {"none": 0, "1000": 1000, "whole pages": 2 * largest, "one more": 2 * largest + 1}
        total = size[count]
        self.listed = [self.make(index) for index in range(total)]
        found = self.account().ask(Query())
        assert [e164(number) for number in found] == [made(index) for index in range(total)]
        assert len(self.listings()) == max(1, -(-total // largest))
        if self.name_at:
            assert [number.name for number in found] == [f"Line {n}" for n in range(total)]

    def test_an_empty_page_is_not_the_end(self) -> None:
        self.listed = [self.make(index) for index in range(3)]
        if isinstance(self.paging, ByLink | ByToken):
            self.bend = lambda shown: (
                replace(shown, items=[], following=0) if len(self.listings()) == 1 else shown
            )
        assert len(self.account().ask(Query())) == 3

    def test_an_empty_page_that_leads_to_itself_is_the_end(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            end = self.paging.largest
            self.listed = [self.make(index) for index in range(end + 1)]
            self.bend = lambda shown: (
                replace(shown, items=[], following=end) if shown.start else shown
            )
            assert len(self.account().ask(Query())) == end

    def test_empty_pages_without_end_are_given_up(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            self.bend = lambda shown: replace(shown, items=[], following=shown.start + 1)
            assert type(self.fails()) is Unreadable
            assert len(self.listings()) < 50

    def test_after_a_cursor_that_has_ended_the_list_is_read_again_once(self) -> None:
        self.listed = [self.make(index) for index in range(self.paging.largest + 1)]
        stale = [Reply({"code": 7}, 400)]
        self.spoil = lambda asked: (
            stale.pop() if stale and self.is_at("a later page", asked) else None
        )
        assert len(self.account().ask(Query())) == len(self.listed)
        assert not stale

    def test_pages_in_a_circle_are_refused(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            largest = self.paging.largest
            self.listed = [self.make(index) for index in range(largest + 1)]
            self.bend = lambda shown: replace(shown, following=0 if shown.start else largest)
            assert type(self.fails()) is Unreadable
            assert len(self.listings()) == 3

    def test_a_page_that_leads_to_itself_is_refused(self) -> None:
        if isinstance(self.paging, ByLink | ByToken):
            self.bend = lambda shown: replace(shown, following=0)
            assert type(self.fails()) is Unreadable
            assert len(self.listings()) == 2

    def test_a_link_to_another_host_is_refused(self) -> None:
        if isinstance(self.paging, ByLink):
            with Carrier(lambda _: Reply({}, 401)) as stranger:
                for host in (stranger.url, stranger.url.removeprefix("http:")):
                    self.bend = partial(replace, following=0, host=host)
                    error = self.fails()
                    # a vendor's client may take any link for a path on its own host
                    assert type(error) is Unreadable or not issubclass(self.provider, HTTPProvider)
                assert not stranger.asked

    # Numbers

    def test_numbers_that_cannot_take_calls_say_so(self) -> None:
        for changes in ({}, *self.unusable):
            item = self.items()[0]
            for at, value in changes.items():
                put(item, at, value)
            self.listed = [item]
            (number,) = self.account().ask(Query())
            assert number.voice is not bool(changes), changes

    def test_null_missing_and_odd_fields_are_survived(self) -> None:
        for at, value in places(self.items()[0]):
            scalar = isinstance(value, str | int) and at not in self.strict_at
            odd = [12345, "an odd word", ""] if scalar else []
            for change in [None, ABSENT, *(odd if at != self.number_at else [""])]:
                self.listed = [self.make(0), self.make(1)]
                put(self.listed[0], at, change)
                found = [e164(number) for number in self.account().ask(Query())]
                wanted = [made(1)] if at == self.number_at else [made(0), made(1)]
                assert [number for number in found if number] == wanted, (at, change)

    def test_an_address_stands_for_its_users_ids(self) -> None:
        everything = self.account().ask(Query())
        for email, ids in self.users.items():
            wanted = set().union(*(by_rule(everything, (), (), one) for one in ids))
            assert wanted, "no documented item belongs to the user"
            for owner in (email, ANYBODY):
                found = self.account().ask(Query(owner=owner))
                assert by_rule(found, (), (), email) == wanted

    def test_an_unknown_address_owns_nothing(self) -> None:
        nobody = "nobody@acme.example"
        assert not by_rule(self.account().ask(Query(owner=nobody)), (), (), nobody)

    # Failures

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "fault" in metafunc.fixturenames:
            metafunc.parametrize("fault", FAULTS)
            metafunc.parametrize("where", self.breaking_points)

    breaking_points: ClassVar[Sequence[str]] = ("the first page", "a later page")

    def test_each_failure_is_told_apart(self, where: str, fault: str) -> None:
        said, kind = FAULTS[fault]
        if where == "a later page":
            kind = Unreadable if fault in ("400", "404") else kind  # it named the page itself
            self.listed = [self.make(index) for index in range(self.paging.largest + 1)]
        self.spoil = lambda asked: said if self.is_at(where, asked) else None
        patience_s = PATIENCE_S if said in (hang, drip_body) else 10
        started = time.monotonic()
        assert type(self.fails(patience_s)) is kind
        assert time.monotonic() - started < PATIENCE_S + SLACK_S

    def test_a_wrong_shape_is_unreadable(self) -> None:
        whole = Reply(self.page_of(self.items())).encoded().partition(b"\r\n\r\n")[2]
        shapes: list[Any] = [b"[]", b"null", b'"text"', b"7", b"", whole[: len(whole) // 2]]
        shapes += [] if self.list_may_be_missing else [b"{}"]
        if isinstance(self.documented, dict):
            missing = [] if self.list_may_be_missing else [None, ABSENT]
            for odd in ("text", 7, [None], ["text"], [7], [[]], {"a": 1}, *missing):
                shapes.append(self.page_of(self.items()))
                put(shapes[-1], self.list_at, odd)
        for shape in shapes:
            self.spoil = lambda asked, s=shape: Reply(s) if asked.path == self.path else None
            assert type(self.fails()) is Unreadable, shape

    def test_no_content_is_an_empty_list_only_where_it_is_documented(self) -> None:
        self.spoil = lambda asked: Reply(b"", 204) if asked.path == self.path else None
        if getattr(self.provider, "no_content", b""):
            assert self.account().ask(Query()) == []
        else:
            assert type(self.fails()) is Unreadable

    def test_how_long_to_wait_is_read(self) -> None:
        http_date: Moment = partial(format_datetime, usegmt=True)
        standard: list[RateLimit] = [({"Retry-After": "7"}, 7), ({"Retry-After": http_date}, 60)]
        for said, seconds in [*standard, *self.rate_limits]:
            at = datetime.now(UTC) + timedelta(seconds=seconds)
            headers = {
                name: value if isinstance(value, str) else value(at) for name, value in said.items()
            }
            self.spoil = lambda _, headers=headers: Reply({}, 429, headers)
            error = self.fails()
            assert type(error) is RateLimited
            assert error.retry_after_s is not None, headers
            assert 0.75 * seconds < error.retry_after_s <= seconds, headers
        for vague in ({}, {"Retry-After": "soon"}):
            self.spoil = lambda _, headers=vague: Reply({}, 429, headers)
            assert self.fails().retry_after_s is None

    def test_wrong_credentials_are_refused(self) -> None:
        for name in self.settings().keys() & self.secret_options():
            assert type(self.fails(10, **{name: "another-secret"})) is Refused

    def test_a_secret_pasted_with_a_line_break_does_not_show(self) -> None:
        for name in self.settings().keys() & self.secret_options():
            pasted = {name: f"{self.options[name]}\r\nX-More: yes"}
            assert type(self.fails(10, **pasted)) is Refused


HTML = b"<html><body>Bad gateway, call +12025550199</body></html>"

FAULTS: Mapping[str, tuple[Reply | Fault, type[ProviderError]]] = {
    "400": (Reply({"code": 7}, 400), Refused),
    "401": (Reply({"message": "no"}, 401), Refused),
    "403": (Reply(b"", 403), Refused),
    "404": (Reply(HTML, 404), Refused),
    "429": (Reply({}, 429), RateLimited),
    "500": (Reply(HTML, 500), Unreachable),
    "502": (Reply(HTML, 502), Unreachable),
    "503": (Reply({"errors": []}, 503), Unreachable),
    "302": (Reply(b"", 302, {"Location": "https://elsewhere.example/"}), Unreadable),
    "HTML": (Reply(HTML), Unreadable),
    "hang": (hang, Unreachable),
    "drip": (drip_body, Unreachable),
    "reset": (reset, Unreachable),
    "break off": (break_off, Unreachable),
}


def made(index: int) -> str:
    """The E.164 number of the item with that index."""
    return f"+1{201 + index // 100}55501{index % 100:02}"


def places(item: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each field of an item, and of the objects in it, by its dotted place."""
    for name, value in item.items():
        yield f"{above}{name}", value
        if isinstance(value, dict):
            yield from places(value, f"{above}{name}.")
