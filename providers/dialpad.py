"""Dialpad's company numbers, API v2.

https://developers.dialpad.com/reference/numberslist and
https://developers.dialpad.com/reference/userslist (read 2026-11-22)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, User, Users, bearer
from .base.paging import token
from .base.records import owner_ids


class _Reply(msgspec.Struct):
    items: list[JSON] | None = None
    cursor: str | None = None


class Dialpad(HTTPProvider):
    name = "dialpad"
    knows_owners = True
    credentials = "the API key must be a company administrator's"
    base_url = "https://dialpad.com/api/v2"
    no_content = b"{}"
    Reply = UserReply = _Reply
    error_code_at = "error.code", "code", "error"

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        api_key: Annotated[Secret, Meta(description="a company administrator's")]
        company_id: Annotated[
            str | None, Meta(description="another company than the key's, where it may")
        ] = None

    options: Options

    def headers(self) -> Mapping[str, str]:
        company = {"DP-Company-ID": self.options.company_id} if self.options.company_id else {}
        return {**bearer(self.options.api_key), **company}

    def first_page(self, query: Query) -> Request:
        return Request("numbers")  # it has no parameter for a page's size

    def read_page(self, reply: _Reply) -> Page:
        return Page(map(_read, reply.items or ()), token("cursor", reply.cursor))

    def first_users(self, email: str | None) -> Request:
        return Request("users", {"email": email})

    def read_users(self, reply: _Reply) -> Users:
        return Users(map(_user, reply.items or ()), token("cursor", reply.cursor))


def _user(user: JSON) -> User:
    return User(str(user["id"]), user.get("emails") or ())


def _read(number: JSON) -> PhoneNumber:
    owner = number.get("target_id") if number.get("target_type") == "user" else None
    return PhoneNumber(  # its name would be its target's, one request each
        number=number.get("number") or "",
        voice=number.get("status") not in ("pending", "porting")
        and not number.get("deleted"),  # ported out
        owners=owner_ids(owner),
    )
