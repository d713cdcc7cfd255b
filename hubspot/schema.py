"""The webhook's request and its answer, as types.

Pure: bytes in, values out, and back. HubSpot's description:
https://developers.hubspot.com/docs/api-reference/2026-03/crm/extensions/calling-extensions/third-party-calling
(read November 2026).
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import regex

from .errors import InvalidRequest
from .names import clean, friendly_names

MAX_ID = 2**63
"""HubSpot's ids are positive and below this."""


class ListedNumber(Protocol):
    """A number of the answer. `name` is the carrier's, of any length, or empty."""

    @property
    def e164(self) -> str: ...
    @property
    def extension(self) -> str | None: ...
    @property
    def name(self) -> str: ...


class NumbersRequest(NamedTuple):
    """HubSpot asks which numbers this user of this portal may connect."""

    app_id: int
    portal_id: int
    user_id: int


_IDS = ("appId", "portalId", "userId")  # as NumbersRequest has them


class _Item(msgspec.Struct):
    e164PhoneNumber: str  # noqa: N815 - HubSpot's spelling
    extension: str | None
    friendlyName: str  # noqa: N815


class _Answer(msgspec.Struct):
    phoneNumbers: list[_Item]  # noqa: N815


def read_request(body: bytes) -> NumbersRequest:
    """HubSpot's question out of the raw body. Fields that we do not know are ignored.

    Raises:
        InvalidRequest: the body is not JSON, or an id is missing, not an integer or out of range.
    """
    payload = _parse(body)
    if not isinstance(payload, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return NumbersRequest(*[_read_id(payload, name) for name in _IDS])


def write_request(asked: NumbersRequest) -> bytes:
    """HubSpot's question as it sends it, for whoever asks in its place."""
    return msgspec.json.encode(dict(zip(_IDS, asked, strict=True)))


def write_answer(numbers: Sequence[ListedNumber]) -> bytes:
    """HubSpot's answer, as JSON, in the numbers' order.

    `extension` is null when there is none: HubSpot cannot select a number that has one.
    """
    names = friendly_names((number.name, number.e164) for number in numbers)
    items = [
        _Item(number.e164, clean(number.extension or "") or None, name)
        for number, name in zip(numbers, names, strict=True)
    ]
    return msgspec.json.encode(_Answer(items))


def _parse(body: bytes) -> Any:
    if not body:
        raise InvalidRequest("The body is empty; it must be a JSON object.")
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidRequest(f"The body is not JSON{where}.") from None


class _Constant(str):
    """NaN or Infinity: Python's parser takes them, JSON has none."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise InvalidRequest(f"{_shown(name)} appears twice.")
        if constant := _constant_in(value):
            raise InvalidRequest(f"{_shown(name)} is {constant}, which is not JSON.")
        made[name] = value
    return made


def _integer(digits: str) -> int:
    """Cut to what is out of range anyway: Python refuses to read thousands of digits."""
    return int(digits[:21])


def _constant_in(value: object) -> _Constant | None:
    if isinstance(value, list):
        return next(filter(None, map(_constant_in, value)), None)
    return value if isinstance(value, _Constant) else None


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_Constant)


def _read_id(payload: dict[str, Any], name: str) -> int:
    if name not in payload:
        raise InvalidRequest(f"{name} is missing.")
    value = payload[name]
    if type(value) is not int:
        raise InvalidRequest(f"{name} must be an integer, not {_KINDS.get(type(value), 'this')}.")
    if not 0 < value < MAX_ID:
        raise InvalidRequest(f"{name} must be between 1 and 2^63 - 1.")
    return value


_KINDS: dict[type, str] = {
    bool: "a boolean",
    float: "a decimal number",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def _shown(name: str) -> str:
    """A field's name as far as it is one: this ends in a message."""
    return name if regex.fullmatch(r"\w{1,40}", name, regex.ASCII) else "A field"
