# ruff: noqa: S101
"""The tests behind providers/testing.py, which is what to import."""

import copy
import fnmatch
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from functools import partial
from io import StringIO
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

import pytest
from msgspec.structs import fields

from .base import ANYBODY, Deadline, PhoneNumber, Provider, Query
from .errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from .fake import (
    ABSENT,
    LONG_S,
    Asked,
    ByLink,
    ByToken,
    Carrier,
    Fault,
    Paging,
    Reply,
    Shown,
    break_off,
    drip,
    hang,
    put,
    reset,
)
from .http import HTTPProvider
from .numbers import to_e164
from .options import build, is_secret

Spoil = Callable[[Asked], Reply | Fault | None]
"""Something else to answer with, or None for what the carrier answers."""

Moment = Callable[[datetime], str]
RateLimit = tuple[Mapping[str, str | Moment], float]

PATIENCE_S = 0.4
SLACK_S = 2.0  # for a busy machine, beyond the deadline


class LocalContract:
    """For a provider that asks nobody, such as one that reads its numbers from a file."""

    provider: ClassVar[type[Provider]]

    options: ClassVar[Mapping[str, Any]]
    """Options that make an account, with invented secrets of eight characters or more."""

    expected: ClassVar[Sequence[PhoneNumber]]
    """What those options, or the documented reply, give."""

    def settings(self) -> dict[str, Any]:
        return dict(self.options)

    def account(self, **changes: Any) -> Provider:
        """An account of `options` and `changes`, as the directory makes one."""
        faults: list[str] = []
        options = build(self.provider.Options, self.settings() | changes, str, faults)
        assert options is not None, faults
        return self.provider(options, "the-account")

    def secrets(self) -> set[str]:
        """Texts that must not show anywhere."""
        given = {str(self.options.get(name) or "") for name in self.secret_options()}
        return given - {""}

    def secret_options(self) -> set[str]:
        return {field.name for field in fields(self.provider.Options) if is_secret(field)}

    @pytest.fixture(autouse=True)
    def silence(
        self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> Iterator[None]:
        """No test of the contract lets a secret into a log or onto the terminal."""
        caplog.set_level(logging.DEBUG)
        log = StringIO()
        handler = logging.StreamHandler(log)  # caplog's own forgets the test in its teardown
        logging.getLogger().addHandler(handler)
        yield
        logging.getLogger().removeHandler(handler)
        shown = log.getvalue() + "".join(capfd.readouterr())
        assert not [secret for secret in self.secrets() if secret in shown], "a secret was logged"

    def test_numbers_are_read_as_documented(self) -> None:
        assert self.account().ask(Query()) == list(self.expected)

    def test_each_missing_option_is_named(self) -> None:
        for field in fields(self.provider.Options):
            if field.required:
                given = {k: v for k, v in self.settings().items() if k != field.name}
                faults: list[str] = []
                assert build(self.provider.Options, given, str, faults) is None
                assert [fault for fault in faults if fault.startswith(field.name)]

    def test_an_unknown_option_is_named(self) -> None:
        faults: list[str] = []
        assert not build(self.provider.Options, self.settings() | {"colour": "red"}, str, faults)
        assert [fault for fault in faults if fault.startswith("colour")]

    def test_secrets_do_not_show_in_an_account(self) -> None:
        account = self.account()
        shown = repr(account) + str(account) + repr(account.options) + str(account.options)
        assert not [secret for secret in self.secrets() if secret in shown]

    def test_a_rule_gives_what_it_gives_on_the_whole_list(self) -> None:
        everything = self.account().ask(Query())
        assert everything
        for numbers, names, owner in rules(everything):
            found = self.account().ask(Query(numbers, names, owner))
            wanted = by_rule(everything, numbers, names, owner)
            assert by_rule(found, numbers, names, owner) == wanted, (numbers, names, owner)

    def test_threads_share_an_account(self) -> None:
        account = self.account()
        wanted = self.account().ask(Query())
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: account.ask(Query()), range(24)))
        assert all(each == wanted for each in found)


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
    listed: list[Any]
    spoil: Spoil | None
    bend: Callable[[Shown], Shown]

    @pytest.fixture(autouse=True)
    def play(self) -> Iterator[None]:
        yield from self.playing()

    def playing(self) -> Iterator[None]:
        self.listed, self.spoil, self.bend = self.items(), None, lambda shown: shown
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
        items = self.items()
        item = items[index % len(items)]
        put(item, self.number_at, self.write_number(made(index)))
        if self.name_at:
            put(item, self.name_at, f"Line {index}")
        return item

    def page_of(self, items: list[Any]) -> Any:
        """The body of a page with these items and no other page after it."""
        asked = Asked("GET", self.path, Message(), {}, self.carrier.url)
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
            self.listed = [self.make(index) for index in range(self.paging.largest + 1)]
        self.spoil = lambda asked: said if self.is_at(where, asked) else None
        patience_s = PATIENCE_S if said in (hang, drip) else 10
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
                shapes.append(self.page_of([]))
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


