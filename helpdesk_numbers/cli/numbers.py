"""`flask numbers`: what a user sees now, and why."""

from typing import Any

import click
from flask.cli import with_appcontext
from tabulate import tabulate

from helpdesk_numbers.lookup.result import Result
from helpdesk_numbers.service import current_service
from hubspot.names import friendly_names

from .output import Command, as_json, print_json, try_again
from .webhook import portal, user


@click.command(cls=Command)
@portal
@user
@click.option(
    "--explain", is_flag=True, help="Say why each number is in or out, and how each account did."
)
@as_json
@with_appcontext
def numbers(portal_id: int, user_id: int, explain: bool, as_json: bool) -> None:
    """Show the numbers that a user may see now, asking the carriers live.

    It looks them up from here and needs no running service.
    """
    result = current_service().lookup.look_up(portal_id, user_id, full=explain)
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
        data["leftOut"] = [
            {
                "number": number.number,
                "name": number.name,
                "account": number.account,
                "reason": number.reason,
            }
            for number in result.left_out
        ]
    return data


def _print_result(result: Result, explain: bool) -> None:
    shown = zip(
        result.numbers,
        friendly_names((number.name, number.e164) for number in result.numbers),
        strict=True,
    )
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
    failed = [outcome for outcome in result.outcomes if outcome.error]
    for outcome in result.outcomes if explain else failed:
        reason = f": {outcome.error}{try_again(outcome.error)}" if outcome.error else ""
        click.echo(
            f"account {outcome.account} ({outcome.provider}): {outcome.outcome}{reason},"
            f" {outcome.ms:.0f} ms",
            err=not explain,
        )
