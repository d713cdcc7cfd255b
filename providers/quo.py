"""Quo's (formerly OpenPhone's) phone numbers, API v1.

https://www.quo.com/docs/mdx/api-reference/phone-numbers/list-phone-numbers, by its description
1.0.0 as kept in github.com/api-evangelist/quo @4c8ff32 (read 2026-11-27)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, owner_ids


class _Reply(msgspec.Struct):
    data: list[JSON]


class Quo(HTTPProvider):
    name = "quo"
    knows_owners = True
    credentials = "the API key must be of this workspace: its owner or an admin makes it, under API"
    base_url = "https://api.quo.com/v1"
    Reply = _Reply

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        api_key: Annotated[Secret, Meta(description="the workspace's")]

    options: Options

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": self.options.api_key}

    def first_page(self, query: Query) -> Request:
        return Request("phone-numbers")  # which has no pages

    def read_page(self, reply: _Reply) -> Page:
        return Page(map(_read, reply.data))


def _read(number: JSON) -> PhoneNumber:
    users = number.get("users") or ()
    return PhoneNumber(
        number=number.get("number") or "",
        name=number.get("name") or "",
        voice=number.get("portingStatus") in (None, "completed"),
        owners=owner_ids(*(user.get(key) for user in users for key in ("id", "email"))),
    )
