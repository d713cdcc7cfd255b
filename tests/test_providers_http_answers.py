"""What HTTPProvider makes of statuses, and of answers too large or not to be read."""

import itertools
import time
import tracemalloc
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from providers.base import walk
from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from providers.base.http import Page
from providers.base.provider import PhoneNumber, Query, UnreadNumber
from providers.testing.carrier import Answer, Carrier, Reply
from tests.support.carrier import HTML, bomb, does, pour, says
from tests.test_providers_http import (
    KEY,
    NUMBER,
    Larkline,
    account,
    ask,
    carrier,
    failure,
    lines,
)

__all__ = ["carrier"]  # a fixture


class Line(msgspec.Struct):
    msisdn: str
    label: str | None = None


class Lines(msgspec.Struct):
    lines: list[Line]


class TypedLarkline(Larkline):
    name = "typed-larkline"
    Reply = Lines

    def read_page(self, reply: Lines) -> Page:
        return Page([PhoneNumber("+" + line.msisdn, line.label or "") for line in reply.lines])


# Size


@pytest.mark.parametrize("answer", [says(b" " * 9_000_000), does(pour), bomb(64)])
def test_an_answer_too_large_is_given_up(carrier: Carrier, answer: Answer) -> None:
    carrier.answer = answer
    error = failure(carrier.url)
    assert isinstance(error, Unreadable)
    assert "more than 8 MiB" in str(error)


@pytest.mark.parametrize("row", [b"{},", b"0,", b'"",', b"[],", b"<a/>"])
def test_a_page_of_millions_of_values_is_given_up_before_it_is_decoded(
    carrier: Carrier, row: bytes
) -> None:
    """As Python's objects, 8 MiB of `{},` are 209 MB."""
    carrier.answer = says(b'{"lines": [' + row * (8_000_000 // len(row)) + b"{}]}")
    tracemalloc.start()
    try:
        error = failure(carrier.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(error, Unreadable)
    assert "more than 250,000 values" in str(error)
    assert peak < 60_000_000, "the carrier in this process has the page as well"


def test_broken_compression_is_unreadable(carrier: Carrier) -> None:
    carrier.answer = says(b"not gzip at all", Content_Encoding="gzip")
    assert isinstance(failure(carrier.url), Unreadable)


# Statuses


STATUSES: list[tuple[int, type[ProviderError]]] = [
    (204, Unreadable),
    (300, Unreadable),
    (302, Unreadable),
    (304, Unreadable),
    (400, Refused),
    (401, Refused),
    (403, Refused),
    (404, Refused),
    (408, Unreachable),
    (423, Unreachable),
    (429, RateLimited),
    (500, Unreachable),
    (502, Unreachable),
    (503, Unreachable),
]


@pytest.mark.parametrize("body", [b"", HTML, {"code": 12025550143}, {"code": [KEY]}])
@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_status(carrier: Carrier, status: int, expected: type[ProviderError], body: object) -> None:
    if status in (204, 304):
        body = b""
    carrier.answer = says(body, status=status)
    error = failure(carrier.url)
    assert type(error) is expected
    assert status == 204 or str(status) in str(error)


@pytest.mark.parametrize("code", [20003, "20003", "auth.denied"])
def test_the_error_has_the_carriers_own_code(carrier: Carrier, code: object) -> None:
    carrier.answer = says({"code": code, "message": f"key {KEY}"}, status=401)
    assert str(failure(carrier.url)) == f"answered 401 with code {code}"


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ("7", 7, 7),
        ("99999999", 3600, 3600),
        (120, 60, 120),
        (-120, 0, 0),
    ],
)
def test_rate_limited_says_when_to_try_again(
    carrier: Carrier, given: str | int, low: float, high: float
) -> None:
    date = formatdate(time.time() + given, usegmt=True) if isinstance(given, int) else given
    carrier.answer = says(status=429, Retry_After=date)
    error = failure(carrier.url)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s is not None
    assert low <= error.retry_after_s <= high


@pytest.mark.parametrize("given", [None, "", "soon", "-5", "1e9", "NaN", "9" * 400])
def test_rate_limited_survives_a_retry_after_of(carrier: Carrier, given: str | None) -> None:
    carrier.answer = says(status=429, **({} if given is None else {"Retry_After": given}))
    error = failure(carrier.url)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= 3600


# What cannot be read


UNREADABLE: list[tuple[object, str]] = [
    (HTML, "malformed"),
    (b"", "truncated"),
    (b'{"lines": [{"msisdn": "12025', "truncated"),
    (b"\xff\xfe{}", ""),
    (b'{"lines": ' + b"[" * 100_000, ""),
    ({"links": {}}, "'lines'"),
    ({"lines": [{"label": "no number"}], "links": {}}, "'msisdn'"),
    ({"lines": {"msisdn": NUMBER}, "links": {}}, ""),
    ({"lines": [{"msisdn": 12025550143}], "links": {}}, ""),
    ({"lines": [None], "links": {}}, ""),
    ({"lines": None, "links": {}}, ""),
    ({"lines": [], "links": None}, ""),
    ([], ""),
    (None, ""),
    ("12025550143", ""),
]


@pytest.mark.parametrize(("body", "where"), UNREADABLE)
def test_an_answer_of_another_shape_is_unreadable(
    carrier: Carrier, body: object, where: str
) -> None:
    carrier.answer = says(body)
    error = failure(carrier.url)
    assert isinstance(error, Unreadable)
    assert where in str(error)


def test_a_typed_reply_is_decoded(carrier: Carrier) -> None:
    carrier.answer = says({"lines": [{"msisdn": NUMBER, "label": "Desk", "new": [1]}], "more": 1})
    assert ask(carrier.url, kind=TypedLarkline) == [PhoneNumber("+12025550143", "Desk")]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "required field `lines`"),
        ({"lines": None}, "got `null` - at `$.lines`"),
        ({"lines": [{"msisdn": NUMBER}, {"msisdn": 12025550143}]}, "$.lines[1].msisdn"),
        ([], "got `array`"),
        (HTML, "malformed"),
    ],
)
def test_a_typed_reply_of_another_shape_says_where(
    carrier: Carrier, body: object, where: str
) -> None:
    carrier.answer = says(body)
    error = failure(carrier.url, kind=TypedLarkline)
    assert isinstance(error, Unreadable)
    assert where in str(error)


