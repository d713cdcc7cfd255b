"""The webhook's request and its answer, as types.

Pure: bytes in, values out, and back. HubSpot's description:
https://developers.hubspot.com/docs/api-reference/2026-03/crm/extensions/calling-extensions/third-party-calling
(read November 2026).
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import regex

from helpdesk_numbers.directory.toml import MAX_ID
from helpdesk_numbers.lookup.lookup import Number
from providers.base.numbers import international

from .errors import InvalidRequest

MAX_NAME_UNITS = 24
"""HubSpot keeps the first 24 characters of a friendly name. What it counts is not documented;
UTF-16 units, as in JavaScript, are the strictest reading."""


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


def write_answer(numbers: Sequence[Number]) -> bytes:
    """HubSpot's answer, as JSON, in the numbers' order.

    `extension` is null when there is none: HubSpot cannot select a number that has one.
    """
    names = friendly_names(numbers)
    items = [
        _Item(number.e164, clean(number.extension or "") or None, name)
        for number, name in zip(numbers, names, strict=True)
    ]
    return msgspec.json.encode(_Answer(items))


def friendly_names(numbers: Iterable[Number]) -> list[str]:
    """A name for each number: never empty, at most MAX_NAME_UNITS long.

    A number without a name gets its international form. Long names are shortened in the middle, at
    the borders of what a reader takes for one character, since names of one company mostly differ
    at the end; two different names never become the same.
    """
    names = [clean(number.name) or international(number.e164) for number in numbers]
    shortened = {name: name for name in names if _units(name) <= MAX_NAME_UNITS}
    taken = set(shortened)
    counts: Counter[str] = Counter()
    for name in names:
        if name not in shortened:
            candidates = _candidates(name, counts)
            shortened[name] = next(short for short in candidates if short not in taken)
            taken.add(shortened[name])
    return [shortened[name] for name in names]


def clean(name: str) -> str:
    """The name without what a reader cannot see or what turns the text around; maybe empty."""
    if name.isascii() and name.isprintable():  # most are, and there is nothing to do but this
        return " ".join(name.split())
    name = _SPACES.sub(" ", _INVISIBLE.sub("", _BREAKS.sub(" ", name))).strip()
    if len(name) >= MAX_NAME_UNITS:  # a pile of accents on one letter would leave no room
        name = "".join(one for one in _characters(name) if _units(one) < MAX_NAME_UNITS)
    return name if _VISIBLE.search(name) else ""


_BREAKS = regex.compile(r"[\t\n\v\f\r\x85\p{Zl}\p{Zp}]+")
_SPACES = regex.compile(r"\s+")
# Lone surrogates, unassigned, private, and what Unicode has as controls between characters: those
# of ASCII, direction marks and overrides, soft hyphen, zero-width space, BOM. Joiners and tags are
# none of these and stay: they make up emoji and Persian words.
_INVISIBLE = regex.compile(r"[\p{Cs}\p{Cn}\p{Co}\p{Grapheme_Cluster_Break=Control}]+")
_VISIBLE = regex.compile(r"[^\p{Z}\p{M}\p{Default_Ignorable_Code_Point}]")


def _candidates(name: str, counts: Counter[str]) -> Iterable[str]:
    """Shorter forms of the name, best first, without end.

    `counts` has the last number given to names that begin alike; a count goes on from there.
    """
    characters = _characters(name)
    head = "".join(_fit(characters, (MAX_NAME_UNITS - 1) // 2))
    tail = _fit(reversed(characters), MAX_NAME_UNITS - 1 - _units(head))
    yield f"{head}…{''.join(reversed(tail))}"
    while True:
        counts[head] += 1
        end = f"… ({counts[head] + 1})"
        yield "".join(_fit(characters, MAX_NAME_UNITS - _units(end))) + end


def _characters(text: str) -> list[str]:
    found: list[str] = regex.findall(r"\X", text)
    return found


def _fit(characters: Iterable[str], units: int) -> list[str]:
    """As many of the first characters as fit into so many units, less a blank at the end."""
    kept: list[str] = []
    for character in characters:
        units -= _units(character)
        if units < 0:
            break
        kept.append(character)
    return kept[:-1] if kept[-1:] == [" "] else kept


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


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
