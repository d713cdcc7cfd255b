"""Twilio's IncomingPhoneNumbers, asked with the headers and at the hosts of the official client.

https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource (read 2026-11-22)
"""

import logging
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any

from msgspec import Meta, Struct
from twilio.http import HttpClient
from twilio.rest import Client

from .base import HTTPProvider, Page, PhoneNumber, Query, Request, Secret, Unreadable, basic
from .base.options import wholly

PAGE_SIZE = 1000  # the most it gives; the client's own default asks for 50 at a time


class _Number(Struct):
    """Any of them may be null, whatever the documentation says."""

    phone_number: Any = None
    friendly_name: Any = None
    capabilities: Any = None
    voice_receive_mode: Any = None


class _Page(Struct):
    incoming_phone_numbers: list[_Number]
    next_page_uri: str | None


class Twilio(HTTPProvider):
    name = "twilio"
    credentials = (
        "compare account_sid and auth_token with Account Info in Twilio's console; an API "
        "key needs both halves, and the region's own"
    )
    base_url = "https://api.twilio.com"
    narrows = frozenset({"numbers"})
    Reply = _Page

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        account_sid: Annotated[
            str, wholly("AC[0-9A-Za-z]+", "an account SID, AC…"), Meta(description="whose numbers")
        ]
        auth_token: Annotated[Secret | None, Meta(description="or api_key and api_secret")] = None
        api_key: Annotated[str | None, Meta(description="SK…, with api_secret")] = None
        api_secret: Annotated[Secret | None, Meta(description="that key's")] = None
        parent_account_sid: Annotated[str | None, Meta(description="if auth_token is its")] = None
        region: Annotated[str | None, Meta(description="such as ie1")] = None
        edge: Annotated[str | None, Meta(description="such as dublin")] = None

        def __post_init__(self) -> None:
            super().__post_init__()
            by_key = self.api_key is not None and self.api_secret is not None
            if by_key == (self.auth_token is not None) or (self.api_key is None) == by_key:
                raise ValueError("auth_token: give it, or api_key and api_secret instead")
            if self.region and not re.fullmatch(r"[a-z]{2}\d", self.region):
                raise ValueError("region: such as ie1; dublin is an edge, and both are no URLs")
            if self.edge and not re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", self.edge):
                raise ValueError("edge: such as dublin; ie1 is a region, and both are no URLs")
            if self.region and self.region != "us1" and not (self.edge or self.base_url):
                raise ValueError("edge: missing: a region needs its edge, such as dublin for ie1")

    options: Options
    _longest = 1  # pages, as far as any listing of this account got

    @cached_property
    def _client(self) -> Client:
        """The official client, which knows Twilio's headers and hosts. It sends nothing itself."""
        options = self.options
        return Client(  # type: ignore[no-untyped-call] # its constructor alone
            options.api_key or options.parent_account_sid or options.account_sid,
            options.api_secret or options.auth_token,
            options.account_sid,
            region=options.region,
            edge=options.edge,
            environment={"TWILIO_ACCOUNT_SID": ""},  # not the process's own: accounts differ
            http_client=HttpClient(logging.getLogger(__name__), is_async=False),  # abstract
        )

    @cached_property
    def _headers(self) -> Mapping[str, str]:
        return self._client.get_headers("GET", None) | basic(*self._client.get_auth(None))

    def headers(self) -> Mapping[str, str]:
        return self._headers

    def base(self) -> str:
        return self.options.base_url or self._client.get_hostname(self.base_url)

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        listing = self.listing(query)
        if not self._cheaper_by_number(query):
            for count, page in enumerate(self.pages(listing, self.first_page(query)), start=1):
                yield from page.numbers
                self._longest = max(self._longest, count + bool(page.next))
                if page.next and self._cheaper_by_number(query):
                    break
            else:
                return
        for number in query.numbers:
            for page in self.pages(listing, self._request(PhoneNumber=number)):
                yield from page.numbers

    def first_page(self, query: Query) -> Request:
        return self._request()

    def read_page(self, reply: _Page) -> Page:
        return Page(map(_read, reply.incoming_phone_numbers), _following(reply.next_page_uri))

    def _request(self, **params: str) -> Request:
        # The client's own `list()` would read fields that nobody needs, and fail on an odd date;
        # `client.api` alone imports some 150 modules.
        path = f"2010-04-01/Accounts/{self.options.account_sid}/IncomingPhoneNumbers.json"
        return Request(path, {"PageSize": PAGE_SIZE, **params})

    def _cheaper_by_number(self, query: Query) -> bool:
        """Whether a request for each number is less than one for each page, of which there is at
        least one."""
        return 0 < len(query.numbers) < max(self._longest, 2)


def _following(link: str | None) -> Request | None:
    """The next page, below the base URL: a proxy's may have a path of its own."""
    if link and not re.match("/(?!/)", link):
        raise Unreadable("the next page's link names another host")
    return Request(f".{link}") if link else None


def _read(number: _Number) -> PhoneNumber:
    can = number.capabilities
    return PhoneNumber(
        number=number.phone_number or "",
        name=number.friendly_name or "",
        voice=isinstance(can, dict)
        and can.get("voice") is True
        and number.voice_receive_mode != "fax",
    )
