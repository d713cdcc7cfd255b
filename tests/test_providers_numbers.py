"""What numbers.py reads by itself is what phonenumbers would make of it."""

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from providers.base.numbers import E164, to_e164

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def asked(text: str) -> E164 | None:
    """phonenumbers' own answer."""
    try:
        parsed = phonenumbers.parse(text)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return E164(number, parsed.extension or None)


@given(
    st.sampled_from(CODES),
    st.sampled_from(["", "0", "1", "8", "00"]),
    st.text("0123456789", max_size=13),
)
@example(44, "0", "2079460123")  # a national prefix that is no part of the number
@example(39, "0", "612345678")  # the same digit, where it is one
@example(1, "1", "2025550143")
@example(54, "9", "1155550143")
def test_a_number_in_e164_is_read_as_phonenumbers_reads_it(code: int, lead: str, rest: str) -> None:
    text = f"+{code}{lead}{rest}"
    assert to_e164(text) == asked(text)


def test_every_countrys_example_is_read() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        example_number = phonenumbers.example_number(region)
        assert example_number is not None
        text = phonenumbers.format_number(example_number, PhoneNumberFormat.E164)
        assert to_e164(text) == asked(text) == E164(text, None), region


@pytest.mark.parametrize(
    "text", ["+12025550143\n", "+1202555014３", "++12025550143", "+1202555014"]
)
def test_what_only_looks_like_e164_is_left_to_phonenumbers(text: str) -> None:
    assert to_e164(text) == asked(text)
