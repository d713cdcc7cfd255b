"""The contract's tests of failures: each told apart, in time, and without a secret."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any, ClassVar

import pytest

from ..base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from ..base.provider import Query
from .carrier import Fault, Reply, break_off, drip_body, hang, reset
from .paging import ABSENT, Unpaged, put
from .played import Moment, PlayedContract, RateLimit

PATIENCE_S = 0.15
SLACK_S = 4.0  # for a busy machine, beyond the deadline; below carrier.LONG_S


class FailureTests(PlayedContract):
    """Whether the adapter fails as it should."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "fault" in metafunc.fixturenames:
            points = self.breaking_points
            if isinstance(self.paging, Unpaged):
                points = [where for where in points if where != "a later page"]
            metafunc.parametrize("fault", FAULTS)
            metafunc.parametrize("where", points)

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
