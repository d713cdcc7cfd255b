"""`flask users`: HubSpot's users of a portal, which rule holds for each, and what they see."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from tabulate import tabulate

from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.lookup.judge import Judged, judge
from helpdesk_numbers.lookup.result import LeftOut, Number
from helpdesk_numbers.lookup.rules import apply_rules
from helpdesk_numbers.remedies import in_words
from helpdesk_numbers.service import current_service
from hubspot.errors import LookupFailed
from hubspot.users import HubSpotUser
from providers import Provider, ProviderError
from providers.base.provider import ANYBODY, Progress

from . import progress
from .checks import ACCOUNT_S, PAGE_S
from .hubspot_users import people_of
from .listing import list_with_timeout
from .options import only_portal, portal
from .output import Command, as_json, count, emit, example, of_hubspot, with_remedy

SHOWN = 3
"""So many of a user's numbers stand in the table."""

Listed = Mapping[str, list[Judged]]


@click.command(cls=Command, epilog=example("users --portal-id 62515"))
@portal
@as_json
def users(portal_id: int | None) -> None:
    """List a portal's users in HubSpot, the rule that holds for each, and their numbers.

    Then who has no number of their own at a carrier that knows owners, and whose numbers have no
    user in HubSpot. Needs the portal's token: docs/who-sees-what.md. Exits with 1 if an account did
    not give its numbers.
    """
    service = current_service()
    portal_id = portal_id or only_portal(service)
    directory = service.directory.of(portal_id)
    if portal_id not in directory.portals:
        raise click.UsageError(f"portal {portal_id} is not in the directory")
    with progress.line() as show:
        people: list[HubSpotUser] = []
        for person in people_of(service, portal_id).all():
            people.append(person)
            show(f"asking HubSpot: {count(len(people), 'user')}")
        people.sort(key=lambda person: (person.emails, person.id))
        accounts = [directory.accounts[name] for name in directory.portals[portal_id].accounts]
        listed, failed = _list(accounts, show)
        rows = []
        for done, person in enumerate(people):
            show(f"{done:,} of {count(len(people), 'user')} looked at")
            rows.append(_user(directory, portal_id, person, listed))
    data = {
        "portalId": portal_id,
        "users": rows,
        **_unmatched(accounts, people, listed),
        "accounts": [{"name": name, "reason": str(error)} for name, error in failed.items()],
    }
    emit(data, _lines(data))
    for name, error in failed.items():
        click.echo(with_remedy(f"account {name}: {error}", in_words(error)[1]), err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _list(
    accounts: list[Provider], show: progress.Show
) -> tuple[dict[str, list[Judged]], dict[str, ProviderError]]:
    """Each account's numbers with their owners' addresses, and what failed."""

    def ask(account: Provider) -> tuple[str, list[Judged] | ProviderError]:
        try:
            found = list_with_timeout(account, ACCOUNT_S, ANYBODY, Progress(), PAGE_S)
        except ProviderError as error:
            return account.account, error
        return account.account, [judge(number, account.options.country) for number in found]

    listed, failed = dict[str, list[Judged]](), dict[str, ProviderError]()
    of = count(len(accounts), "account")
    for name, answer in progress.each(ask, accounts, 16, lambda n: show(f"{n} of {of} asked")):
        if isinstance(answer, ProviderError):
            failed[name] = answer
        else:
            listed[name] = answer
    return listed, failed


def _user(
    directory: Directory, portal_id: int, person: HubSpotUser, listed: Listed
) -> dict[str, Any]:
    numbers, left_out = dict[tuple[str, str | None], Number](), list[LeftOut]()
    try:
        grants, rule = directory.grants(portal_id, person.id, person)
    except LookupFailed as error:
        grants, rule = [], of_hubspot(error)
    for grant in grants:
        apply_rules(listed.get(grant.account.account, ()), grant, numbers, left_out)
    return {
        "userId": person.id,
        "name": person.name,
        "emails": list(person.emails),
        "teams": [team.name or team.id for team in person.teams],
        "rule": rule,
        "numbers": [
            {"number": n.e164, "name": n.name, "account": n.account} for n in numbers.values()
        ],
    }


def _unmatched(
    accounts: list[Provider], people: list[HubSpotUser], listed: Listed
) -> dict[str, Any]:
    """Who has no number at the carrier, and whose numbers have no user in HubSpot."""
    of_users = {email.casefold() for person in people for email in person.emails}
    owned, nobodys = set[str](), list[dict[str, Any]]()
    for account in accounts:
        for number in listed.get(account.account, ()):
            if number.reason:
                continue
            owned |= number.owners
            if number.owners and not number.owners & of_users:
                ids = sorted(number.owners)
                addresses = [owner for owner in ids if "@" in owner] or ids
                nobodys.append(
                    {"owners": addresses, "number": number.number, "account": account.account}
                )
    know = bool(owned) or any(account.knows_owners for account in accounts)
    without = [
        {"userId": person.id, "emails": list(person.emails)}
        for person in people
        if know and not owned & {email.casefold() for email in person.emails}
    ]
    return {"usersWithoutNumber": without, "numbersWithoutUser": nobodys}


def _lines(data: dict[str, Any]) -> Iterator[str]:
    rows = [
        [
            user["userId"],
            user["name"],
            ", ".join(user["emails"]),
            ", ".join(user["teams"]),
            user["rule"],
            _some([number["number"] for number in user["numbers"]]),
        ]
        for user in data["users"]
    ]
    headings = ["user", "name", "address", "teams", "rule", "numbers"]
    yield tabulate(rows, headings, disable_numparse=True) if rows else "HubSpot has no users."
    if without := data["usersWithoutNumber"]:
        yield "\nWithout a number at the carrier: " + "; ".join(
            f"{', '.join(user['emails']) or 'no address'} ({user['userId']})" for user in without
        )
    if nobodys := data["numbersWithoutUser"]:
        yield "\nNumbers whose owner is no user in HubSpot:"
        yield tabulate(
            [[", ".join(each["owners"]), each["number"], each["account"]] for each in nobodys],
            ["owner", "number", "account"],
            disable_numparse=True,
        )


def _some(numbers: list[str]) -> str:
    rest = len(numbers) - SHOWN
    return " ".join([*numbers[:SHOWN], *([f"and {rest:,} more"] if rest > 0 else [])])
