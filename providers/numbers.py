"""Phone numbers, as phonenumbers understands them: to E.164 and to a form for people."""

from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult


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
    try:
        parsed = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None  # what only neighbours can dial is not possible either: 555-0143
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return E164(number, parsed.extension or None)


@lru_cache(maxsize=32_768)
def international(e164: str) -> str:
    """The number as people write it across borders, `+1 202-555-0143` for `+12025550143`."""
    return phonenumbers.format_number(phonenumbers.parse(e164), PhoneNumberFormat.INTERNATIONAL)


def is_country(code: str) -> bool:
    """Whether phonenumbers can read national formats of this ISO 3166-1 alpha-2 country."""
    return code in phonenumbers.SUPPORTED_REGIONS
