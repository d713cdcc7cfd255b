"""Telnyx's phone numbers, API v2.

https://developers.telnyx.com/api-reference/phone-number-configurations/list-phone-numbers
(read 2026-11-22)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, bearer, paging
from .base.numbers import plus

PAGE_SIZE = 250  # the most it gives


class _Meta(msgspec.Struct):
    total_pages: int
    total_results: int | None = None


class _Reply(msgspec.Struct):
    meta: _Meta
    data: list[JSON] | None = None


class Telnyx(HTTPProvider):
    name = "telnyx"
    credentials = (
        "make an API key (v2) in the portal's API Keys, of the account that has the numbers"
    )
    base_url = "https://api.telnyx.com/v2"
    retry_after = ("Retry-After", "x-ratelimit-reset")
    Reply = _Reply
    error_code_at = ("errors.0.code",)

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        api_key: Annotated[Secret, Meta(description="API v2 key; a managed account has its own")]
        tag: Annotated[str | None, Meta(description="only numbers with this tag")] = None

    options: Options

    def headers(self) -> Mapping[str, str]:
        return bearer(self.options.api_key)

    def first_page(self, query: Query) -> Request:
        params = {
            "page[number]": 1,
            "page[size]": PAGE_SIZE,
            "handle_messaging_profile_error": "true",  # else its messaging's faults are a 503
            "filter[tag]": self.options.tag,
        }
        return Request("phone_numbers", params)

    def read_page(self, reply: _Reply) -> Page:
        numbers = paging.listed(reply.data, reply.meta.total_results)
        following = paging.count_up("page[number]", reply.meta.total_pages, side_by_side=True)
        return Page(map(_read, numbers), following, reply.meta.total_results)


def _read(number: JSON) -> PhoneNumber:
    return PhoneNumber(  # it has no name, only tags and references
        number=plus(number.get("phone_number")),
        country=number.get("country_iso_alpha2"),
        voice=number.get("status") == "active",
    )
