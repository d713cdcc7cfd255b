"""Plivo's rented numbers, and those added from other carriers.

https://www.plivo.com/docs/numbers/api/account-phone-number/list-all-my-numbers (read 2026-11-22)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, basic, paging, plus
from .base.options import wholly

PAGE_SIZE = 20  # the most it gives

ACCOUNT = wholly("(MA|SA)[A-Z0-9]{18}", "MA… or SA…, 20 characters in all")
SUBACCOUNT = wholly("SA[A-Z0-9]{18}", "SA…, 20 characters in all")


class _Meta(msgspec.Struct):
    next: str | None  # always there, null at the end
    total_count: int | None = None


class _Reply(msgspec.Struct):
    meta: _Meta
    objects: list[JSON] | None = None


class Plivo(HTTPProvider):
    name = "plivo"
    credentials = "compare auth_id and auth_token with the overview in Plivo's console"
    base_url = "https://api.plivo.com/v1"
    Reply = _Reply
    error_code_at = "error_code", "error"
    request_id_at = "api_id"

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        auth_id: Annotated[str, ACCOUNT, Meta(description="the account's, or a subaccount's own")]
        auth_token: Annotated[Secret, Meta(description="that id's")]
        subaccount: Annotated[
            Annotated[str, SUBACCOUNT] | None, Meta(description="only this subaccount's numbers")
        ] = None

    options: Options

    def headers(self) -> Mapping[str, str]:
        return basic(self.options.auth_id, self.options.auth_token)

    def first_page(self, query: Query) -> Request:
        # An offset, sent along with a cursor, would lead back to this page: so none is sent.
        params = {"limit": PAGE_SIZE, "subaccount": self.options.subaccount}
        return Request(f"Account/{self.options.auth_id}/Number/", params)

    def read_page(self, reply: _Reply) -> Page:
        total = reply.meta.total_count
        following = paging.numbered_link(
            reply.meta.next, "offset", range(PAGE_SIZE, total or 0, PAGE_SIZE)
        )
        return Page(map(_read, paging.listed(reply.objects, total)), following, total)


def _read(number: JSON) -> PhoneNumber:
    return PhoneNumber(
        number=plus(number.get("number")),
        country=number.get("country"),
        name=number.get("alias") or "",
        voice=number.get("voice_enabled") is True
        and number.get("active") is not False,  # the vendor's own examples leave it out at times
    )
