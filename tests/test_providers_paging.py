"""Which request follows a page."""

from typing import Any

import pytest

from providers import JSON, Request
from providers.base import paging


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
        (paging.offset("skip", 7, full=True), {"skip": 0, "top": 9}, {"skip": 7, "top": 9}),
        (paging.offset("skip", 7, full=True), {"skip": "7"}, {"skip": 14}),
        (paging.offset("skip", 7, full=False), {"skip": 7}, None),
        (paging.offset("skip", 0, full=True), {"skip": 7}, None),
        (paging.offset("skip", 7, full=True), {}, None),
    ],
)
def test_a_paging_rule_gives_the_next_request(rule: Any, params: JSON, following: Any) -> None:
    found = rule(Request("lines", params)) if callable(rule) else rule
    wanted = Request("lines", following) if isinstance(following, dict) else following
    assert found == wanted


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
