"""CloudTalk's numbers, API 1.7.

https://my.cloudtalk.io/api swagger.json, as kept in github.com/api-evangelist/cloudtalk
openapi/_original/cloudtalk-openapi.json @7f59679 (read 2026-11-25)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, User, Users, basic
from .base.paging import count_up
from .base.records import owner_ids

PAGE_SIZE = 1000  # the most it gives

GROUP, AGENT, CONFERENCE = "0", "1", "2"
"""What a number may be connected to, so that it rings; 3 is a fax."""


class _Data(msgspec.Struct, rename="camel"):
    data: list[JSON]
    page_count: int
    items_count: int | None = None


class _Reply(msgspec.Struct, rename="camel"):
    response_data: _Data


class CloudTalk(HTTPProvider):
    name = "cloudtalk"
    knows_owners = True
    credentials = "make an API key under Account > Settings > API keys in CloudTalk's dashboard"
    base_url = "https://my.cloudtalk.io/api"
    retry_after = ("Retry-After", "X-CloudTalkAPI-ResetTime")
    Reply = UserReply = _Reply

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        access_key_id: Annotated[str, Meta(description="of an API key, which is a company's")]
        access_key_secret: Annotated[Secret, Meta(description="that key's")]

    options: Options

    def headers(self) -> Mapping[str, str]:
        return basic(self.options.access_key_id, self.options.access_key_secret)

    def first_page(self, query: Query) -> Request:
        return Request("numbers/index.json", {"limit": PAGE_SIZE})

    def read_page(self, reply: _Reply) -> Page:
        listed = reply.response_data
        # one page after another: a company's integrations share 60 requests a minute
        following = count_up("page", listed.page_count)
        return Page(map(_read, listed.data), following, listed.items_count)

    def first_users(self, email: str | None) -> Request:
        return Request("agents/index.json", {"limit": PAGE_SIZE})  # none is found by address

    def read_users(self, reply: _Reply) -> Users:
        listed = reply.response_data
        return Users(map(_user, listed.data), count_up("page", listed.page_count))


def _user(item: JSON) -> User:
    agent = item["Agent"]
    return User(str(agent["id"]), [agent.get("email") or ""])


def _read(item: JSON) -> PhoneNumber:
    number = item.get("CallNumber") or {}
    e164, connected_to = number.get("caller_id_e164"), str(number.get("connected_to"))
    return PhoneNumber(
        number="" if e164 is None else f"+{e164}".replace("++", "+"),  # an integer, in the example
        name=number.get("internal_name") or "",
        voice=connected_to in (GROUP, AGENT, CONFERENCE),
        owners=owner_ids(number.get("source_id") if connected_to == AGENT else None),
    )
