"""Infobip's owned numbers, Numbers API 3.210.0.

https://infobip.com/docs/api/platform/numbers/phone-numbers/list-purchased-numbers, as kept in
github.com/api-evangelist/infobip @b3be778, with its rate-limits/ (read 2026-11-25)
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, HTTPProvider, Page, PhoneNumber, Query, Request, Secret, paging, plus
from .base.options import wholly

PAGE_SIZE = 50  # its default; the most it gives is not documented

NO_CALLS = ("NO_ACTION", "BLOCK", "VOICE_CALL_DROP")
"""What is done with a number's calls so that none arrives. What is not among them is one of some
thirty ways of taking a call, to which Infobip adds."""

HOST = wholly(r"([0-9a-z-]+\.)?api\.infobip\.com", "such as example.api.infobip.com")


class _Reply(msgspec.Struct, rename="camel"):
    numbers: list[JSON]
    number_count: int


class Infobip(HTTPProvider):
    name = "infobip"
    credentials = "the API key must be active, and have the scope numbers:manage"
    base_url = "https://{host}"
    pace = 2, 1.0  # two at once, then one a second
    Reply = _Reply
    error_code_at = ("requestError.serviceException.messageId",)

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        api_key: Annotated[Secret, Meta(description="with the scope numbers:manage")]
        host: Annotated[str, HOST, Meta(description="your own, as the portal shows")] = (
            "api.infobip.com"
        )

    options: Options

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"App {self.options.api_key}"}

    def first_page(self, query: Query) -> Request:
        return Request("numbers/1/numbers", {"limit": PAGE_SIZE, "page": 0})

    def read_page(self, reply: _Reply) -> Page:
        total, came = reply.number_count, len(reply.numbers)
        following = paging.counted("page", "limit", total, came, first=0)
        return Page(map(_read, reply.numbers), following, total)


def _read(number: JSON) -> PhoneNumber:
    action = (number.get("voiceSetup") or {}).get("action") or {}
    return PhoneNumber(
        number=plus(number.get("number")),
        country=number.get("country"),
        name=number.get("note") or "",
        voice="VOICE" in (number.get("capabilities") or ())
        and number.get("reservationStatus") is None  # pending, or failed
        and number.get("additionalSetupRequired") is not True
        and action.get("type") not in NO_CALLS,
    )
