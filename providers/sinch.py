"""Sinch's active numbers, Numbers API 1.0.3.

https://developers.sinch.com/docs/numbers/api-reference/numbers/active-number
https://developers.sinch.com/docs/numbers/api-reference/authentication/oauth
and, for the largest page, Sinch's own script in github.com/sinch/skills (all read 2026-11-25)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import JSON, Page, PhoneNumber, Query, Request, Secret, Unreadable, basic, paging
from .base.oauth import OAuthProvider, TokenRequest
from .base.options import wholly

PAGE_SIZE = 100  # the most it is known to give

ID = wholly(r"[0-9A-Za-z-]+", "letters, digits and hyphens")


class _Reply(msgspec.Struct, rename="camel"):
    active_numbers: list[JSON]
    next_page_token: str | None = None  # empty on the last page; its SDKs also take none
    total_size: int | None = None


class Sinch(OAuthProvider):
    name = "sinch"
    credentials = "the access key must be of this project: Settings > Access keys in its dashboard"
    base_url = "https://numbers.api.sinch.com"
    oauth_url = "https://auth.sinch.com/oauth2/token"
    Reply = _Reply
    error_code_at = "error.status", *OAuthProvider.error_code_at

    class Options(OAuthProvider.Options, frozen=True, kw_only=True):
        project_id: Annotated[str, ID, Meta(description="the project's, whose numbers are listed")]
        key_id: Annotated[str, Meta(description="of an access key of that project")]
        key_secret: Annotated[Secret, Meta(description="that key's")]
        number_type: Annotated[
            Literal["MOBILE", "LOCAL", "TOLL_FREE"] | None, Meta(description="only numbers of it")
        ] = None

    options: Options

    def token_request(self) -> TokenRequest:
        headers = basic(self.options.key_id, self.options.key_secret)
        return TokenRequest({"grant_type": "client_credentials"}, headers)

    def first_page(self, query: Query) -> Request:
        path = f"v1/projects/{self.options.project_id}/activeNumbers"
        return Request(path, {"pageSize": PAGE_SIZE, "type": self.options.number_type})

    def read_page(self, reply: _Reply) -> Page:
        if reply.next_page_token is None and len(reply.active_numbers) >= PAGE_SIZE:
            raise Unreadable("a full page without nextPageToken")
        following = paging.token("pageToken", reply.next_page_token)
        return Page(map(_read, reply.active_numbers), following, reply.total_size)


def _read(number: JSON) -> PhoneNumber:
    configuration = number.get("voiceConfiguration") or {}
    return PhoneNumber(
        number=number.get("phoneNumber") or "",
        name=number.get("displayName") or "",
        voice="VOICE" in (number.get("capability") or ()) and configuration.get("type") != "FAX",
    )
