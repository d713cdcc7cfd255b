"""Twilio's IncomingPhoneNumbers, through the official client.

https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource (read 2026-11-22)
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta
from twilio.base.page import Page
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api.v2010.account.incoming_phone_number import IncomingPhoneNumberInstance

from .base import PhoneNumber, Provider, Query
from .http import BaseURL, Listing
from .options import Secret

PAGE_SIZE = 1000  # the most it gives; the client's own default asks for 50 at a time


class Twilio(Provider):
    name = "twilio"
    base_url = "https://api.twilio.com"

    class Options(Provider.Options, frozen=True, kw_only=True):
        account_sid: Annotated[str, Meta(pattern="^AC[0-9A-Za-z]+$", description="AC…")]
        auth_token: Annotated[Secret | None, Meta(description="or api_key and api_secret")] = None
        api_key: Annotated[str | None, Meta(description="SK…, with api_secret")] = None
        api_secret: Secret | None = None
        parent_account_sid: Annotated[
            str | None, Meta(description="when auth_token is the parent's of a sub-account")
        ] = None
        region: Annotated[str | None, Meta(description="such as ie1")] = None
        edge: Annotated[str | None, Meta(description="such as dublin")] = None
        base_url: BaseURL = ""

        def __post_init__(self) -> None:
            super().__post_init__()
            by_key = self.api_key is not None and self.api_secret is not None
            if by_key == (self.auth_token is not None) or (self.api_key is None) == by_key:
                raise ValueError("auth_token: give it, or api_key and api_secret instead")

    options: Options
    _pages = 1  # as many as the longest listing so far was seen to have

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        numbers = self._client(query).incoming_phone_numbers
        if not self._cheaper_by_number(query):
            page: Page | None = numbers.page(page_size=PAGE_SIZE)
            seen = 1
            while page:
                yield from map(_read, page)
                seen += page.next_page_url is not None
                self._pages = max(self._pages, seen)
                if self._cheaper_by_number(query):
                    break
                page = page.next_page()
            else:
                return
        for number in query.numbers:
            yield from map(_read, numbers.stream(phone_number=number, page_size=PAGE_SIZE))

    def _cheaper_by_number(self, query: Query) -> bool:
        """One request a number, against one a page, of which there is at least one."""
        return 0 < len(query.numbers) < max(self._pages, 2)

    def _client(self, query: Query) -> Client:
        options, sender = self.options, _Sender()
        client = Client(  # type: ignore[no-untyped-call] # its constructor alone
            options.api_key or options.parent_account_sid or options.account_sid,
            options.api_secret or options.auth_token,
            options.account_sid,
            region=None if options.base_url else options.region,
            edge=None if options.base_url else options.edge,
            environment={"TWILIO_ACCOUNT_SID": ""},  # not the process's own: accounts differ
            http_client=sender,
        )
        base_url = options.base_url or client.get_hostname(self.base_url)
        client.api.base_url = base_url
        sender.listing = Listing(base_url, query)
        return client


class _Sender(HttpClient):
    """Sends the official client's requests through our session."""

    listing: Listing

    def __init__(self) -> None:
        """Nothing of the original's: it keeps a logger and a timeout."""

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        answer = self.listing.get(uri, params, headers, auth)
        return Response(answer.status, answer.body.decode(), answer.headers)


def _read(record: IncomingPhoneNumberInstance) -> PhoneNumber:
    can = record.capabilities  # null for some; typed as text in the client, an object in fact
    return PhoneNumber(
        number=record.phone_number or "",
        name=record.friendly_name or "",
        voice=isinstance(can, Mapping)
        and can.get("voice") is True
        and record.voice_receive_mode != "fax",
    )
