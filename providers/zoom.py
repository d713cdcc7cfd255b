"""Zoom Phone's numbers, API v2, with a server-to-server OAuth app.

https://developers.zoom.us/docs/api/phone/#tag/phone-numbers/GET/phone/numbers
https://developers.zoom.us/docs/internal-apps/s2s-oauth/ (both read 2026-11-22)
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, Page, PhoneNumber, Query, Request, Secret, User, Users, basic, paging
from .base.numbers import plus
from .base.oauth import OAuthProvider, TokenRequest
from .base.records import owner_ids

PAGE_SIZE = 100  # the most it gives


class _Reply(msgspec.Struct):
    next_page_token: str | None  # always there, empty at the end
    phone_numbers: list[JSON] | None = None
    total_records: int | None = None


class _UserReply(msgspec.Struct):
    users: list[JSON]
    next_page_token: str | None


class Zoom(OAuthProvider):
    name = "zoom"
    knows_owners = True
    credentials = (
        "activate the Server-to-Server OAuth app, and give it "
        "phone:read:list_numbers:admin and phone:read:list_users:admin"
    )
    base_url = "https://api.zoom.us/v2"
    oauth_url = "https://zoom.us/oauth/token"
    Reply, UserReply = _Reply, _UserReply
    error_code_at = "code", *OAuthProvider.error_code_at
    # only the newest token is good, and each worker has one of its own:
    # https://github.com/jrchamp/moodle-mod_zoom/issues/473
    token_waits_s = (0.0, 0.1, 0.2, 0.4)

    class Options(OAuthProvider.Options, frozen=True, kw_only=True):
        account_id: Annotated[str, Meta(description="of a Server-to-Server OAuth app")]
        client_id: Annotated[str, Meta(description="that app's")]
        client_secret: Annotated[Secret, Meta(description="that app's")]

    options: Options

    def token_request(self) -> TokenRequest:
        form = {"grant_type": "account_credentials", "account_id": self.options.account_id}
        return TokenRequest(form, basic(self.options.client_id, self.options.client_secret))

    def first_page(self, query: Query) -> Request:
        wanted = {"type": "all", "pending_numbers": "false", "page_size": PAGE_SIZE}
        return Request("phone/numbers", wanted)

    def read_page(self, reply: _Reply) -> Page:
        return Page(
            map(_read, paging.listed(reply.phone_numbers, reply.total_records)),
            paging.token("next_page_token", reply.next_page_token),
            reply.total_records,
        )

    def first_users(self, email: str | None) -> Request:
        return Request("phone/users", {"keyword": email, "page_size": PAGE_SIZE})

    def read_users(self, reply: _UserReply) -> Users:
        return Users(
            map(_user, reply.users), paging.token("next_page_token", reply.next_page_token)
        )


def _user(user: JSON) -> User:
    return User(str(user["id"]), [user.get("email") or ""])


def _read(number: JSON) -> PhoneNumber:
    assignee = number.get("assignee") or {}
    capability = number.get("capability")
    return PhoneNumber(
        number=plus(number.get("number")),
        name=number.get("display_name") or assignee.get("name") or "",
        voice=number.get("status", "available") == "available"
        and (capability is None or "incoming" in capability)  # absent is not told
        and assignee.get("type") != "emergencyNumberPool",
        owners=owner_ids(assignee.get("id") if assignee.get("type") == "user" else None),
    )
