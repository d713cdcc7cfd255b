"""Aircall's numbers, API v1.

https://developer.aircall.io/api-references/#list-all-numbers (read 2026-11-22)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, basic, paging
from .base.records import owner_ids

PAGE_SIZE = 50  # the most it gives


class _Meta(msgspec.Struct):
    next_page_link: str | None
    total: int | None = None


class _Reply(msgspec.Struct):
    meta: _Meta
    numbers: list[JSON] | None = None


class Aircall(HTTPProvider):
    name = "aircall"
    knows_owners = True
    credentials = "make an API key under Integrations & API in Aircall's dashboard"
    base_url = "https://api.aircall.io/v1"
    retry_after = ("Retry-After", "X-AircallApi-Reset")
    Reply = _Reply
    error_code_at = "error", "code"

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        api_id: Annotated[str, Meta(description="of an API key, under Integrations & API")]
        api_token: Annotated[Secret, Meta(description="that key's")]

    options: Options

    def headers(self) -> Mapping[str, str]:
        return basic(self.options.api_id, self.options.api_token)

    def first_page(self, query: Query) -> Request:
        return Request("numbers", {"per_page": PAGE_SIZE})

    def read_page(self, reply: _Reply) -> Page:
        total = reply.meta.total
        pages = range(2, -(-(total or 0) // PAGE_SIZE) + 1)
        following = paging.numbered_link(reply.meta.next_page_link, "page", pages)
        return Page(map(_read, paging.listed(reply.numbers, total)), following, total)


def _read(number: JSON) -> PhoneNumber:
    return PhoneNumber(  # no field says that a number takes no calls; opening hours are not it
        number=number.get("e164_digits") or number.get("digits") or "",  # "+1 202-555-0143"
        name=number.get("name") or "",
        country=number.get("country"),
        owners=owner_ids(
            *(user.get(key) for user in number.get("users") or () for key in ("id", "email"))
        ),
    )
