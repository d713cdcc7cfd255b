"""The webhook's request and its answer, as types. Pure: bytes in, values out, and back.

https://developers.hubspot.com/docs/api-reference/2026-03/crm/extensions/calling-extensions/third-party-calling
(read November 2026)
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import unquote_plus

import msgspec

from .errors import InvalidRequest, NotChannelConnection
from .names import clean, friendly_names

MAX_ID = 2**63
"""HubSpot's ids are positive and below this."""

_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID - 1)]


class NumbersRequest(msgspec.Struct, frozen=True, rename="camel"):
    """HubSpot asks which numbers this user of this portal may connect."""

    app_id: _Id
    portal_id: _Id
    user_id: _Id


class Item(msgspec.Struct, rename="camel"):
    """A line of the drop-down."""

    e164_phone_number: str
    extension: str | None
    friendly_name: str


class Answer(msgspec.Struct, rename="camel"):
    """The drop-down, in order."""

    phone_numbers: list[Item]


OTHER_CALLS = ("userId", "userEmail", "portalId", "appId")
"""Query parameters that HubSpot adds to what an app's pages call by `hubspot.fetch`, and signs with
the same secret: https://developers.hubspot.com/docs/apps/developer-platform/add-features/ui-extensibility/fetching-data
(read November 2026). The channel-connection call has its ids in the body alone."""


def check_query(query: str) -> None:
    """Check that a signed request's query, as it arrived, is not that of another call.

    Raises:
        NotChannelConnection: it has one of OTHER_CALLS, however it is written.
    """
    names = {unquote_plus(part.partition("=")[0]).lower() for part in re.split("[&;]", query)}
    for name in OTHER_CALLS:
        if name.lower() in names:
            raise NotChannelConnection(
                f"The query has {name}, which HubSpot's channel-connection call never has:"
                " HubSpot signed this for an app's page or a workflow, which may ask for anything."
            )


def read_request(body: bytes) -> NumbersRequest:
    """Return HubSpot's question out of the raw body. Fields that we do not know are ignored.

    Raises:
        InvalidRequest: the body is not JSON, or an id is missing, not an integer or out of range.
    """
    if body.count(b'"') == 6:  # three names: if all are ids, nothing is unknown and nothing twice
        try:
            return _DECODER.decode(body)
        except (msgspec.DecodeError, RecursionError):
            pass  # what is wrong with it is told below
    try:  # msgspec's own parser keeps the last of two equal names, and skips what it does not know
        return msgspec.convert(_JSON.decode(body.decode("utf-8")), NumbersRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_in_words(str(error))) from None
    except (ValueError, RecursionError) as error:
        fault = "not JSON" if body else "empty; it must be a JSON object"
        raise InvalidRequest(f"The body is {_FAULTS.get(type(error), fault)}.") from None


def write_request(question: NumbersRequest) -> bytes:
    """Return HubSpot's question as it sends it, for whoever asks in its place."""
    return msgspec.json.encode(question)


def write_answer(numbers: Sequence[tuple[str, str | None, str]]) -> bytes:
    """Return HubSpot's answer, as JSON, of numbers (E.164, extension, name), in their order.

    `extension` is null when there is none: HubSpot cannot select a number that has one.
    """
    names = friendly_names((name, e164) for e164, _, name in numbers)
    items = [
        Item(e164, clean(extension or "") or None, friendly_name)
        for (e164, extension, _), friendly_name in zip(numbers, names, strict=True)
    ]
    return msgspec.json.encode(Answer(items))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    [(name, count)] = Counter(name for name, _ in pairs).most_common(1) or [("", 0)]
    if count > 1:
        shown = name if re.fullmatch(r"\w{1,40}", name, re.ASCII) else "A field"
        raise InvalidRequest(f"{shown} appears twice.")
    return dict(pairs)


_DECODER = msgspec.json.Decoder(NumbersRequest)
_JSON = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_int=lambda digits: int(digits[:21]),  # out of range; Python refuses thousands of digits
    parse_constant=int,  # a ValueError for NaN and Infinity, which are not JSON
)
_FAULTS = {UnicodeDecodeError: "not UTF-8", RecursionError: "nested too deeply"}
_KINDS = {"bool": "a boolean", "float": "a decimal number", "str": "a string", "null": "null"}


def _in_words(error: str) -> str:
    """Put "Expected `int`, got `bool` - at `$.appId`" and its like into words for the caller."""
    field = re.search(r"(?:field `|\$\.)(\w+)", error)
    if not field:
        return "The body must be a JSON object."
    if kind := re.search(r"got `(\w+)`", error):
        return f"{field[1]} must be an integer, not {_KINDS.get(kind[1], f'an {kind[1]}')}."
    return f"{field[1]} {'is missing' if 'missing' in error else 'must be between 1 and 2^63 - 1'}."
