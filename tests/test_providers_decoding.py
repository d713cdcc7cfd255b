"""An odd byte costs what holds it, not the account: carriers' answers are read a second time."""

from typing import Any

import msgspec
import pytest

from providers import JSON, Unreadable
from providers.base.decoding import decode_json, decode_xml


class Reply(msgspec.Struct):
    numbers: list[JSON]


def names(body: bytes) -> list[Any]:
    reply: Reply = decode_json(body, Reply)
    return [number.get("name") for number in reply.numbers]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (rb"Sales \ud83d", "Sales "),  # half an emoji: https://github.com/davisp/jiffy/issues/145
        (rb"\udc00Sales", "Sales"),
        (rb"Sales \ud83d\ude00", "Sales \U0001f600"),
        (b"Caf\xe9", "Café"),  # Latin-1
        (b"\x93Sales\x94", "\u201cSales\u201d"),  # Windows' own
        (b"Caf\xc3\xa9 \xe9", "Café é"),
        (b"Sales\x01\tdesk\n", "Sales\x01\tdesk\n"),
        (b"\xed\xa0\xbdSales", "í\xa0½Sales"),
    ],
)
def test_an_odd_name_costs_no_number(name: bytes, read: str) -> None:
    body = b'{"numbers": [{"name": "%s"}, {"name": "Caf\xc3\xa9"}]}' % name
    assert names(body)[0] == read


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_none_of_json(encoding: str) -> None:
    assert names('{"numbers": [{"name": "Café"}]}'.encode(encoding)) == ["Café"]
    assert names('{"numbers": [{"name": "Café"}]}'.encode("utf-16-le")) == ["Café"]
    big = b"\xfe\xff" + '{"numbers": [{"name": "Café"}]}'.encode("utf-16-be")
    assert names(big) == ["Café"]


def test_no_number_that_json_knows_is_null() -> None:
    assert names(b'{"numbers": [{"name": NaN}, {"name": -Infinity}]}') == [None, None]


@pytest.mark.parametrize("odd", ["null", "7", '"text"', "[]"])
def test_a_record_that_is_no_object_costs_itself(odd: str) -> None:
    body = f'{{"numbers": [{odd}, {{"name": "Desk"}}, {odd}]}}'.encode()
    assert names(body) == [None, "Desk", None]
    with pytest.raises(Unreadable, match=r"\$\.numbers\[\d\]"):
        decode_json(f'{{"numbers": [{odd}, {odd}]}}'.encode(), Reply)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"numbers": [', b'{"numbers": [{"name": "a"},]}', b"\xff\xfe"]
)
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        decode_json(body, Reply)


@pytest.mark.parametrize(
    "body",
    [
        b"<a><b>\n  Sales \x01 </b></a>",
        b"\xef\xbb\xbf<a><b>Sales</b></a>",
        b'\n<?xml version="1.0"?><a><b>Sales</b></a>',
        b'<?xml version="1.0" encoding="utf-16"?><a><b>Sales</b></a>',
        b"<a><b>Sales&#x1;&#xD83D;</b></a>",
        "<a><b>Sales</b></a>".encode("utf-16"),
    ],
)
def test_xml_is_read_alike(body: bytes) -> None:
    assert decode_xml(body).findtext("b") == "Sales"


def test_a_stray_byte_or_ampersand_of_xml_is_read() -> None:
    assert decode_xml(b"<a><b>Caf\xe9 & Bar &lt;</b></a>").findtext("b") == "Café & Bar <"


@pytest.mark.parametrize("body", [b"", b"<a>", b"{}", b"<a></b>"])
def test_what_is_no_xml_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_xml(body)


@pytest.mark.parametrize("lead", [b"", b"\x01"])
def test_a_document_type_is_never_read(lead: bytes) -> None:
    body = lead + b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    with pytest.raises(Unreadable, match="document type"):
        decode_xml(body)
