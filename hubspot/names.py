"""Names that fit into HubSpot's drop-down: clean, short, never empty, different ones different."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import phonenumbers
import regex
from phonenumbers import PhoneNumberFormat

MAX_NAME_UNITS = 24
"""HubSpot keeps the first 24 characters of a friendly name. What it counts is not documented;
UTF-16 units, as in JavaScript, are the strictest reading."""


def friendly_names(numbers: Iterable[tuple[str, str]]) -> list[str]:
    """A name for each number, given as name and E.164: never empty, at most MAX_NAME_UNITS long.

    A number without a name gets its international form. Long names are shortened in the middle, at
    the borders of what a reader takes for one character, since names of one company mostly differ
    at the end; two different names never become the same.
    """
    names = [clean(name) or international(e164) for name, e164 in numbers]
    shortened = {name: name for name in names if _units(name) <= MAX_NAME_UNITS}
    taken = set(shortened)
    counts: Counter[str] = Counter()
    for name in names:
        if name not in shortened:
            candidates = _candidates(name, counts)
            shortened[name] = next(short for short in candidates if short not in taken)
            taken.add(shortened[name])
    return [shortened[name] for name in names]


def clean(name: str) -> str:
    """The name without what a reader cannot see or what turns the text around; maybe empty."""
    if name.isascii() and name.isprintable():  # most are, and there is nothing to do but this
        return " ".join(name.split())
    name = _SPACES.sub(" ", _INVISIBLE.sub("", _BREAKS.sub(" ", name))).strip()
    if len(name) >= MAX_NAME_UNITS:  # a pile of accents on one letter would leave no room
        name = "".join(one for one in _characters(name) if _units(one) < MAX_NAME_UNITS)
    return name if _VISIBLE.search(name) else ""


_BREAKS = regex.compile(r"[\t\n\v\f\r\x85\p{Zl}\p{Zp}]+")
_SPACES = regex.compile(r"\s+")
# Lone surrogates, unassigned, private, and what Unicode has as controls between characters: those
# of ASCII, direction marks and overrides, soft hyphen, zero-width space, BOM. Joiners and tags are
# none of these and stay: they make up emoji and Persian words.
_INVISIBLE = regex.compile(r"[\p{Cs}\p{Cn}\p{Co}\p{Grapheme_Cluster_Break=Control}]+")
_VISIBLE = regex.compile(r"[^\p{Z}\p{M}\p{Default_Ignorable_Code_Point}]")


def _candidates(name: str, counts: Counter[str]) -> Iterable[str]:
    """Shorter forms of the name, best first, without end.

    `counts` has the last number given to names that begin alike; a count goes on from there.
    """
    characters = _characters(name)
    head = "".join(_fit(characters, (MAX_NAME_UNITS - 1) // 2))
    tail = _fit(reversed(characters), MAX_NAME_UNITS - 1 - _units(head))
    yield f"{head}…{''.join(reversed(tail))}"
    while True:
        counts[head] += 1
        end = f"… ({counts[head] + 1})"
        yield "".join(_fit(characters, MAX_NAME_UNITS - _units(end))) + end


def _characters(text: str) -> list[str]:
    found: list[str] = regex.findall(r"\X", text)
    return found


def _fit(characters: Iterable[str], units: int) -> list[str]:
    """As many of the first characters as fit into so many units, less a blank at the end."""
    kept: list[str] = []
    for character in characters:
        units -= _units(character)
        if units < 0:
            break
        kept.append(character)
    return kept[:-1] if kept[-1:] == [" "] else kept


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


@lru_cache(maxsize=32_768)
def international(e164: str) -> str:
    """The number as people write it across borders, `+1 202-555-0143` for `+12025550143`."""
    return phonenumbers.format_number(phonenumbers.parse(e164), PhoneNumberFormat.INTERNATIONAL)
