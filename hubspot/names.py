"""Names that fit into HubSpot's drop-down: clean, short, never empty, different ones different."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any

import phonenumbers
from phonenumbers import PhoneNumberFormat

MAX_NAME_UNITS = 24
"""HubSpot keeps the first 24 characters of a friendly name. What it counts is not documented;
UTF-16 units, as in JavaScript, are the strictest reading."""


def friendly_names(numbers: Iterable[tuple[str, str]]) -> list[str]:
    """Return a name for each number, which is a pair of name and E.164, in order.

    None is empty or longer than MAX_NAME_UNITS, and two different names never become the same. A
    number without a name gets its international form. Long names are shortened in the middle, since
    those of one company mostly differ at the end, and between what a reader takes for characters.
    """
    names = [clean(name) or international(e164) for name, e164 in numbers]
    shortened = {name: name for name in names if _units(name) <= MAX_NAME_UNITS}
    taken = set(shortened)
    counts: Counter[str] = Counter()
    for name in names:
        if name not in shortened:
            shorter_forms = _shorter_forms(name, counts)
            shortened[name] = next(form for form in shorter_forms if form not in taken)
            taken.add(shortened[name])
    return [shortened[name] for name in names]


def clean(name: str) -> str:
    """Return the name without what a reader cannot see or what turns text around: maybe nothing."""
    text = " ".join(name.split())
    if text.isascii() and text.isprintable():  # most are, and there is nothing to do but this
        return text
    invisible, visible = _patterns()
    text = " ".join(invisible.sub("", text).split())
    if len(text) >= MAX_NAME_UNITS:  # a pile of accents on one letter would leave no room
        text = "".join(char for char in _characters(text) if _units(char) < MAX_NAME_UNITS)
    return text if visible.search(text) else ""


@cache
def _patterns() -> tuple[Any, Any]:
    """What no reader sees, and what one does."""
    import regex  # not above: many names are ASCII, and it takes 6 ms of the start

    # Lone surrogates, unassigned, private, and what Unicode has as controls between characters:
    # those of ASCII, direction marks and overrides, soft hyphen, zero-width space, BOM. Joiners and
    # tags are none of these and stay: they make up emoji and Persian words.
    invisible = regex.compile(r"[\p{Cs}\p{Cn}\p{Co}\p{Grapheme_Cluster_Break=Control}]+")
    return invisible, regex.compile(r"[^\p{Z}\p{M}\p{Default_Ignorable_Code_Point}]")


def _characters(text: str) -> list[str]:
    """What a reader takes for one character each."""
    if text.isascii():
        return list(text)
    import regex

    characters: list[str] = regex.findall(r"\X", text)
    return characters


def _shorter_forms(name: str, counts: Counter[str]) -> Iterator[str]:
    """Shorten the name in one way after another, best first, without end.

    `counts` has the last number given to names that begin alike; a count goes on from there.
    """
    characters = _characters(name)
    head = "".join(_fit(characters, (MAX_NAME_UNITS - 1) // 2))
    tail = _fit(characters[::-1], MAX_NAME_UNITS - 1 - _units(head))
    yield f"{head}…{''.join(reversed(tail))}"
    while True:
        counts[head] += 1
        end = f"… ({counts[head] + 1})"
        yield "".join(_fit(characters, MAX_NAME_UNITS - _units(end))) + end


def _fit(characters: list[str], units: int) -> list[str]:
    """Keep as many of the first characters as fit into so many units, less a blank at the end."""
    lengths = accumulate(map(_units, characters))
    fitting = [char for char, length in zip(characters, lengths, strict=True) if length <= units]
    return fitting[:-1] if fitting[-1:] == [" "] else fitting


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


@lru_cache(maxsize=32_768)
def international(e164: str) -> str:
    """Return a number as people write it across borders: `+1 202-555-0143` for `+12025550143`."""
    return phonenumbers.format_number(phonenumbers.parse(e164), PhoneNumberFormat.INTERNATIONAL)
