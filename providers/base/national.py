"""Numbers without their `+`: is `2025550143` a national number, or one of Egypt's?

Plivo, Vonage, RingCentral and others leave out the `+` of some or all international numbers, and
Zoom's and RingCentral's administrators type national ones. Which it is, the account's `country`
says, or the record's own, or else the account's other numbers; where none of them does, or two
contradict each other, it is left out: nobody is offered another country's number.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

import msgspec
import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from .numbers import E164, is_country, to_e164
from .provider import PhoneNumber

DEFAULT_REGION = "US"
"""Whose national numbers, ten digits, are taken for other countries' most often."""


DOUBTED = "ZZ"
"""The country of a number that may be of several: CLDR's unknown region, by which none is read."""


def complete(numbers: list[PhoneNumber], country: str | None) -> list[PhoneNumber]:
    """Return an account's numbers: those of digits alone in E.164 unless their country is in doubt,
    the others' own country as an ISO code where it is what they are to be read by.

    `country` (ISO 3166-1 alpha-2) is the account's.
    """
    completed = list(numbers)
    undecided: dict[int, str] = {}
    for index, number in enumerate(numbers):
        text = "" if number.number is None else str(number.number).strip()
        if text[:1] == "+":  # most have theirs
            if number.country is not None:
                completed[index] = msgspec.structs.replace(number, country=None)
            continue
        own = iso_country(number.country)
        if _is_bare(text):
            if own is None and country is None:
                undecided[index] = text
                continue
            readings = _readings(text, own, country)
            read_by = own
        else:
            readings = {e164.number for one in (own, country) if (e164 := _national(text, one))}
            read_by = own if _national(text, own) else None
        if len(readings) > 1:
            completed[index] = msgspec.structs.replace(number, country=DOUBTED)
        elif readings and _is_bare(text):
            completed[index] = msgspec.structs.replace(number, number=readings.pop(), country=None)
        elif number.country != read_by:
            completed[index] = msgspec.structs.replace(number, country=read_by)
    if undecided:
        known = [number.number for i, number in enumerate(completed) if i not in undecided]
        regions = _regions(known, undecided)
        for index, digits in undecided.items():
            text = f"+{digits}" if _undisputed(digits, regions) else digits
            completed[index] = msgspec.structs.replace(completed[index], number=text, country=None)
    return completed


def _is_bare(text: str) -> bool:
    """Whether the text is digits alone, which leaves the country open."""
    return text.isascii() and text.isdigit() and not text.startswith("0")


def _national(text: str, country: str | None) -> E164 | None:
    return to_e164(text, country) if country else None


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


def _readings(digits: str, own: str | None, country: str | None) -> set[str]:
    """What the digits may be, by the record's own country and the account's: several in doubt."""
    if e164 := _confirmed(digits, own):
        return {e164}
    by_own = own and (_valid(digits, own) or _possible(digits, own) or _valid(f"+{digits}", None))
    decided = set() if by_own and own == country else _decided(digits, country)
    return {*decided, *filter(None, [by_own])}


def _decided(digits: str, country: str | None) -> set[str]:
    """The digits as a number of the account's country or from abroad, as both if it may be both."""
    if country is None:
        return set()
    if e164 := _confirmed(digits, country) or _valid(digits, country):
        return {e164}
    abroad, at_home = _valid(f"+{digits}", None), _possible(digits, country)
    likely = {abroad, at_home} if abroad or at_home else {_possible(f"+{digits}", None)}
    return set(filter(None, likely))


def _undisputed(digits: str, regions: Iterable[str]) -> bool:
    """Whether the digits are an international number that is no national one of a country where
    the account has numbers."""
    valid = _valid(f"+{digits}", None) is not None
    if not (valid or _possible(f"+{digits}", None)):
        return False
    suspects = regions if valid else {*regions, DEFAULT_REGION}
    readings = (_valid(digits, region) for region in suspects)
    return all(reading in (None, f"+{digits}") for reading in readings)


def _regions(known: Iterable[object], undecided: dict[int, str]) -> set[str]:
    """The countries in which the account has numbers: for sure, or as far as can be seen."""
    valid = filter(None, (_valid(f"+{digits}", None) for digits in undecided.values()))
    codes = {_code_of(text) for text in (*known, *valid) if isinstance(text, str)}
    return {phonenumbers.region_code_for_country_code(code) for code in codes if code}


@lru_cache(maxsize=32_768)
def _code_of(text: str) -> int | None:
    """The calling code of a number with its `+`."""
    number = to_e164(text)
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
