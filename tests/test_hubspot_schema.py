"""hubspot/schema.py: HubSpot's question, our answer, and names that fit."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubspot.errors import InvalidRequest
from hubspot.names import MAX_NAME_UNITS, clean, friendly_names
from hubspot.schema import (
    NumbersRequest,
    read_request,
    write_answer,
    write_request,
)

IDS = {"appId": 54321, "portalId": 62515, "userId": 12345}
GOOD = json.dumps(IDS).encode()


def refusal(body: bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    return str(caught.value)


def with_id(field: str, literal: str) -> bytes:
    """The body with one field's value as given, to the letter."""
    pairs = (f'"{name}": {literal if name == field else value}' for name, value in IDS.items())
    return ("{" + ", ".join(pairs) + "}").encode()


def test_hubspots_question_is_read() -> None:
    assert read_request(GOOD) == NumbersRequest(54321, 62515, 12345)


def test_question_is_written_as_hubspot_writes_it() -> None:
    assert json.loads(write_request(NumbersRequest(54321, 62515, 12345))) == IDS


@pytest.mark.parametrize("literal", ["1", "9223372036854775807", "4503599627370497"])
@pytest.mark.parametrize("field", IDS)
def test_id_up_to_2_63_is_taken_exactly(field: str, literal: str) -> None:
    read = read_request(with_id(field, literal))
    assert json.loads(write_request(read)) == IDS | {field: int(literal)}


OUT_OF_RANGE = ["0", "-0", "-1", "9223372036854775808", "-9223372036854775809", "1" * 400]
OTHER_TYPES = {
    "true": "a boolean",
    "false": "a boolean",
    "1.0": "a decimal number",
    "62515.5": "a decimal number",
    "1e3": "a decimal number",
    "1e999": "a decimal number",
    '"62515"': "a string",
    '""': "a string",
    "null": "null",
    "[62515]": "an array",
    '{"id": 62515}': "an object",
}


@pytest.mark.parametrize("literal", [*OUT_OF_RANGE, "9" * 5000, "-" + "9" * 5000])
@pytest.mark.parametrize("field", IDS)
def test_id_out_of_range_is_refused_by_name(field: str, literal: str) -> None:
    assert refusal(with_id(field, literal)) == f"{field} must be between 1 and 2^63 - 1."


@pytest.mark.parametrize(("literal", "kind"), OTHER_TYPES.items())
@pytest.mark.parametrize("field", IDS)
def test_id_of_another_type_is_refused_by_name(field: str, literal: str, kind: str) -> None:
    assert refusal(with_id(field, literal)) == f"{field} must be an integer, not {kind}."


@pytest.mark.parametrize("field", IDS)
def test_missing_id_is_refused_by_name(field: str) -> None:
    body = {name: value for name, value in IDS.items() if name != field}
    assert refusal(json.dumps(body).encode()) == f"{field} is missing."
    body[field.lower()] = 1
    assert refusal(json.dumps(body).encode()) == f"{field} is missing."


@pytest.mark.parametrize("field", IDS)
def test_id_given_twice_is_refused_by_name(field: str) -> None:
    again = GOOD.replace(b"}", f', "{field}": {IDS[field]}}}'.encode())
    assert refusal(again) == f"{field} appears twice."
    escaped = again.replace(b'"appId"', b'"\\u0061ppId"', 1)
    assert "appears twice" in refusal(escaped)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", [*IDS, "other"])
def test_number_that_json_does_not_have_is_refused(field: str, constant: str) -> None:
    body = with_id(field, constant)
    if field == "other":
        body = GOOD.replace(b"}", f', "other": {constant}}}'.encode())
    assert refusal(body) == "The body is not JSON."


def test_number_that_json_does_not_have_is_found_in_a_list() -> None:
    assert refusal(GOOD.replace(b"}", b', "other": [1, NaN]}')) == "The body is not JSON."


@pytest.mark.parametrize(
    "value", ["1", "null", "[1, [2]]", '{"appId": {"appId": 1}}', "1e400", "9" * 5000, '"\\ud800"']
)
def test_unknown_field_is_ignored(value: str) -> None:
    assert read_request(GOOD.replace(b"}", f', "newId": {value}}}'.encode())) == read_request(GOOD)


