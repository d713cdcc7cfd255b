"""What looks wrong about a value that is well-formed: told in words, never with the value."""

import re
import unicodedata
from collections.abc import Iterator, Mapping

_QUOTES = ("''", '""', "``", "“”", "‘’", "«»")

_PLACEHOLDER = re.compile(
    r"<.*>|\.{3,}|…|\*{3,}|x{4,}|(your|my|some)[-_ ].*|.*(change|replace)[-_ ]?me.*|todo|secret",
    re.IGNORECASE,
)

_UNREPLACED = re.compile(r"\$\{\w+\}|\$[A-Z_]\w+|%[A-Z_]\w+%|\{\{.*\}\}")

_TWILIO_SID = re.compile(r"AC[0-9a-f]{32}", re.IGNORECASE)


def remarks(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the name of each value that looks wrong, and what about it, without the value."""
    for name, value in values.items():
        texts = value if isinstance(value, list | tuple) else [value]
        whole = ",".join(map(str, texts))  # as it was written: quotes may be around all of it
        for text in (whole, *texts):
            if isinstance(text, str) and (remark := _remark(name, text)):
                yield name, remark
                break


def _remark(name: str, text: str) -> str:
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:  # `docker --env-file` keeps them:
        return (
            "it begins and ends with a quotation mark"  # https://github.com/moby/moby/issues/46773
        )
    for character in text:
        if character in "\u00a0\u00ad\ufeff" or unicodedata.category(character) in ("Cc", "Cf"):
            return f"it holds a character that nobody sees, U+{ord(character):04X}"
    if text != text.strip():
        return "it begins or ends with a blank"
    if _UNREPLACED.fullmatch(text):
        return "it is the name of a variable, as it stands; here a variable is written env:NAME"
    if _PLACEHOLDER.fullmatch(text) or re.search(r"[xX]{6,}", text):
        return "it looks like a placeholder"
    sid = name.lower().endswith("account_sid")
    if sid and text.startswith("AC") and not _TWILIO_SID.fullmatch(text):
        return "it is no account SID: AC and 32 hexadecimal digits"
    if name.lower().endswith("developer_api_key") and text.startswith("pat-"):
        return "it is an access token: set HUBSPOT_ACCESS_TOKEN to it instead"
    return ""