class OAuthContract(ProviderContract):
    """For an `OAuthProvider`. `authorization` is that of the request for a token."""

    form: ClassVar[Mapping[str, str]]
    """What the carrier wants in the form that a token is asked for with."""

    breaking_points = ("the first page", "a later page", "the token")

    issued: list[str]
    valid: set[str]
    life_s: float

    @pytest.fixture(autouse=True)
    def play(self) -> Iterator[None]:
        self.issued, self.valid, self.life_s = [], set(), 3600
        yield from self.playing()

    @property
    def token_path(self) -> str:
        base = f"{getattr(self.provider, 'base_url', '').rstrip('/')}/"
        return urlsplit(urljoin(base, self.oauth_url())).path

    def oauth_url(self) -> str:
        url = getattr(self.provider, "oauth_url", None)
        assert isinstance(url, str), "the provider says no oauth_url"
        return url

    def settings(self) -> dict[str, Any]:
        elsewhere = urlsplit(self.oauth_url()).netloc
        more = {"oauth_url": self.carrier.url + self.token_path} if elsewhere else {}
        return super().settings() | more

    def secrets(self) -> set[str]:
        return super().secrets() | set(self.issued)

    def authorised(self, asked: Asked) -> bool:
        kind, _, token = asked.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and token in self.valid

    def answer(self, asked: Asked) -> Reply | Fault:
        if asked.path != self.token_path:
            return super().answer(asked)
        spoilt = self.spoil(asked) if self.spoil else None
        if spoilt is not None:
            return spoilt
        right = asked.method == "POST" and self.form.items() <= asked.form.items()
        if not right or asked.headers["Authorization"] != self.authorization:
            return Reply({"error": "invalid_client"}, 401)
        token = f"token-{len(self.issued)}-of-the-account"
        self.issued.append(token)
        self.valid.add(token)
        return Reply({"access_token": token, "token_type": "bearer", "expires_in": self.life_s})

    def is_at(self, where: str, asked: Asked) -> bool:
        if where == "the token":
            return asked.path == self.token_path
        return asked.path != self.token_path and super().is_at(where, asked)

    def tokens_asked(self) -> int:
        return sum(asked.path == self.token_path for asked in self.carrier.asked)

    def at_once(self, account: Provider, patience_s: float = 10) -> list[object]:
        """What eight threads get that ask together: numbers or the error's kind."""
        together = threading.Barrier(8)

        def ask(_: int) -> object:
            together.wait(10)
            try:
                return account.ask(Query(deadline=Deadline(patience_s)))
            except ProviderError as error:
                return type(error)

        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(ask, range(8)))

    def test_threads_and_lookups_share_a_token(self) -> None:
        account = self.account()
        assert self.at_once(account) == [account.ask(Query())] * 8
        assert self.tokens_asked() == 1

    def test_accounts_do_not_share_a_token(self) -> None:
        self.account().ask(Query())
        self.account().ask(Query())
        assert self.tokens_asked() == 2

    def test_a_token_is_replaced_shortly_before_it_ends(self) -> None:
        account, self.life_s = self.account(), 1
        account.ask(Query())
        time.sleep(0.95)
        account.ask(Query())
        assert self.tokens_asked() == 2

    def test_a_revoked_token_is_replaced_once_for_all_threads(self) -> None:
        account = self.account()
        wanted = account.ask(Query())
        self.valid.clear()
        assert self.at_once(account) == [wanted] * 8
        assert self.tokens_asked() == 2

    def test_a_new_token_that_is_refused_is_not_replaced_at_once(self) -> None:
        self.spoil = lambda asked: Reply({}, 401) if asked.path == self.path else None
        account = self.account()
        with pytest.raises(Refused):
            account.ask(Query())
        assert self.tokens_asked() == 1
        self.spoil = None
        assert account.ask(Query())

    @pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (401, Refused)])
    def test_threads_share_the_answer_that_there_is_no_token(
        self, status: int, kind: type[ProviderError]
    ) -> None:
        def slowly_refuse(asked: Asked) -> Reply:
            time.sleep(0.3)
            return Reply({}, status)

        self.spoil = slowly_refuse
        assert self.at_once(self.account()) == [kind] * 8
        assert self.tokens_asked() == 1

    def test_no_thread_waits_for_another_s_token_beyond_its_deadline(self) -> None:
        asked, told = threading.Event(), threading.Event()

        def slowly_issue(request: Asked) -> None:
            if request.path == self.token_path:
                asked.set()
                told.wait(LONG_S)

        self.spoil = slowly_issue
        account = self.account()
        with ThreadPoolExecutor(1) as threads:
            patient = threads.submit(account.ask, Query())
            assert asked.wait(10)
            started = time.monotonic()
            with pytest.raises(Unreachable):
                account.ask(Query(deadline=Deadline(PATIENCE_S)))
            assert time.monotonic() - started < PATIENCE_S + SLACK_S
            told.set()
            assert patient.result(10) == list(self.expected)

    @pytest.mark.parametrize(
        "said", [{}, {"access_token": ""}, {"access_token": None}, [], "token"]
    )
    def test_an_answer_without_a_token_is_unreadable(self, said: object) -> None:
        self.spoil = lambda asked: Reply(said) if asked.path == self.token_path else None
        assert type(self.fails()) is Unreadable

    @pytest.mark.parametrize("life", ["3600", None, ABSENT])
    def test_a_life_told_oddly_or_not_at_all_is_survived(self, life: object) -> None:
        said = {"access_token": "token-by-hand"} | ({} if life is ABSENT else {"expires_in": life})
        self.valid.add("token-by-hand")
        self.spoil = lambda asked: Reply(said) if asked.path == self.token_path else None
        account = self.account()
        assert account.ask(Query()) == account.ask(Query())
        assert self.tokens_asked() == 1


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
    "drip": (drip, Unreachable),
    "reset": (reset, Unreachable),
    "break off": (break_off, Unreachable),
}


