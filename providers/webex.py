"""Webex Calling's numbers, API v1.

https://developer.webex.com/docs/api/v1/numbers and https://developer.webex.com/docs/api/v1/people,
as kept in github.com/api-evangelist/webex @6e2ab38; for the next page's header and the token,
PyPI wxc_sdk 1.41.0 (all read 2026-11-25)
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, Page, PhoneNumber, Query, Request, Secret, User, Users
from .base.oauth import OAuthProvider, TokenRequest
from .base.records import owner_ids

OWNERS = ("PEOPLE", "PLACE", "VIRTUAL_LINE", "AUTO_ATTENDANT", "CALL_QUEUE", "HUNT_GROUP")
"""What a number may belong to, so that it rings."""


class _Count(msgspec.Struct):
    total: int | None = None


class _Reply(msgspec.Struct, rename="camel"):
    phone_numbers: list[JSON]
    count: _Count | None = None


class _UserReply(msgspec.Struct):
    items: list[JSON]


class Webex(OAuthProvider):
    name = "webex"
    knows_owners = True
    credentials = (
        "the refresh token must be an administrator's or a service app's, for this client_id, used "
        "within 90 days, with spark-admin:telephony_config_read and spark-admin:people_read"
    )
    base_url = "https://webexapis.com/v1"
    oauth_url = "access_token"
    link_header = True
    Reply, UserReply = _Reply, _UserReply
    error_code_at = "errors.0.errorCode", *OAuthProvider.error_code_at

    class Options(OAuthProvider.Options, frozen=True, kw_only=True):
        client_id: Annotated[str, Meta(description="an integration's or service app's")]
        client_secret: Annotated[Secret, Meta(description="that app's")]
        refresh_token: Annotated[Secret, Meta(description="that it was given by an administrator")]

    options: Options

    def token_request(self) -> TokenRequest:
        return TokenRequest(
            {
                "grant_type": "refresh_token",
                "client_id": self.options.client_id,
                "client_secret": self.options.client_secret,
                "refresh_token": self.refreshed or self.options.refresh_token,
            }
        )

    def first_page(self, query: Query) -> Request:
        # its largest page is not documented, its default of 2,000 is; and next links have been
        # seen to lose parameters: https://github.com/WebexCommunity/WebexPythonSDK/issues/168
        return Request("telephony/config/numbers")

    def read_page(self, reply: _Reply) -> Page:
        total = reply.count.total if reply.count else None
        return Page(map(_read, reply.phone_numbers), total=total)

    def first_users(self, email: str | None) -> Request:
        return Request("people", {"email": email})

    def read_users(self, reply: _UserReply) -> Users:
        return Users(map(_user, reply.items))


def _user(person: JSON) -> User:
    return User(str(person["id"]), person.get("emails") or ())


def _read(number: JSON) -> PhoneNumber:
    owner = number.get("owner") or {}
    given = f"{owner.get('firstName') or ''} {owner.get('lastName') or ''}"
    return PhoneNumber(
        number=number.get("phoneNumber") or "",  # an extension alone has none
        name=owner.get("displayName")
        or given.strip(" .")  # a feature's first name is a dot
        or (number.get("location") or {}).get("name")
        or "",
        voice=number.get("state") == "ACTIVE"
        and number.get("phoneNumberType") != "FAX"
        and owner.get("type") in OWNERS,
        owners=owner_ids(owner.get("id") if owner.get("type") == "PEOPLE" else None),
    )
