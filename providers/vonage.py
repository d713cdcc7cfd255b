"""Vonage's (formerly Nexmo's) rented numbers.

https://developer.vonage.com/en/api/numbers (read 2026-11-22)
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, basic, paging, plus

PAGE_SIZE = 100  # the most it gives

SHORTEST = 8  # digits; shorter ones are short codes, for messages


class _Reply(msgspec.Struct):
    count: int | None = None  # it and the list are left out when there is nothing to list
    numbers: list[JSON] | None = None
    error_code: Literal["200"] = msgspec.field(name="error-code", default="200")


class Vonage(HTTPProvider):
    name = "vonage"
    credentials = "compare api_key and api_secret with API Settings in Vonage's dashboard"
    base_url = "https://rest.nexmo.com"
    Reply = _Reply
    error_code_at = "error-code", "type"

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        api_key: Annotated[str, Meta(description="a subaccount has its own")]
        api_secret: Annotated[Secret, Meta(description="that key's")]
        application_id: Annotated[
            str | None, Meta(description="only numbers linked to this application")
        ] = None

    options: Options

    def headers(self) -> Mapping[str, str]:
        return basic(self.options.api_key, self.options.api_secret)

    def first_page(self, query: Query) -> Request:
        chosen = self.options.application_id
        params = {"index": 1, "size": PAGE_SIZE, "application_id": chosen}
        return Request("account/numbers", params)

    def read_page(self, reply: _Reply) -> Page:
        numbers = reply.numbers or ()
        following = paging.counted("index", "size", reply.count, len(numbers), side_by_side=True)
        return Page(map(_read, numbers), following, reply.count)


def _read(number: JSON) -> PhoneNumber:
    digits = plus(number.get("msisdn")).lstrip("+")
    return PhoneNumber(  # it has no name
        number=digits,
        voice="VOICE" in (number.get("features") or ()) and len(digits) >= SHORTEST,
        country=number.get("country"),
    )
