"""`flask numbers`: what a user sees now, and why."""

import time
from collections.abc import Iterator
from typing import Any

import click
from tabulate import tabulate

from helpdesk_numbers.explain import describe
from helpdesk_numbers.lookup.long import LONGEST_S, Unfinished
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.lookup.result import Result
from helpdesk_numbers.remedies import remedy_of
from helpdesk_numbers.service import Service, current_service
from helpdesk_numbers.webhook import hide_key

from . import progress, running
from .hubspot_users import user_id_of
from .options import only_portal, portal, secrets_of, user
from .output import Command, as_json, emit, example, with_remedy
from .webhook_url import read_url, signed_url


@click.command(cls=Command, epilog=example("numbers --portal-id 62515 --user-id 1001 --explain"))
@portal
@user
@click.option(
    "--explain", is_flag=True, help="Say why each number is in or out, and how each account did."
)
@click.option(
    "--url",
    metavar="TEXT",
    help="Ask the service that runs there (its base or webhook URL) instead of the carriers.",
)
@as_json
def numbers(
    portal_id: int | None, user_id: int | None, address: str | None, explain: bool, url: str | None
) -> None:
    """Show the numbers that a user may see now, asking the carriers live.

    Needs no running service; with --url, one is asked what it shows and why, and nothing but
    HUBSPOT_CLIENT_SECRET (and HUBSPOT_WEBHOOK_KEY, if it has one) is needed here. Exits with 1 if
    every account failed and nothing could stand in.
    """
    service = current_service()
    if not url:
        service.lookup  # noqa: B018 - first, for it says what is wrong with the settings
    portal_id = portal_id or only_portal(service)
    user_id = user_id_of(service, portal_id, user_id, address)
    if url:
        _ask_running(service, url, portal_id, user_id)
        return
    lookup = service.lookup
    result = _look_up(lookup, portal_id, user_id, explain)
    data = describe(result, portal_id, user_id, left_out=explain)
    _print(data, explain)
    if result.failure:
        raise click.exceptions.Exit(1)


def _ask_running(service: Service, url: str, portal_id: int, user_id: int) -> None:
    settings = service.settings
    secrets_of(settings)
    target = read_url(url, settings)
    try:
        data = running.ask(
            target,
            signed_url(target, settings),
            settings,
            portal_id,
            user_id,
        )
    except running.NoExplanation as error:
        text = hide_key(f"no explanation from {target}: {error}", settings)
        raise click.ClickException(text) from None
    _print(data, explain=True)
    if data["source"] is None:
        raise click.exceptions.Exit(1)


def _look_up(lookup: Lookup, portal_id: int, user_id: int, explain: bool) -> Result:
    """The result, once listings that outlast a request's deadline are whole."""

    def ask(_: bool) -> Result | Exception:
        try:
            return lookup.look_up(portal_id, user_id, full=explain)
        except Exception as error:  # raised where it is waited for
            return error

    began = time.monotonic()
    with progress.line() as show:
        while True:
            gone_s = time.monotonic() - began
            show(f"asking the accounts, {gone_s:.0f} s")
            (result,) = progress.each(ask, [True], 1, lambda _: None)
            if isinstance(result, Exception):
                raise result
            errors = (outcome.error for outcome in result.outcomes if outcome.age_s is None)
            if gone_s > LONGEST_S or not any(isinstance(error, Unfinished) for error in errors):
                return result
            time.sleep(progress.LOOK_S)


def _who(user_id: int, known: dict[str, Any]) -> str:
    """As whom HubSpot knows the user, and how that became known."""
    how = f"{known['how']}, {known['ms']:.0f} ms"
    if known["emails"] is None:
        return f"user {user_id}: HubSpot does not know this user ({how})"
    named = " ".join(filter(None, [known["name"], *(f"<{email}>" for email in known["emails"])]))
    teams = ", ".join(known["teams"]) or "none"
    return f"user {user_id}: {named or 'no address'}, teams: {teams} ({how})"


def _print(data: dict[str, Any], explain: bool) -> None:
    emit(data, _lines(data, explain))


def _lines(data: dict[str, Any], explain: bool) -> Iterator[str]:
    numbers, why = data["phoneNumbers"], data["why"]
    rows = [
        [n["e164PhoneNumber"], n["extension"], n["friendlyName"], n["account"], f"in: {why}"]
        for n in numbers
    ]
    headings = ["number", "extension", "shown as", "account"]
    if explain:
        rows += [
            [n["number"], None, n["name"], n["account"], f"out: {n['reason']}"]
            for n in data["leftOut"]
        ]
        headings.append("why")
    if rows:
        rows = [row[: len(headings)] for row in rows]
        yield tabulate(rows, headings, disable_numparse=True)
    if not numbers and data["source"]:
        yield f"No numbers: {why}."
    if explain and (known := data.get("who")) and known["how"] != "not needed":
        yield _who(data["userId"], known)
    for account in data["accounts"]:
        if account["reason"] or explain:
            how = account["outcome"] + (f": {account['reason']}" if account["reason"] else "")
            if account["retryAfter"]:
                how += f", try again in {account['retryAfter']:.0f} s"
            text = (
                f"account {account['name']} ({account['provider']}): {how}, {account['ms']:.0f} ms"
            )
            remedy = account["remedy"] or (
                remedy_of(account["outcome"]) if account["reason"] else ""
            )
            click.echo(with_remedy(text, remedy), err=not explain)
    for fault in data.get("directory", {}).get("faults", []):
        click.echo(f"The service has refused the last edit of its directory: {fault}", err=True)