def made(index: int) -> str:
    """The E.164 number of the item with that index."""
    return f"+1{201 + index // 100}55501{index % 100:02}"


def e164(number: PhoneNumber) -> str:
    """The number in E.164, empty if it is none."""
    read = to_e164(str(number.number))
    return read.number if read else ""


def places(item: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each field of an item, and of the objects in it, by its dotted place."""
    for name, value in item.items():
        yield f"{above}{name}", value
        if isinstance(value, dict):
            yield from places(value, f"{above}{name}.")


Rule = tuple[tuple[str, ...], tuple[str, ...], str | None]


def rules(numbers: Sequence[PhoneNumber]) -> Iterator[Rule]:
    """Rules that fit some of the numbers, all, or none."""
    all_of_them = tuple(dict.fromkeys(filter(None, map(e164, numbers))))
    names = tuple(number.name for number in numbers if number.name)
    owners = list(dict.fromkeys(owner for number in numbers for owner in number.owners))
    for wanted in (all_of_them[:1], all_of_them[-2:], all_of_them, ("+12025550199",)):
        yield wanted, (), None
        yield wanted, names[:1] or ("*",), None
    for patterns in (names[:1], ("*",), ("no such name",), ("*LINE*", *names[-1:])):
        yield (), patterns, None
    for owner in [*owners[:3], "no-such-owner"]:
        yield (), (), owner
        yield all_of_them[:1], (), owner


def by_rule(
    found: Sequence[PhoneNumber],
    numbers: tuple[str, ...],
    names: tuple[str, ...],
    owner: str | None,
) -> set[tuple[str, str, bool]]:
    """What a rule leaves of a listing."""
    return {
        (e164(number), number.name, number.voice)
        for number in found
        if (not numbers or e164(number) in numbers)
        and (not names or any(_fits(number.name, pattern) for pattern in names))
        and (not owner or owner.casefold() in map(str.casefold, number.owners))
    }


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.casefold(), pattern.casefold())
