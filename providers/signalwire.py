"""SignalWire's phone numbers, by its own REST API: the Twilio-compatible one has no names.

https://developer.signalwire.com/rest/signalwire-rest/endpoints/space/list-phone-numbers
(read 2026-11-22)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, basic, paging, plus
from .base.options import wholly

PAGE_SIZE = 1000  # the most it gives

DOMAIN = ".signalwire.com"

SPACE = wholly(
    r"[A-Za-z0-9-]+(\.signalwire\.com)?",
    "a space's name, such as example or example.signalwire.com",
)


class _Links(msgspec.Struct):
    next: str | None = None  # left out at the end


class _Reply(msgspec.Struct):
    data: list[JSON]
    links: _Links


class SignalWire(HTTPProvider):
    name = "signalwire"
    credentials = "the API token must be of this project and space, and have the scope Numbers"
    Reply = _Reply
    error_code_at = "errors.0.code", "code", "error"

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        space: Annotated[str, SPACE, Meta(description="`example` of example.signalwire.com")]
        project_id: Annotated[str, Meta(description="a subproject has its own, and its own token")]
        api_token: Annotated[Secret, Meta(description="with the scope Numbers")]

    options: Options

    def base(self) -> str:
        host = self.options.space.removesuffix(DOMAIN) + DOMAIN
        return self.options.base_url or f"https://{host}"

    def headers(self) -> Mapping[str, str]:
        return basic(self.options.project_id, self.options.api_token)

    def first_page(self, query: Query) -> Request:
        return Request("api/relay/rest/phone_numbers", {"page_size": PAGE_SIZE})

    def read_page(self, reply: _Reply) -> Page:
        return Page(map(_read, reply.data), paging.link(reply.links.next))


def _read(number: JSON) -> PhoneNumber:
    return PhoneNumber(
        number=plus(number.get("number")),
        country=number.get("country_code"),
        name=number.get("name") or "",
        voice="voice" in (number.get("capabilities") or ())
        and number.get("call_receive_mode") != "fax",
    )