# What cannot be sent


@pytest.mark.parametrize("key", ["key\r\nX-Injected: 1", "schlüssel-€", "\ud800"])
def test_credentials_that_http_cannot_carry_are_refused(carrier: Carrier, key: str) -> None:
    with pytest.raises(Refused, match="credentials") as caught:
        account(carrier.url, key=key).ask(Query())
    assert key not in str(caught.value)
    assert carrier.asked == []


def test_base_urls_that_cannot_be_sent_are_refused() -> None:
    assert isinstance(failure("http://*.example:80"), Refused)


class LazyLarkline(Larkline):
    """Reads each number when it is asked for, as the guide says."""

    name = "lazy-larkline"

    def read_page(self, reply: Any) -> Page:
        return Page(map(self.read_number, reply["lines"]))


def test_a_record_that_cannot_be_read_costs_itself(carrier: Carrier) -> None:
    carrier.answer = says({"lines": [{"label": 7}, {"msisdn": "12025550143"}, 7, {}]})
    numbers = ask(carrier.url, kind=LazyLarkline)
    good = numbers.pop(1)
    first, *rest = (number for number in numbers if isinstance(number, UnreadNumber))
    assert good == PhoneNumber(f"+{NUMBER}")
    assert first.fault.startswith("[0]: KeyError 'msisdn', in ")
    assert [number.fault[:4] for number in rest] == ["[2]:", "[3]:"]


def test_if_none_can_be_read_the_carrier_has_changed_its_format(carrier: Carrier) -> None:
    carrier.answer = says({"lines": [{"label": 7}, {"label": "a"}]})
    error = failure(carrier.url, kind=LazyLarkline)
    assert isinstance(error, Unreadable)
    assert "no number can be read: [0]: KeyError 'msisdn', in " in str(error)


def test_where_a_reader_failed_is_said(carrier: Carrier) -> None:
    carrier.answer = says([])
    assert "TypeError while reading the answer, in read_page, " in str(failure(carrier.url))


def test_pages_without_end_that_bring_nothing_new_are_given_up(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a carrier that does not know the cursor's parameter."""
    monkeypatch.setattr(walk, "MOST_IN_VAIN", 5)
    counted = itertools.count()
    carrier.answer = lambda _: Reply(lines(NUMBER, following=f"lines?page={next(counted)}"))
    error = failure(carrier.url)
    assert str(error).endswith(": 6 in a row brought nothing new")
    assert len(carrier.asked) == 7
