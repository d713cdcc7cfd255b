"""Phone numbers, as phonenumbers understands them: any form to E.164."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, ValidationResult


class E164(NamedTuple):
    """A number in E.164, and the extension that its text named, if any."""

    number: str
    extension: str | None


# One worker sees the same few thousand texts at every request, and parsing one takes 25 to 40 µs.
@lru_cache(maxsize=32_768)
def to_e164(text: str, country: str | None = None) -> E164 | None:
    """Read a number in any form; None if it cannot be one.

    `country` (ISO 3166-1 alpha-2) is what national formats are read by. A number counts if its
    length is possible in its country: carriers give out ranges before phonenumbers knows them, and
    HubSpot's own example, +18001231234, lies in none.
    """
    if _is_e164(text):
        return E164(text, None)
    try:
        parsed = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None  # what only neighbours can dial is not possible either: 555-0143
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return E164(number, parsed.extension or None)


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
    """Return an international number with its `+`, which Plivo, Vonage, RingCentral and others may
    leave out; empty for null."""
    text = "" if number is None else str(number).strip()
    return text if text.startswith("+") or not text else f"+{text}"


def is_country(code: str) -> bool:
    """Return whether phonenumbers can read national formats of this ISO 3166-1 alpha-2 country."""
    return code in phonenumbers.SUPPORTED_REGIONS