NOT_JSON = {
    b"": "empty",
    b" ": "not JSON",
    b"\x00": "not JSON",
    b"appId=1&portalId=2&userId=3": "not JSON",
    b"{'appId': 1}": "not JSON",
    GOOD[:-1]: "not JSON",
    GOOD + b"}": "not JSON",
    GOOD + GOOD: "not JSON",
    GOOD.replace(b"}", b",}"): "not JSON",
    b"\xef\xbb\xbf" + GOOD: "not JSON",
    GOOD.decode().encode("utf-16"): "not UTF-8",
    GOOD.decode().encode("utf-16-le"): "not JSON",
    GOOD.decode().encode("utf-32"): "not UTF-8",
    GOOD.replace(b"}", b', "x": "\xe9"}'): "not UTF-8",
    GOOD.replace(b"}", b', "x": "\xed\xa0\x80"}'): "not UTF-8",
    b"[" * 65_000: "nested too deeply",
    GOOD.replace(b"}", b', "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"): "nested too deeply",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000: "nested too deeply",
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), NOT_JSON.items(), ids=range(len(NOT_JSON)))
def test_body_that_is_no_json_is_refused(body: bytes, reason: str) -> None:
    assert reason in refusal(body)


@pytest.mark.parametrize("body", ["[]", "1", "null", "true", '"appId"', f"[{GOOD.decode()}]"])
def test_json_that_is_no_object_is_refused(body: str) -> None:
    assert "must be a JSON object" in refusal(body.encode())


@pytest.mark.parametrize("name", ["\\ud800", "+12025550143", "a b", "x" * 5000, "<b>", "\\n"])
def test_message_repeats_nothing_but_a_fields_name(name: str) -> None:
    assert refusal(f'{{"{name}": 1, "{name}": 2}}'.encode()) == "A field appears twice."


