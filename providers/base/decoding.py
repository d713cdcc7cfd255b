"""Carriers' answers as values: strictly first, and leniently where an odd byte would cost them all.

One name with half an emoji, a stray byte of Latin-1 or a control character is no reason to lose an
account's numbers. What is lost then is what no reader could see.
"""

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import Unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_ODD_RECORDS = 100
"""Of one answer, that are no objects at all. Each is found by reading it once more."""


def decode_json(body: bytes | str, kind: Any = Any, *, strict: bool = True) -> Any:
    """Return JSON as `kind`; numbers may be written as text unless `strict`.

    Odd characters are left out, and a list's item of another shape is read as an empty object,
    unless all are: what comes of it is for the reader of items to say.

    Raises:
        Unreadable: it is not JSON, or not of that shape; the message says where.
    """
    try:
        return msgspec.json.decode(body, type=kind, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            return _convert(_lenient(body), kind, strict)
        except (msgspec.DecodeError, ValueError, RecursionError) as again:
            said = again if isinstance(again, msgspec.ValidationError) else error
            raise Unreadable(f"the answer cannot be read: {_words(said)}") from said


def _words(error: Exception) -> str:
    # msgspec shows types and places: https://jcristharif.com/msgspec/usage.html; and one value
    text = str(error) if isinstance(error, msgspec.DecodeError) else "not JSON in UTF-8"
    return re.sub("(?s)(Invalid enum value) .*?( - at|$)", r"\1\2", text)


def _lenient(body: bytes | str) -> Any:
    """JSON as values, whose texts may have held what no text may, and whose numbers are finite."""
    text = body if isinstance(body, str) else to_text(body)
    loaded = json.loads(text, strict=False, parse_constant=lambda _: None)
    return _without_surrogates(loaded)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "ignore").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def _convert(value: Any, kind: Any, strict: bool) -> Any:
    """The values as `kind`, an odd item of a list as an empty object."""
    emptied: dict[str, int] = {}
    while True:
        try:
            return msgspec.convert(value, type=kind, strict=strict)
        except msgspec.ValidationError as error:
            place = re.search(r"at `\$((?:\.\w+)*)\[(\d+)\]`$", str(error))
            if not place:
                raise
            found = value
            for key in filter(None, place[1].split(".")):
                found = found[key]
            index = int(place[2])
            emptied[place[1]] = emptied.get(place[1], 0) + 1
            if found[index] == {} or emptied[place[1]] >= min(len(found), MAX_ODD_RECORDS):
                raise
            found[index] = {}


def to_text(body: bytes) -> str:
    """Return bytes as text: UTF-16 or UTF-32 if they begin so, else UTF-8, and what is not as
    Windows' Latin-1."""
    encoding = json.detect_encoding(body)
    if encoding.startswith("utf-8"):
        return body.removeprefix(codecs.BOM_UTF8).decode("utf-8", "latin-1")
    return body.decode(encoding, "replace")


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("latin-1", _as_latin1)

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML has no place for: https://www.w3.org/TR/xml/#charsets"""


def decode_xml(body: bytes) -> "Element":
    """Return XML as its root element, every text without the white space around it.

    Raises:
        Unreadable: it is not XML, or declares a document type.
    """
    from xml.etree.ElementTree import ParseError

    try:
        root = _parse(body)
    except (ParseError, ValueError, LookupError):
        try:
            root = _parse(_as_xml(to_text(body)))
        except (ParseError, ValueError) as error:
            raise Unreadable("the answer cannot be read: it is not XML") from error
    for element in root.iter():
        element.text = (element.text or "").strip()
    return root


def _as_xml(text: str) -> str:
    """The text without its declaration, whose encoding was wrong, and without what no XML holds."""
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    text = re.sub(r"&#(?:x[0-9A-Fa-f]+|[0-9]+);", _character, text)
    text = re.sub(r"&(?!(?:amp|lt|gt|apos|quot|#x?[0-9A-Fa-f]+);)", "&amp;", text)
    return _NOT_XML.sub("", text)


def _character(reference: re.Match[str]) -> str:
    """The reference, or nothing if it is to what no XML holds."""
    text = reference[0][2:-1]
    code = int(text[1:], 16) if text.startswith("x") else int(text)
    return reference[0] if code <= 0x10FFFF and not _NOT_XML.match(chr(code)) else ""


def _parse(text: bytes | str) -> "Element":
    from xml.etree.ElementTree import TreeBuilder, XMLParser

    class Tree(TreeBuilder):
        def doctype(self, *_: object) -> None:
            """Entities, which may expand without end, need a document type to be declared in."""
            raise Unreadable("the answer declares a document type")

    parser = XMLParser(target=Tree())  # noqa: S314 # without document types, it is safe
    parser.feed(text)
    return parser.close()
