"""Phone numbers, as phonenumbers understands them: any form to E.164."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import (
    CountryCodeSource,
    NumberParseException,
    PhoneMetadata,
    PhoneNumberFormat,
    ValidationResult,
)

E164_DIGITS = range(7, 16)
"""How many digits a number with its `+` has: https://www.itu.int/rec/T-REC-E.164 (at most 15)."""


class E164(NamedTuple):
    """A number in E.164, and the extension that its text named, if any."""

    number: str
    extension: str | None


# One worker sees the same few thousand texts at every request, and parsing one takes 25 to 40 µs.
@lru_cache(maxsize=32_768)
def to_e164(text: str, country: str | None = None) -> E164 | None:
    """Read a number in any form; None if it cannot be one.

    With a `+`, a known calling code and 7 to 15 digits it is one, whatever the metadata know:
    carriers give out ranges before, and machines have numbers longer than people's. `country` (ISO
    3166-1 alpha-2) is what national forms are read by, whose length has to be possible there.
    """
    if _is_e164(text):
        return E164(text, None)
    try:
        parsed = phonenumbers.parse(text, country, keep_raw_input=True)
    except NumberParseException:
        return None
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    if parsed.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN:
        passes = len(number) - 1 in E164_DIGITS
    else:  # what only neighbours can dial is not possible either: 555-0143
        reason = phonenumbers.is_possible_number_with_reason(parsed)
        passes = reason == ValidationResult.IS_POSSIBLE
    return E164(number, parsed.extension or None) if passes else None


class _Plan(NamedTuple):
    """A calling code's numbers: their lengths, and what a number may begin with that is no part."""

    lengths: frozenset[int]
    prefix: re.Pattern[str]


@cache
def _plan(calling_code: str) -> _Plan | None:
    region = phonenumbers.region_code_for_country_code(int(calling_code))
    plan = PhoneMetadata.metadata_for_region_or_calling_code(int(calling_code), region)
    if plan is None or plan.general_desc is None:
        return None
    lengths = frozenset(plan.general_desc.possible_length)
    return _Plan(lengths, re.compile(plan.national_prefix_for_parsing or "(?!)"))


def _is_e164(text: str) -> bool:
    """Whether phonenumbers would give back the text as it is: true of what most carriers send.

    The same questions that it asks, a twentieth of the time. False means that it has to be asked.
    """
    if not _E164.fullmatch(text):
        return False
    for end in (2, 3, 4):  # no calling code is the beginning of another
        if plan := _plan(text[1:end]):
            national = text[end:]
            return len(national) in plan.lengths and not plan.prefix.match(national)
    return False


_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def plus(number: object) -> str:
    """Return as text what a carrier may write without its `+`; empty for null. The base adds the
    `+` where the digits' country is sure: see national.py."""
    return "" if number is None else str(number).strip()


def is_country(code: str) -> bool:
    """Return whether phonenumbers can read national formats of this ISO 3166-1 alpha-2 country."""
    return code in phonenumbers.SUPPORTED_REGIONS
