"""Larkline's phone numbers, API v2.

https://docs.larkline.example/v2/numbers (read 2026-11-22)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from providers import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, bearer, plus
from providers.base.paging import token

PAGE_SIZE = 100  # the most it gives


class _Reply(msgspec.Struct):
    numbers: list[JSON]
    next_cursor: str | None = None  # absent on the last page; without a default where it never is


class Larkline(HTTPProvider):
    name = "larkline"
    base_url = "https://api.larkline.example/v2"
    Reply = _Reply

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        api_key: Annotated[Secret, Meta(description="a key that may read numbers")]

    options: Options

    def headers(self) -> Mapping[str, str]:
        return bearer(self.options.api_key)

    def first_page(self, query: Query) -> Request:
        return Request("numbers", {"limit": PAGE_SIZE})

    def read_page(self, reply: _Reply) -> Page:
        return Page(map(_read, reply.numbers), token("cursor", reply.next_cursor))


def _read(number: JSON) -> PhoneNumber:
    return PhoneNumber(
        number=plus(number.get("number")),
        name=number.get("label") or "",
        voice=number.get("status") == "active",
    )
