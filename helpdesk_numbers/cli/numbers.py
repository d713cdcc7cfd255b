"""`flask numbers`: what a user sees now, and why."""

from typing import Any

import click
import msgspec
from flask.cli import with_appcontext
from tabulate import tabulate

from helpdesk_numbers.lookup.result import Result
from helpdesk_numbers.service import current_service
from hubspot.names import friendly_names

from .options import only_portal, portal, user
from .output import Command, as_json, example, print_json, remedy_for, try_again, with_remedy


@click.command(cls=Command, epilog=example("numbers --portal-id 62515 --user-id 1001 --explain"))
@portal
@user
@click.option(
    "--explain", is_flag=True, help="Say why each number is in or out, and how each account did."
)
@as_json
@with_appcontext
def numbers(portal_id: int | None, user_id: int, explain: bool, as_json: bool) -> None:
    """Show the numbers that a user may see now, asking the carriers live.

    Needs no running service. Exits with 1 if every account failed and nothing could stand in.
    """
    service = current_service()
    lookup = service.lookup  # first, for it says what is wrong with the settings
    portal_id = portal_id or only_portal(service)
    result = lookup.look_up(portal_id, user_id, full=explain)
    if as_json:
        print_json({"portalId": portal_id, "userId": user_id, **_as_data(result, explain)})
    else:
        _print_result(result, explain)
    if result.failure:
        raise click.exceptions.Exit(1)


def _shown_as(result: Result) -> list[str]:
    return friendly_names((number.name, number.e164) for number in result.numbers)


def _as_data(result: Result, explain: bool) -> dict[str, Any]:
    names = _shown_as(result)
    data: dict[str, Any] = {
        "source": None if result.failure else result.source,
        "why": result.why,
        "phoneNumbers": [
            {
                "e164PhoneNumber": number.e164,
                "extension": number.extension,
                "friendlyName": name,
                "name": number.name,
                "account": number.account,
            }
            for number, name in zip(result.numbers, names, strict=True)
        ],
        "accounts": [
            {
                "name": outcome.account,
                "provider": outcome.provider,
                "outcome": outcome.outcome,
                "reason": str(outcome.error) if outcome.error else None,
                "retryAfter": outcome.error.retry_after_s if outcome.error else None,
                "ms": outcome.ms,
            }
            for outcome in result.outcomes
        ],
    }
    if explain:
        data["leftOut"] = msgspec.to_builtins(result.left_out)
    return data


def _print_result(result: Result, explain: bool) -> None:
    shown = zip(result.numbers, _shown_as(result), strict=True)
    rows = [[n.e164, n.extension or "", name, n.account] for n, name in shown]
    headers = ["number", "extension", "shown as", "account"]
    if explain:
        rows = [[*row, f"in: {result.why}"] for row in rows]
        rows += [
            [number.number, "", number.name, number.account, f"out: {number.reason}"]
            for number in result.left_out
        ]
        headers.append("why")
    if rows:
        click.echo(tabulate(rows, headers, disable_numparse=True))
    if not result.numbers and not result.failure:
        click.echo(f"No numbers: {result.why}.")
    for outcome in result.outcomes:
        if outcome.error or explain:
            reason = f": {outcome.error}{try_again(outcome.error)}" if outcome.error else ""
            text = f"account {outcome.account} ({outcome.provider}): {outcome.outcome}{reason}"
            remedy = remedy_for(outcome.error) if outcome.error else ""
            click.echo(with_remedy(f"{text}, {outcome.ms:.0f} ms", remedy), err=not explain)
