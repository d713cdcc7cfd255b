"""Which numbers the rules allow a user, and what of them changes how an account is listed."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from helpdesk_numbers.directory.model import ME, Grant, Rule
from hubspot.names import clean
from providers.base.provider import ANYBODY, Deadline, PhoneNumber, Provider, Query

from .judge import Judged, judge
from .result import LeftOut, Number


def query_for(rules: Sequence[Rule], account: Provider, deadline: Deadline) -> Query:
    """Return what the rules want of the account, as far as that changes how it is listed: of
    several, everything, with addresses if one of them needs them."""
    if len(rules) > 1:
        by_address = account.finds_users and any(rule.by_address for rule in rules)
        return Query(owner=ANYBODY if by_address else None, deadline=deadline)
    (rule,), narrows = rules, account.narrows
    by_owner = (not rule.unowned and "owner" in narrows) or (
        account.finds_users and rule.by_address
    )
    return Query(
        tuple(dict.fromkeys(rule.numbers or ())) if "numbers" in narrows else (),
        (rule.names or ()) if "names" in narrows else (),
        rule.owner if by_owner else None,
        deadline,
    )


def lists_all(rules: Sequence[Rule], account: Provider) -> bool:
    """Return whether the account is listed in the same way, whichever of these rules holds."""
    narrows = account.narrows
    return not narrows or not any(
        (rule.numbers and "numbers" in narrows)
        or (rule.names and "names" in narrows)
        or (rule.owner and "owner" in narrows)
        for rule in rules
    )


def apply_rules(
    listed: Iterable[Judged],
    grant: Grant,
    numbers: dict[tuple[str, str | None], Number],
    left_out: list[LeftOut],
) -> None:
    """Put each number listed into `numbers`, or into `left_out` with the reason."""
    account, rules = grant.account.account, grant.rules
    limited = len(rules) > 1 or rules[0].limits_numbers
    for e164, extension, name, reason, owners in listed:
        key = e164, extension
        if not reason and limited:
            reason = _against_all(rules, e164, name, owners)
        if not reason and key in numbers:
            reason = "listed already"
        if reason:
            left_out.append(LeftOut(e164, name, account, reason))
        else:
            numbers[key] = Number(e164, extension, name, account)


def matches_nothing(rule: Rule, listed: Iterable[tuple[Provider, list[PhoneNumber]]]) -> list[str]:
    """Return a rule's parts, such as `numbers[0]`, that match no number that can take calls."""
    usable = [
        (judged.number, judged.name, judged.owners)
        for account, numbers in listed
        for number in numbers
        if not (judged := judge(number, account.options.country)).reason
    ]
    parts = {f"numbers[{i}]": Rule(numbers=(text,)) for i, text in enumerate(rule.numbers or ())}
    parts |= {f"names[{i}]": Rule(names=(text,)) for i, text in enumerate(rule.names or ())}
    if rule.owner not in (None, ME):
        parts["owner"] = Rule(owner=rule.owner)
    return [
        place for place, part in parts.items() if all(_against(part, *number) for number in usable)
    ]


def _against_all(
    rules: tuple[Rule, ...], e164: str, name: str, owners: frozenset[str]
) -> str | None:
    """Why none of the rules allows the number, or None if one does."""
    reason = _against(rules[0], e164, name, owners)
    if reason and len(rules) > 1:
        reasons = {reason, *(_against(rule, e164, name, owners) for rule in rules[1:])}
        if None in reasons:
            return None
        return reason if len(reasons) == 1 else "allowed by none of the user's rules"
    return reason


def _against(rule: Rule, e164: str, name: str, owners: frozenset[str]) -> str | None:
    """Why the rule keeps the number from the user, or None if it does not."""
    if rule.numbers is not None and e164 not in rule.numbers:
        return "not among the rule's numbers"
    if rule.names is not None and not _pattern(rule.names).fullmatch(_shown(name)):
        return "matches none of the rule's names"
    if rule.owner is not None or rule.unowned:
        if not owners:
            return None if rule.unowned else "not owned by the rule's owner"
        if rule.owner is None:
            return "owned by somebody"
        if rule.owner.casefold() not in owners:
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
