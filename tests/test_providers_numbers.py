"""What numbers.py reads by itself is what phonenumbers would make of it; ranges it does not know,
and digits whose country is in doubt."""

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import NumberParseException, PhoneNumberFormat

from helpdesk_numbers.lookup.judge import judge
from providers import PhoneNumber
from providers.base.national import complete, iso_country
from providers.base.numbers import E164, to_e164

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def asked(text: str) -> E164 | None:
    """phonenumbers' own answer."""
    try:
        parsed = phonenumbers.parse(text, keep_raw_input=True)
    except NumberParseException:
        return None
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return E164(number, parsed.extension or None) if 7 <= len(number) - 1 <= 15 else None


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


@pytest.mark.parametrize(
    "text",
    [
        "+3598001234567",  # https://github.com/giggsey/libphonenumber-for-php/issues/720
        "+27960200558123",
        "+4671012345678",  # Swedish machines
        "+88213012345",
        "+1234567",
        "+123456789012345",
    ],
)
def test_a_carriers_own_e164_is_a_number_whatever_the_metadata_know(text: str) -> None:
    assert to_e164(text) == to_e164(text, "DE") == E164(text, None)


@pytest.mark.parametrize(
    "text", ["+123456", "+1234567890123456", "+99912025550143", "+0123456789", "+", "1234567"]
)
def test_without_a_known_code_or_so_many_digits_it_is_none(text: str) -> None:
    assert to_e164(text) is None


@pytest.mark.parametrize(
    ("numbers", "country", "expected"),
    [
        # the account's country decides, unless the number may as well be one from abroad
        (["3905550143", "2025550143"], "US", ["3905550143", "+12025550143"]),
        (["4995551234"], "US", ["4995551234"]),
        (["2025550143"], "US", ["+12025550143"]),
        (["2035550143", "12025550143"], "US", ["+12035550143", "+12025550143"]),
        (["442079460123", "4915112345678"], "US", ["+442079460123", "+4915112345678"]),
        (["2079460123", "442079460123"], "GB", ["+442079460123", "+442079460123"]),
        (["4930123456"], "DE", ["+4930123456"]),
        # else the account's other numbers
        (["2025550143"], None, ["2025550143"]),
        (["+12025550100", "2035550143"], None, ["+12025550100", "2035550143"]),
        (["12025550100", "2025550143"], None, ["+12025550100", "2025550143"]),
        (["12025550100", "442079460123"], None, ["+12025550100", "+442079460123"]),
        (["18001231234"], None, ["+18001231234"]),
        (["+12025550100", "33123456789"], None, ["+12025550100", "+33123456789"]),
        # what is no number of digits alone is left to others
        (["", "0201234567", "12345", "(202) 555-0143"], None, ["", "0201234567", "12345"]),
    ],
)
def test_digits_alone_are_never_another_countrys(
    numbers: list[str], country: str | None, expected: list[str]
) -> None:
    found = complete([PhoneNumber(number) for number in numbers], country)
    assert [number.number for number in found][: len(expected)] == expected


@pytest.mark.parametrize(
    ("digits", "own", "expected"),
    [
        ("2025550143", "US", "+12025550143"),
        ("2035550143", "United States", "+12035550143"),
        ("447700900000", "GB", "+447700900000"),
        ("4722334455", "NO", "+4722334455"),
        ("2035550143", "DE", "+492035550143"),
        ("2025550143", "XX", "2025550143"),
    ],
)
def test_the_records_own_country_is_read_by(digits: str, own: str, expected: str) -> None:
    (found,) = complete([PhoneNumber(digits, country=own)], None)
    assert found == PhoneNumber(expected)


@pytest.mark.parametrize(
    ("text", "code"),
    [("us", "US"), ("United Kingdom", "GB"), (" Germany ", "DE"), ("Oz", None), ("", None)],
)
def test_a_country_is_known_by_its_code_or_name(text: str, code: str | None) -> None:
    assert iso_country(text) == code


@pytest.mark.parametrize(
    ("text", "own", "country", "offered"),
    [
        ("(202) 555-0143", "United States", None, "+12025550143"),
        ("02079460958", "United Kingdom", None, "+442079460958"),
        ("020 7946 0958", "GB", "GB", "+442079460958"),
        ("(202) 555-0143", None, "US", "+12025550143"),
        ("(202) 555-0143", "Nowhere", "US", "+12025550143"),
        ("+1 202-555-0143", "GB", "GB", "+12025550143"),
        ("2079460018", "GB", "US", None),  # one of Maine, or of London
        ("(207) 946-0018", "GB", "US", None),
        ("3905550143", None, "US", None),
        ("3905550143", "US", "US", "+13905550143"),  # both say so
    ],
)
def test_two_countries_that_contradict_each_other_leave_it_out(
    text: str, own: str | None, country: str | None, offered: str | None
) -> None:
    (number,) = complete([PhoneNumber(text, country=own)], country)
    judged = judge(number, country)
    if offered:
        assert (judged.number, judged.reason) == (offered, None)
    else:
        assert "its country is in doubt" in str(judged.reason)


@pytest.mark.parametrize("odd", [["+12025550143"], {"number": 1}, None, 12.5, True])
def test_an_odd_record_beside_digits_costs_nothing_else(odd: object) -> None:
    numbers = [PhoneNumber(odd), PhoneNumber("442079460123", country=odd)]  # type: ignore[arg-type] # a reader's slip
    assert [number.number for number in complete(numbers, None)] == [odd, "+442079460123"]
