"""Azure Communication Services' purchased phone numbers, API of 2025-06-01.

PyPI azure-communication-phonenumbers 1.4.0 and
https://learn.microsoft.com/rest/api/communication/authentication (both read 2026-11-25)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, paging
from .base.options import wholly
from .base.signing import signed_for_azure

PAGE_SIZE = 100  # its default; the most it gives is not documented

VERSION = {"api-version": "2025-06-01"}

AZURE = wholly(
    r"[0-9A-Za-z-]+(\.[a-z]+)?\.communication\.azure\.com",
    "such as example.communication.azure.com",
)


class _Reply(msgspec.Struct, rename="camel"):
    phone_numbers: list[JSON]
    next_link: str | None = None  # absent on the last page


class ACS(HTTPProvider):
    name = "acs"
    credentials = (
        "the access key must be one of this resource's two: Keys, in the Azure portal; and the "
        "clock must be right"
    )
    base_url = "https://{host}"
    Reply = _Reply
    error_code_at = ("error.code",)

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        host: Annotated[str, AZURE, Meta(description="the endpoint's, as Keys shows it")]
        access_key: Annotated[Secret, Meta(description="either of the resource's two")]

    options: Options

    def authorise(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        return signed_for_azure(method, url, headers, body, self.options.access_key)

    def first_page(self, query: Query) -> Request:
        return Request("phoneNumbers", {"skip": 0, "top": PAGE_SIZE, **VERSION})

    def read_page(self, reply: _Reply) -> Page:
        # Microsoft's own client puts the version into the link, which may be without one
        return Page(map(_read, reply.phone_numbers), paging.link(reply.next_link, VERSION))


def _read(number: JSON) -> PhoneNumber:
    can = number.get("capabilities") or {}
    return PhoneNumber(  # it has no name
        number=number.get("phoneNumber") or "",
        voice=can.get("calling") in ("inbound", "inbound+outbound"),
    )
