"""Which request follows a page."""

from typing import Any

import pytest

from providers import JSON, Request, owner_ids
from providers.base import paging


@pytest.mark.parametrize(
    ("rule", "params", "following"),
    [
        (paging.link("/v2/lines?after=7"), {}, Request("/v2/lines?after=7")),
        (paging.link(""), {}, None),
        (paging.link("", {"v": "2"}), {}, None),
        (paging.link("/lines?v=1&a=%2B&v=", {"v": "2"}), {}, Request("/lines?a=%2B", {"v": "2"})),
        (paging.link("/lines?%76=1", {"v": "2"}), {}, Request("/lines", {"v": "2"})),
        (paging.link("/lines", {"v": "2"}), {}, Request("/lines", {"v": "2"})),
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
        (paging.offset("skip", 7, full=True), {"skip": 0, "top": 9}, {"skip": 7, "top": 9}),
        (paging.offset("skip", 7, full=True), {"skip": "7"}, {"skip": 14}),
        (paging.offset("skip", 7, full=False), {"skip": 7}, None),
        (paging.offset("skip", 0, full=True), {"skip": 7}, None),
        (paging.offset("skip", 7, full=True), {}, None),
        (paging.counted("page", "size", 30, 9), {"page": 1, "size": 9}, {"page": 2, "size": 9}),
        (paging.counted("page", "size", 30, 9), {"page": 3, "size": 9}, {"page": 4, "size": 9}),
        (paging.counted("page", "size", 30, 3), {"page": 4, "size": 9}, None),
        (paging.counted("page", "size", 27, 9), {"page": 3, "size": 9}, None),
        (paging.counted("page", "size", 9, 9), {"page": 1, "size": 9}, None),
        (paging.counted("page", "size", 0, 0), {"page": 1, "size": 9}, None),
        (paging.counted("page", "size", 7, 7), {"page": 1, "size": 9}, None),
        (paging.counted("page", "size", 30, 0), {"page": 1, "size": 9}, {"page": 2, "size": 9}),
        (paging.counted("page", "size", 30, 7), {"page": 1, "size": 9}, {"page": 2, "size": 7}),
        (paging.counted("page", "size", 9, 7), {"page": 1, "size": 9}, {"page": 2, "size": 7}),
        (paging.counted("page", "size", 30, 9, first=0), {"page": 3, "size": 9}, None),
    ],
)
def test_a_paging_rule_gives_the_next_request(rule: Any, params: JSON, following: Any) -> None:
    found = rule(Request("lines", params)) if callable(rule) else rule
    wanted = Request("lines", following) if isinstance(following, dict) else following
    assert found == wanted


def test_the_next_page_of_a_post_is_asked_for_in_its_body() -> None:
    asked = Request("lines", {"key": 1}, {"kind": "all"})
    (following,) = [rule(asked) for rule in (paging.token("cursor", "b"),) if rule]
    assert following == Request("lines", {"key": 1}, {"kind": "all", "cursor": "b"})


def test_owners_are_texts_and_none_is_made_of_nothing() -> None:
    assert owner_ids(7, None, "a@acme.example", "", 0) == ("7", "a@acme.example", "0")


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://a.example/lines?start=9>; rel="next"', "https://a.example/lines?start=9"),
        ("</lines?ids=1,2;3>; rel=next", "/lines?ids=1,2;3"),
        ('</first>; rel="first", </2>; title="a > b"; REL="last Next"', "/2"),
        ('</first>; rel="first"', None),
        ('</lines>; title="next"', None),
        ('</lines>; rel="nextish"', None),
        ("</lines>", None),
        ("next", None),
        ("", None),
        (None, None),
    ],
)
def test_the_next_link_of_a_header_is_told_from_others(header: Any, url: str | None) -> None:
    assert paging.next_link(header) == (Request(url) if url else None)