@given(st.binary() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*IDS, "x"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(InvalidRequest):
        ids = msgspec.structs.astuple(read_request(body))
        assert all(type(each) is int and 0 < each < 2**63 for each in ids)


NUMBER = "+12025550143"


def shown(*names: str) -> list[str]:
    return friendly_names((name, NUMBER) for name in names)


def test_answer_is_hubspots_schema_to_the_byte() -> None:
    numbers = [
        ("+18001231234", None, "My cell phone number"),
        ("+12025550100", "7", ""),
        (NUMBER, None, 'Büro "Süd" 📞'),
    ]
    assert (
        write_answer(numbers)
        == (
            '{"phoneNumbers":['
            '{"e164PhoneNumber":"+18001231234","extension":null,'
            '"friendlyName":"My cell phone number"},'
            '{"e164PhoneNumber":"+12025550100","extension":"7","friendlyName":"+1 202-555-0100"},'
            '{"e164PhoneNumber":"+12025550143","extension":null,"friendlyName":"Büro \\"Süd\\" 📞"}'
            "]}"
        ).encode()
    )


def test_answer_without_numbers_is_an_empty_list() -> None:
    assert write_answer([]) == b'{"phoneNumbers":[]}'


@pytest.mark.parametrize(
    ("extension", "written"), [(None, None), ("", None), (" ", None), ("\ud800", None), ("0", "0")]
)
def test_extension_is_text_or_null(extension: str | None, written: str | None) -> None:
    [item] = json.loads(write_answer([(NUMBER, extension, "Desk")]))["phoneNumbers"]
    assert item["extension"] == written


EMPTY = ["", " ", "\t\n", "\x00", "\u200b", "\u202e\u202c", "\u00ad", "\u200d", "\u3164", "\u0301"]


@pytest.mark.parametrize("name", [*EMPTY, "\ud800", "\ue000", "\U000e0041"], ids=ascii)
def test_name_that_shows_nothing_becomes_the_number(name: str) -> None:
    assert shown(name) == ["+1 202-555-0143"]


CLEANED = {
    "  Front \t desk\r\n": "Front desk",
    "Front\ndesk": "Front desk",
    "Front\u2028desk\u2029": "Front desk",
    "Front\x00 \x1b[31mdesk\x7f": "Front [31mdesk",
    "\u202egnp.txe\u202c": "gnp.txe",
    "\u2066Front\u2069 \u200fdesk\u200e\u061c": "Front desk",
    "\ufeffFront\u200b desk": "Front desk",
    "Fr\u00adont": "Front",
    "Front \ud83d desk": "Front desk",
    "👩‍👩‍👧 Family": "👩‍👩‍👧 Family",
    "می‌خواهم": "می‌خواهم",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿 England": "🏴󠁧󠁢󠁥󠁮󠁧󠁿 England",
}


@pytest.mark.parametrize(("name", "cleaned"), CLEANED.items(), ids=ascii)
def test_name_loses_what_readers_cannot_see_or_what_turns_the_text(name: str, cleaned: str) -> None:
    assert shown(name) == [cleaned]


@pytest.mark.parametrize(
    "name", ["x" * 24, "é" * 24, "📞" * 12, "Zentrale, Öffnungszeit 8"], ids=ascii
)
def test_name_of_24_units_stays(name: str) -> None:
    assert shown(name) == [name]


def test_names_that_differ_at_the_end_stay_different() -> None:
    assert shown("Customer Support – Berlin", "Customer Support – Munich") == [
        "Customer Su…ort – Berlin",
        "Customer Su…ort – Munich",
    ]


def test_no_blank_stands_at_the_gap() -> None:
    assert shown("Customers, and all from Berlin Mitte") == ["Customers,…Berlin Mitte"]


def test_names_that_differ_in_the_middle_are_counted() -> None:
    names = [f"Customer Support line {n} (main office)" for n in (1, 2, 3)]
    assert shown(*names, names[1]) == [
        "Customer Su…main office)",
        "Customer Support li… (2)",
        "Customer Support li… (3)",
        "Customer Support li… (2)",
    ]


def test_shortened_name_makes_way_for_one_that_is_so_by_nature() -> None:
    names = shown("Customer Support – Berlin", "Customer Su…ort – Berlin", "Customer Support … (2)")
    assert names[1:] == ["Customer Su…ort – Berlin", "Customer Support … (2)"]
    assert len(set(names)) == 3


def test_thousands_of_alike_names_are_shortened_in_time() -> None:
    """A bound as wide as the lookup's own; trying every count anew took 24 s."""
    started = time.perf_counter()
    names = shown(*(f"Customer Support line {n:05d} (main office)" for n in range(2500)))
    assert time.perf_counter() - started < 4
    assert len(set(names)) == 2500


PILE = "e" + "\u0301" * 10
GRAPHEMES = [
    "a",
    "–",
    "…",
    " ",
    "(2)",
    "📞",
    "🇩🇪",
    "👩🏽‍🚒",
    "👩‍👩‍👧",
    "é",
    PILE,
    "각",
    "क्षि",
    "\r\n",
]
# Where characters are joined and cut apart, one unit more or less matters.
ATOMS = [
    *GRAPHEMES,
    "\u0301",
    "\u200d",
    "\u00ad",
    "🇩",
    "🏽",
    "\u0600",
    "ᄀ",
    "\ud800",
    "\u202e",
    "\u200b",
]
any_name = st.text(st.characters())
odd_name = st.lists(st.sampled_from(ATOMS), max_size=40).map("".join)
alike_name = st.tuples(
    st.just("Customer Support "), st.text("ab", max_size=3), st.just(" – the Berlin office")
).map("".join)
names = st.lists(any_name | odd_name | alike_name)


@settings(max_examples=300)
@given(names)
def test_any_names_become_names_that_fit(names: list[str]) -> None:
    for name in shown(*names):
        assert name.strip() == name != ""
        assert len(name.encode("utf-16-le")) // 2 <= MAX_NAME_UNITS
        assert not regex.search(r"[\p{Cc}\p{Cs}\p{Bidi_Control}]", name)
    json.loads(write_answer([(NUMBER, None, name) for name in names]).decode("utf-8"))


@settings(max_examples=300)
@given(names)
def test_different_names_never_become_the_same(names: list[str]) -> None:
    full = [clean(name) or "+1 202-555-0143" for name in names]
    assert (
        len(set(zip(full, shown(*names), strict=True))) == len(set(full)) == len(set(shown(*names)))
    )


@settings(max_examples=500)
@given(st.lists(st.sampled_from(ATOMS), min_size=12, max_size=40).map("".join))
@example("x" * 10 + "👩‍👩‍👧" + "x" * 20)
@example("x" * 30 + " \u0301" + "y" * 11)
@example("x" * 30 + "\u00ad\u0301" + "y" * 11)
@example("x" * 9 + "\u0600 " + "y" * 20)
@example("\r\n" + "\ud800")
def test_no_character_is_cut(name: str) -> None:
    [short] = shown(name)
    whole = graphemes(clean(name) or "+1 202-555-0143")  # nothing is left of some
    if short != "".join(whole):
        assert any(graphemes(short) == cut for cut in shortenings(whole)), (short, whole)


def graphemes(text: str) -> list[str]:
    found: list[str] = regex.findall(r"\X", text)
    return found


def shortenings(whole: list[str]) -> Iterator[list[str]]:
    """Every way to leave out whole characters in the middle, blanks at the gap or not."""
    for head, tail in itertools.combinations(range(len(whole) + 1), 2):
        yield [*whole[:head], "…", *whole[tail:]]
    if len(whole) < 2:
        yield ["…"]


def test_order_is_kept() -> None:
    names = ["b", "a", "c" * 40, "", "a"]
    assert shown(*names) == ["b", "a", "c" * 11 + "…" + "c" * 12, "+1 202-555-0143", "a"]
