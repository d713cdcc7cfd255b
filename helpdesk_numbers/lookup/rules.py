"""Does a number pass? Whether it is one and takes calls, and whether the user's rule allows it."""

import fnmatch
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from helpdesk_numbers.directory.model import Grant, Rule
from providers.base.numbers import to_e164
from providers.base.provider import Deadline, PhoneNumber, Provider, Query

from .result import LeftOut, Number

MAX_TEXT = 300
"""Characters of a name or number that are looked at: telling the characters of a long one apart
takes seconds, and HubSpot shows 24."""


class Judged(NamedTuple):
    """A carrier's number as the help desk would have it.

    `reason` says in words why it cannot be offered to anybody; None if it can. `number` is in E.164
    unless it is no phone number.
    """

    number: str
    extension: str | None
    name: str
    reason: str | None


def judge(given: PhoneNumber, country: str | None) -> Judged:
    """The number in E.164, its extension and name as text, and what is against offering it.

    `country` (ISO 3166-1 alpha-2) is what national forms are read by.
    """
    number, name = _text(given.number), _text(given.name)
    read = to_e164(number, country)
    if read is None:
        return Judged(number, _text(given.extension) or None, name, "not a phone number")
    extension = _text(given.extension) or read.extension
    return Judged(read.number, extension, name, None if given.voice else "cannot take calls")


def query_for(rule: Rule, account: Provider, deadline: Deadline) -> Query:
    """What the rule wants of the account, as far as that makes a difference to its listing."""
    uses = account.narrows
    by_owner = "owner" in uses or (account.finds_users and "@" in (rule.owner or ""))
    return Query(
        tuple(dict.fromkeys(rule.numbers or ())) if "numbers" in uses else (),
        (rule.names or ()) if "names" in uses else (),
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
    for given in listed:
        number, extension, name, reason = judge(given, country)
        key = number, extension
        reason = (
            reason
            or _against(rule, number, name, given.owners)
            or ("listed already" if key in numbers else None)
        )
        if reason:
            left_out.append(LeftOut(number, name, account, reason))
        else:
            numbers[key] = Number(number, extension, name, account)


def matches_nothing(rule: Rule, listed: Iterable[tuple[Provider, list[PhoneNumber]]]) -> list[str]:
    """The parts of a rule, such as `numbers[0]`, that match none of the numbers that take calls."""
    usable = [
        (judged.number, judged.name, given.owners)
        for account, numbers in listed
        for given in numbers
        if not (judged := judge(given, account.options.country)).reason
    ]
    parts = {f"numbers[{i}]": Rule(numbers=(one,)) for i, one in enumerate(rule.numbers or ())}
    parts |= {f"names[{i}]": Rule(names=(one,)) for i, one in enumerate(rule.names or ())}
    if rule.owner is not None:
        parts["owner"] = Rule(owner=rule.owner)
    return [
        place for place, part in parts.items() if all(_against(part, *number) for number in usable)
    ]


def _against(rule: Rule, e164: str, name: str, owners: tuple[str, ...]) -> str | None:
    """Which part of the rule keeps the number from the user, if any."""
    if rule.numbers is not None and e164 not in rule.numbers:
        return "not among the rule's numbers"
    if rule.names is not None and not _pattern(rule.names).match(name.casefold()):
        return "matches none of the rule's names"
    if rule.owner is not None and rule.owner.casefold() not in {
        _text(owner).casefold() for owner in owners or ()
    }:
        return "not owned by the rule's owner"
    return None


@lru_cache(maxsize=4096)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(name.casefold()) for name in names))


def _text(value: object) -> str:
    """A carrier's field as text: some are null or a number where the documentation has text."""
    if not isinstance(value, str):
        return "" if value is None else str(value)[:MAX_TEXT]
    return value[:MAX_TEXT].strip()
