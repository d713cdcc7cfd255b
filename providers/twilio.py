"""Twilio's IncomingPhoneNumbers, through the official client.

https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource (read 2026-11-22)
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any
from urllib.parse import urljoin

from msgspec import Meta, Struct
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from .base.http import BaseURL, Listing, decode_json
from .base.options import Secret
from .base.provider import PhoneNumber, Provider, Query

PAGE_SIZE = 1000  # the most it gives; the client's own default asks for 50 at a time


class Twilio(Provider):
    name = "twilio"
    base_url = "https://api.twilio.com"
    narrows = frozenset({"numbers"})

    class Options(Provider.Options, frozen=True, kw_only=True):
        account_sid: Annotated[
            str,
            Meta(
                pattern=r"^AC[0-9A-Za-z]+\Z",
                title="an account SID, AC…",
                description="whose numbers",
            ),
        ]
        auth_token: Annotated[Secret | None, Meta(description="or api_key and api_secret")] = None
        api_key: Annotated[str | None, Meta(description="SK…, with api_secret")] = None
        api_secret: Annotated[Secret | None, Meta(description="that key's")] = None
        parent_account_sid: Annotated[str | None, Meta(description="if auth_token is its")] = None
        region: Annotated[str | None, Meta(description="such as ie1")] = None
        edge: Annotated[str | None, Meta(description="such as dublin")] = None
        base_url: BaseURL = ""

        def __post_init__(self) -> None:
            super().__post_init__()
            by_key = self.api_key is not None and self.api_secret is not None
            if by_key == (self.auth_token is not None) or (self.api_key is None) == by_key:
                raise ValueError("auth_token: give it, or api_key and api_secret instead")

    options: Options
    _longest = 1  # pages, as far as any listing of this account got

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        client, base_url = self._client(query)
        if not self._cheaper_by_number(query):
            for count, page in enumerate(self._pages(client, base_url, {}), start=1):
                yield from map(_read, page.incoming_phone_numbers)
                self._longest = max(self._longest, count + bool(page.next_page_uri))
                if page.next_page_uri and self._cheaper_by_number(query):
                    break
            else:
                return
        for number in query.numbers:
            for page in self._pages(client, base_url, {"PhoneNumber": number}):
                yield from map(_read, page.incoming_phone_numbers)

    def _pages(self, client: Client, base_url: str, params: dict[str, object]) -> Iterator["_Page"]:
        # The client's own `list()` would read fields that nobody needs, and fail on an odd date;
        # `client.api` alone imports some 150 modules.
        link = f"2010-04-01/Accounts/{self.options.account_sid}/IncomingPhoneNumbers.json"
        following: dict[str, object] | None = {"PageSize": PAGE_SIZE, **params}
        while link:
            url = urljoin(base_url, link.lstrip("/"))
            page: _Page = decode_json(client.request("GET", url, following).text, _Page)
            yield page
            link, following = page.next_page_uri or "", None  # the link has the parameters

    def _cheaper_by_number(self, query: Query) -> bool:
        """One request a number, against one a page, of which there is at least one."""
        return 0 < len(query.numbers) < max(self._longest, 2)

    def _client(self, query: Query) -> tuple[Client, str]:
        """The official client with these options, and the base URL of its API."""
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
        sender.listing = Listing(base_url, query)
        return client, base_url.rstrip("/") + "/"


class _Sender(HttpClient):
    """Sends the official client's requests through our session."""

    listing: Listing

    def __init__(self) -> None:
        """Nothing of the original's: it keeps a logger and a timeout."""

    def request(self, method: str, uri: str, **sent: Any) -> Response:  # type: ignore[override]
        answer = self.listing.get(uri, sent["params"], sent["headers"], sent["auth"])
        return Response(answer.status, answer.body.decode(), answer.headers)


class _Number(Struct):
    """Any of them may be null, whatever the documentation says."""

    phone_number: Any = None
    friendly_name: Any = None
    capabilities: Any = None
    voice_receive_mode: Any = None


class _Page(Struct):
    incoming_phone_numbers: list[_Number]
    next_page_uri: str | None = None


def _read(given: _Number) -> PhoneNumber:
    can = given.capabilities
    return PhoneNumber(
        number=given.phone_number or "",
        name=given.friendly_name or "",
        voice=isinstance(can, dict)
        and can.get("voice") is True
        and given.voice_receive_mode != "fax",
    )
