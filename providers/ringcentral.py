"""RingCentral's company numbers, v1.0, which unlike v2 gives their labels.

https://developers.ringcentral.com/api-reference/Phone-Numbers/listAccountPhoneNumbers
https://developers.ringcentral.com/guide/authentication/jwt-flow (both read 2026-11-22)
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, Page, PhoneNumber, Query, Request, Secret, User, Users, basic, paging
from .base.http import Next
from .base.numbers import plus
from .base.oauth import OAuthProvider, TokenRequest
from .base.records import owner_ids

PAGE_SIZE = 1000  # the most it gives; it lowers more without a word

NO_CALLS = ("CompanyFax", "Inventory", "Number", "Forwarded", "Conferencing", "Meetings", "ELIN")
"""What the usage types of numbers begin with that are for faxes, in stock, hosted by another
carrier or no lines at all."""


class _Paging(msgspec.Struct, rename="camel"):
    total_pages: int | None = None
    total_elements: int | None = None


class _Reply(msgspec.Struct):
    records: list[JSON] | None = None
    paging: _Paging = msgspec.field(default_factory=_Paging)

    def listed(self) -> list[JSON]:
        return paging.listed(self.records, self.paging.total_elements)

    def following(self) -> Next:
        return paging.count_up(
            "page", self.paging.total_pages, full=len(self.listed()) >= PAGE_SIZE
        )


class RingCentral(OAuthProvider):
    name = "ringcentral"
    knows_owners = True
    credentials = (
        "the JWT must be an administrator's, for this app and environment, and the app "
        "needs ReadAccounts"
    )
    base_url = "https://platform.ringcentral.com"
    oauth_url = "restapi/oauth/token"
    Reply = UserReply = _Reply
    error_code_at = "errors.0.errorCode", "errorCode", *OAuthProvider.error_code_at

    class Options(OAuthProvider.Options, frozen=True, kw_only=True):
        client_id: Annotated[str, Meta(description="the app's")]
        client_secret: Annotated[Secret, Meta(description="that app's")]
        jwt: Annotated[Secret, Meta(description="an administrator's: others see fewer numbers")]

    options: Options

    def token_request(self) -> TokenRequest:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": self.options.jwt,
        }
        return TokenRequest(form, basic(self.options.client_id, self.options.client_secret))

    def first_page(self, query: Query) -> Request:
        path = "restapi/v1.0/account/~/phone-number"
        return Request(path, {"page": 1, "perPage": PAGE_SIZE})

    def read_page(self, reply: _Reply) -> Page:
        return Page(map(_read, reply.listed()), reply.following(), reply.paging.total_elements)

    def first_users(self, email: str | None) -> Request:
        path = "restapi/v1.0/account/~/extension"
        return Request(path, {"email": email, "page": 1, "perPage": PAGE_SIZE})

    def read_users(self, reply: _Reply) -> Users:
        return Users(map(_user, reply.listed()), reply.following())


def _user(extension: JSON) -> User:
    email = (extension.get("contact") or {}).get("email")
    return User(str(extension["id"]), [email] if email else [])


def _read(number: JSON) -> PhoneNumber:
    extension = number.get("extension") or {}
    return PhoneNumber(
        number=plus(number.get("phoneNumber")),
        country=(number.get("country") or {}).get("isoCode"),
        name=number.get("label") or extension.get("name") or "",
        voice=number.get("status", "Normal") == "Normal"  # the documentation's own page has none
        and number.get("type") != "FaxOnly"
        and number.get("paymentType") != "External"
        and not str(number.get("usageType")).startswith(NO_CALLS),
        owners=owner_ids(extension.get("id")),
    )
