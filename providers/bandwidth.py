"""Bandwidth's telephone numbers, API v2, which speaks XML.

https://dev.bandwidth.com/apis/numbers-apis/numbers/ and, for the host and the largest page,
https://github.com/Bandwidth/cli cmd/number/list.go
https://dev.bandwidth.com/docs/account/credentials/management (all read 2026-11-22)
"""

import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from msgspec import Meta

from .base import Page, PhoneNumber, Query, Request, Secret, basic, paging
from .base.decoding import decode_xml
from .base.errors import Unreadable
from .base.numbers import plus
from .base.oauth import OAuthProvider, TokenRequest
from .base.options import wholly

PAGE_SIZE = 2500  # the most it gives; more is error 1006

DIGITS = wholly(r"[0-9]+", "digits")


class Bandwidth(OAuthProvider):
    name = "bandwidth"
    credentials = (
        "the API credential needs the role Numbers, in this account; legacy users end on 2026-12-02"
    )
    base_url = "https://api.bandwidth.com/api/v2"
    oauth_url = "/api/v1/oauth2/token"
    error_code_at = "ErrorCode", "Code", *OAuthProvider.error_code_at
    no_content = b"<TelephoneNumbersResponse><TelephoneNumbers/></TelephoneNumbersResponse>"

    class Options(OAuthProvider.Options, frozen=True, kw_only=True):
        account_id: Annotated[str, DIGITS, Meta(description="the account's number")]
        site_id: Annotated[
            Annotated[str, DIGITS] | None, Meta(description="only this site's (sub-account's)")
        ] = None
        client_id: Annotated[
            str, Meta(description="of an API credential; or username and password")
        ] = ""
        client_secret: Annotated[Secret, Meta(description="of that API credential")] = Secret()
        username: Annotated[str, Meta(description="a legacy API user's, until 2026-12-02")] = ""
        password: Annotated[Secret, Meta(description="that API user's")] = Secret()

        def __post_init__(self) -> None:
            super().__post_init__()
            given = self.client_id, self.client_secret, self.username, self.password
            if [*map(bool, given)] not in ([True, True, False, False], [False, False, True, True]):
                raise ValueError("client_id: give it and client_secret, or username and password")

    options: Options

    def token_request(self) -> TokenRequest | None:
        if not self.options.client_id:
            return None
        headers = basic(self.options.client_id, self.options.client_secret)
        return TokenRequest({"grant_type": "client_credentials"}, headers)

    def headers(self) -> Mapping[str, str]:
        legacy = self.options.username
        user = basic(legacy, self.options.password) if legacy else {}
        return {"Accept": "application/xml", **user}

    def decode(self, body: bytes) -> Element:
        return decode_xml(body)

    def first_page(self, query: Query) -> Request:
        account, site = self.options.account_id, self.options.site_id
        if site:
            return Request(f"accounts/{account}/sites/{site}/inserviceNumbers", {"size": PAGE_SIZE})
        return Request("tns", {"accountId": account, "size": PAGE_SIZE})

    def read_page(self, reply: Element) -> Page:
        listed = reply.find("{*}TelephoneNumbers")
        if listed is None and reply.findtext("{*}TelephoneNumberCount") != "0":
            raise Unreadable("no TelephoneNumbers in the answer")
        mine = self.options.account_id
        items = (
            item
            for item in reply.iterfind("{*}TelephoneNumbers/{*}TelephoneNumber")
            if (item.findtext("{*}AccountId") or mine) == mine  # a login may reach several accounts
        )
        return Page(
            map(_read, items), paging.token("page", _following(reply.findtext("{*}Links/{*}next")))
        )


def _following(link: str | None) -> str | None:
    """The next page's `page` in `Link=<https://…/v1.0/tns?…&page=+12025550143&size=500>;rel=…`.

    It is the first number of that page. The rest of the link names a host and a path of an older
    API, so it is not followed.
    """
    if not (link and link.strip()):
        return None
    return unquote(re.findall(r"[?&]page=([^&>]+)", link)[0])


def _read(item: Element) -> PhoneNumber:
    """From a record or, of a site, a bare number in service."""
    number = (item.findtext("{*}FullNumber") if len(item) else item.text) or ""
    services = [service.text for service in item.iterfind("{*}ServiceTypes/*")]
    return PhoneNumber(  # it has no name
        number=f"+1{number}" if re.fullmatch(r"\d{10}", number) else plus(number),  # as in v1
        voice=not len(item)
        or (item.findtext("{*}Status") == "Inservice" and "Voice" in (services or ["Voice"])),
    )
