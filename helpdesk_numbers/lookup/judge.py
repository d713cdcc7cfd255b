"""Is what a carrier lists a phone number that takes calls?"""

from collections.abc import Iterable
from typing import NamedTuple

from providers.base.national import DOUBTED
from providers.base.numbers import E164_DIGITS, to_e164
from providers.base.provider import PhoneNumber, UnreadNumber

MAX_TEXT = 300
"""Characters of a carrier's name or number that are read. HubSpot shows 24, and Unicode's rules for
what a reader takes for one character cost seconds on a long text."""


class Judged(NamedTuple):
    """A carrier's number as the help desk would have it.

    `reason` says in words why it cannot be offered to anybody; None if it can. `number` is in E.164
    unless it is no phone number. `owners` are in lower case.
    """

    number: str
    extension: str | None
    name: str
    reason: str | None
    owners: frozenset[str] = frozenset()


def judge(number: PhoneNumber, country: str | None) -> Judged:
    """Return a carrier's number in E.164, its extension and name as text, and why not to offer it.

    `country` (ISO 3166-1 alpha-2) is what national forms are read by.
    """
    text, name, extension = map(text_of, (number.number, number.name, number.extension))
    e164 = to_e164(text, number.country or country)
    if e164 is None:
        return Judged(text, extension or None, name, _no_number(number, text, country))
    reason = None if number.voice else "cannot take calls"
    judged = Judged(e164.number, extension or e164.extension, name, reason)
    if number.owners:
        owners = (text_of(owner).casefold() for owner in number.owners)
        return judged._replace(owners=frozenset(filter(None, owners)))
    return judged


def count_usable(numbers: Iterable[PhoneNumber], country: str | None) -> int:
    """Return how many of a carrier's numbers can be offered."""
    return sum(judge(number, country).reason is None for number in numbers)


def _no_number(number: PhoneNumber, text: str, country: str | None) -> str:
    """Why a carrier's number is none, in words."""
    if isinstance(number, UnreadNumber):
        return f"its record cannot be read: {number.fault}"
    if number.country == DOUBTED:
        return "its country is in doubt without a `+`: two countries may have it"
    if country is None and text.isdigit() and len(text) >= min(E164_DIGITS):
        return "its country is in doubt without a `+`: give the account's `country`"
    return "not a phone number"


def text_of(value: object) -> str:
    """Return a carrier's field as text: some are null, or a number where text is documented."""
    if not isinstance(value, str):
        return "" if value is None else str(value)[:MAX_TEXT]
    return value[:MAX_TEXT].strip()
