"""Does a number pass? Whether it is one and takes calls, and whether the user's rule allows it."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from helpdesk_numbers.directory.model import Grant, Rule
from hubspot.names import clean
from providers.base.national import DOUBTED
from providers.base.numbers import E164_DIGITS, to_e164
from providers.base.provider import Deadline, PhoneNumber, Provider, Query, UnreadNumber

from .result import LeftOut, Number

MAX_TEXT = 300
"""Characters of a carrier's name or number that are read. HubSpot shows 24, and Unicode's rules for
what a reader takes for one character cost seconds on a long text."""


class Judged(NamedTuple):
    """A carrier's number as the help desk would have it.

    `reason` says in words why it cannot be offered to anybody; None if it can. `number` is in E.164
    unless it is no phone number.
    """

    number: str
    extension: str | None
    name: str
    reason: str | None


def judge(number: PhoneNumber, country: str | None) -> Judged:
    """Return a carrier's number in E.164, its extension and name as text, and why not to offer it.

    `country` (ISO 3166-1 alpha-2) is what national forms are read by.
    """
    text, name, extension = map(_text, (number.number, number.name, number.extension))
    e164 = to_e164(text, number.country or country)
    if e164 is None:
        return Judged(text, extension or None, name, _no_number(number, text, country))
    reason = None if number.voice else "cannot take calls"
    return Judged(e164.number, extension or e164.extension, name, reason)


def _no_number(number: PhoneNumber, text: str, country: str | None) -> str:
    """Why a carrier's number is none, in words."""
    if isinstance(number, UnreadNumber):
        return f"its record cannot be read: {number.fault}"
    if number.country == DOUBTED:
        return "its country is in doubt without a `+`: two countries may have it"
    if country is None and text.isdigit() and len(text) >= min(E164_DIGITS):
        return "its country is in doubt without a `+`: give the account's `country`"
    return "not a phone number"


def query_for(rule: Rule, account: Provider, deadline: Deadline) -> Query:
    """Return what the rule wants of the account, as far as that changes how it is listed."""
    narrows = account.narrows
    by_owner = "owner" in narrows or (account.finds_users and "@" in (rule.owner or ""))
    return Query(
        tuple(dict.fromkeys(rule.numbers or ())) if "numbers" in narrows else (),
        (rule.names or ()) if "names" in narrows else (),
        rule.owner if by_owner else None,
        deadline,
    )


def apply_rule(
    listed: Iterable[PhoneNumber],
    grant: Grant,
    numbers: dict[tuple[str, str | None], Number],
    left_out: list[LeftOut],
) -> None:
    """Put each number listed into `numbers`, or into `left_out` with the reason."""
    account, rule, country = grant.account.account, grant.rule, grant.account.options.country
    for number in listed:
        e164, extension, name, reason = judge(number, country)
        key = e164, extension
        reason = (
            reason
            or _against(rule, e164, name, number.owners)
            or ("listed already" if key in numbers else None)
        )
        if reason:
            left_out.append(LeftOut(e164, name, account, reason))
        else:
            numbers[key] = Number(e164, extension, name, account)


def matches_nothing(rule: Rule, listed: Iterable[tuple[Provider, list[PhoneNumber]]]) -> list[str]:
    """Return a rule's parts, such as `numbers[0]`, that match no number that can take calls."""
    usable = [
        (judged.number, judged.name, number.owners)
        for account, numbers in listed
        for number in numbers
        if not (judged := judge(number, account.options.country)).reason
    ]
    parts = {f"numbers[{i}]": Rule(numbers=(text,)) for i, text in enumerate(rule.numbers or ())}
    parts |= {f"names[{i}]": Rule(names=(text,)) for i, text in enumerate(rule.names or ())}
    if rule.owner is not None:
        parts["owner"] = Rule(owner=rule.owner)
    return [
        place for place, part in parts.items() if all(_against(part, *number) for number in usable)
    ]


def _against(rule: Rule, e164: str, name: str, owners: tuple[str, ...]) -> str | None:
    """Why the rule keeps the number from the user, or None if it does not."""
    if rule.numbers is not None and e164 not in rule.numbers:
        return "not among the rule's numbers"
    if rule.names is not None and not _pattern(rule.names).fullmatch(_shown(name)):
        return "matches none of the rule's names"
    if rule.owner is not None and rule.owner.casefold() not in {
        text.casefold() for owner in owners or () if (text := _text(owner))
    }:
        return "not owned by the rule's owner"
    return None


@lru_cache(maxsize=4096)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Of shell-style patterns in which `*` and `?` alone are special: `Team [EU]` is a name."""
    shown = (re.escape(_shown(name)) for name in names)
    return re.compile(
        "|".join(s.replace(r"\*", ".*").replace(r"\?", ".") for s in shown), re.DOTALL
    )


@lru_cache(maxsize=32_768)
def _shown(name: str) -> str:
    """The name as a reader sees it, whatever its capitals: what rules are compared by."""
    text = clean(name)
    if text.isascii():
        return text.casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _text(value: object) -> str:
    """A carrier's field as text: some are null or a number where the documentation has text."""
    if not isinstance(value, str):
        return "" if value is None else str(value)[:MAX_TEXT]
    return value[:MAX_TEXT].strip()
