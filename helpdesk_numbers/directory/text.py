"""The directory's text out of bytes and variables, whatever a dashboard or an editor did to it."""

import binascii
import json
import re
import tomllib
from base64 import b64decode
from pathlib import Path
from typing import Any

from providers.base.options import Faults, Problems


def decode(data: bytes) -> str:
    """Return a file's text: UTF-8, or UTF-16 as Windows' editors write it.

    Raises UnicodeDecodeError for any other encoding.
    """
    return data.decode(json.detect_encoding(data))  # by the mark, or where the nulls are


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    return decode(path.read_bytes()) if "\0" in text else text


def read_file(path: Path) -> str:
    """Return a file's text.

    Raises:
        Faults: it cannot be read, because of an OSError if that is its cause, or is no text.
    """
    remedy = "correct DIRECTORY; a relative path begins where the service is started"
    try:
        return _read(path)
    except OSError as error:
        cause, reason = error, error.strerror
        if str(path).lstrip().startswith(("[", "accounts", "portals")) or "\n" in str(path):
            path, reason = Path("DIRECTORY"), "it is the directory's text, not a path"
            remedy = "name it DIRECTORY_TOML, or write it into a file"
    except UnicodeDecodeError:
        cause, reason = None, "it is not UTF-8"
        remedy = "save it in UTF-8"
    problems = Problems(str(path))
    problems.add(f"cannot be read ({reason})", remedy)
    raise Faults(problems.lines) from cause


def read_tables(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text; a byte order mark, quotes around the whole, and `\\n` for
    line ends are read as what they stand for.

    Raises ValueError or RecursionError, as `tomllib.loads` does.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        for tidied in _tidied(text.strip()):
            try:
                return tomllib.loads(tidied)
            except (ValueError, RecursionError):
                continue
        raise


def _tidied(text: str) -> list[str]:
    """What a dashboard may have made of the text, undone."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    inner = text[1:-1] if quoted else text
    escaped = (
        re.sub(r"\\(r\\n|[nrt\"\\])", _unescape, inner) if "\n" not in inner.strip() else inner
    )
    return [inner, escaped]


def _unescape(match: re.Match[str]) -> str:
    return {"n": "\n", "r": "\n", "r\\n": "\n", "t": "\t"}.get(match[1], match[1])


def looks_like(text: str) -> str:
    """Return in words what a text that is not TOML seems to be, to be added to what is wrong."""
    text = text.strip()
    if unseen := re.search("[\u00a0\u00ad\u200b-\u200f\u2060\ufeff]", text):
        return f"; it holds a character that nobody sees, U+{ord(unseen[0]):04X}"
    if re.search("[“”‘’]", text):
        return "; it has typographic quotation marks: write \" and '"
    if text.startswith("{"):
        return "; it looks like JSON"
    if re.search(r"^(accounts|portals):", text, re.MULTILINE):
        return "; it looks like YAML"
    if "\n" not in text and re.fullmatch(r"\S+\.toml|[./~]\S*", text):
        return "; it looks like a path: that is DIRECTORY's"
    if len(text) > 20 and re.fullmatch(r"[A-Za-z0-9+/\s]+={0,2}", text):
        try:
            b64decode(re.sub(r"\s", "", text), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""
        return "; it looks like Base64: give the text itself"
    return ""
