"""Numbers without their `+`: is `2025550143` a national number, or one of Egypt's?

Plivo, Vonage, RingCentral and others leave out the `+` of some or all international numbers, and
Zoom's and RingCentral's administrators type national ones. Which it is, the account's `country`
says, or the record's own, or else the account's other numbers; where none of them does, the digits
stay as they are.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

import msgspec
import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from .numbers import is_country, to_e164
from .provider import PhoneNumber

DEFAULT_REGION = "US"
"""Whose national numbers, ten digits, are taken for other countries' most often."""


def complete(numbers: list[PhoneNumber], country: str | None) -> list[PhoneNumber]:
    """Return an account's numbers, those of digits alone in E.164 unless their country is in doubt.

    `country` (ISO 3166-1 alpha-2) is the account's.
    """
    bare = {
        index: digits
        for index, number in enumerate(numbers)
        if str(number.number)[:1] != "+" and (digits := _digits(number))  # most have theirs
    }
    completed = [
        number if number.country is None else msgspec.structs.replace(number, country=None)
        for number in numbers
    ]
    if not bare:
        return completed
    undecided: dict[int, str] = {}
    for index, digits in bare.items():
        own = iso_country(numbers[index].country)
        if e164 := _confirmed(digits, own) or _decided(digits, country) or _by_own(digits, own):
            completed[index] = msgspec.structs.replace(completed[index], number=e164)
        elif country is None and not own:
            undecided[index] = digits
    regions = _regions([n.number for i, n in enumerate(completed) if i not in undecided], undecided)
    for index, digits in undecided.items():
        if _undisputed(digits, regions):
            completed[index] = msgspec.structs.replace(completed[index], number=f"+{digits}")
    return completed


def _digits(number: PhoneNumber) -> str:
    """The number's text if it is digits alone, which leaves its country open; else nothing."""
    text = "" if number.number is None else str(number.number).strip()
    return text if text.isascii() and text.isdigit() and not text.startswith("0") else ""


def iso_country(text: object) -> str | None:
    """Return the ISO code of a country given by it or by its English name; None if it is neither.

    Plivo gives names: https://www.plivo.com/docs/numbers/api/account-phone-number
    """
    if not isinstance(text, str) or not text.strip():
        return None
    code = text.strip().upper()
    return code if is_country(code) else _code_of_name(code)


@lru_cache(1024)
def _code_of_name(name: str) -> str | None:
    from iso3166 import countries_by_name  # not above: few need it

    whole = (full for full in countries_by_name if full == name or full.startswith(f"{name} OF "))
    found = next(whole, None)  # `United States` is `… of America` there
    return countries_by_name[found].alpha2 if found else None


def _confirmed(digits: str, country: str | None) -> str | None:
    """The digits as an international number, if that is valid in the country."""
    if country is None or not digits.startswith(_calling_code(country)):
        return None
    return f"+{digits}" if _valid(f"+{digits}", None) == f"+{digits}" else None


def _decided(digits: str, country: str | None) -> str | None:
    """The digits as a number of the account's country or, if it can be none, from abroad."""
    if country is None:
        return None
    return (
        _confirmed(digits, country)
        or _valid(digits, country)
        or _valid(f"+{digits}", None)
        or _possible(digits, country)
        or _possible(f"+{digits}", None)
    )


def _by_own(digits: str, own: str | None) -> str | None:
    """The digits as a number of the record's own country, or of the one that they alone can be."""
    if own is None:
        return None
    return _valid(digits, own) or _possible(digits, own) or _valid(f"+{digits}", None)


def _undisputed(digits: str, regions: Iterable[str]) -> bool:
    """Whether the digits are an international number that is no national one of a country where
    the account has numbers."""
    valid = _valid(f"+{digits}", None) is not None
    if not (valid or _possible(f"+{digits}", None)):
        return False
    suspects = regions if valid else {*regions, DEFAULT_REGION}
    readings = (_valid(digits, region) for region in suspects)
    return all(reading in (None, f"+{digits}") for reading in readings)


def _regions(known: Iterable[str], undecided: dict[int, str]) -> set[str]:
    """The countries in which the account has numbers: for sure, or as far as can be seen."""
    valid = filter(None, (_valid(f"+{digits}", None) for digits in undecided.values()))
    codes = {_code_of(text) for text in (*known, *valid)}
    return {phonenumbers.region_code_for_country_code(code) for code in codes if code}


@lru_cache(maxsize=32_768)
def _code_of(text: str) -> int | None:
    """The calling code of a number with its `+`."""
    number = to_e164(str(text))
    return phonenumbers.parse(number.number).country_code if number else None


def _valid(text: str, country: str | None) -> str | None:
    return _read(text, country, phonenumbers.is_valid_number)


def _possible(text: str, country: str | None) -> str | None:
    return _read(text, country, phonenumbers.is_possible_number)


@lru_cache(maxsize=65_536)
def _read(
    text: str, country: str | None, passes: Callable[[phonenumbers.PhoneNumber], bool]
) -> str | None:
    try:
        parsed = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164) if passes(parsed) else None


@lru_cache(maxsize=512)
def _calling_code(country: str) -> str:
    return str(phonenumbers.country_code_for_region(country))
