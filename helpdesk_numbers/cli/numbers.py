"""`flask numbers`: what a user sees now, and why."""

import time
from collections.abc import Iterator

import click
from tabulate import tabulate

from helpdesk_numbers.lookup.long import LONGEST_S, Unfinished
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.lookup.result import Result
from helpdesk_numbers.service import current_service
from hubspot.names import friendly_names

from . import progress
from .options import only_portal, portal, user
from .output import Command, as_json, emit, example, in_words, with_remedy


@click.command(cls=Command, epilog=example("numbers --portal-id 62515 --user-id 1001 --explain"))
@portal
@user
@click.option(
    "--explain", is_flag=True, help="Say why each number is in or out, and how each account did."
)
@as_json
def numbers(portal_id: int | None, user_id: int, explain: bool) -> None:
    """Show the numbers that a user may see now, asking the carriers live.

    Needs no running service. Exits with 1 if every account failed and nothing could stand in.
    """
    service = current_service()
    lookup = service.lookup  # first, for it says what is wrong with the settings
    portal_id = portal_id or only_portal(service)
    result = _look_up(lookup, portal_id, user_id, explain)
    names = friendly_names((number.name, number.e164) for number in result.numbers)
    data = {
        "portalId": portal_id,
        "userId": user_id,
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
                "reason": outcome.error and str(outcome.error),
                "retryAfter": outcome.error and outcome.error.retry_after_s,
                "ms": outcome.ms,
            }
            for outcome in result.outcomes
        ],
    }
    emit(data | ({"leftOut": result.left_out} if explain else {}), _lines(result, names, explain))
    if result.failure:
        raise click.exceptions.Exit(1)


def _look_up(lookup: Lookup, portal_id: int, user_id: int, explain: bool) -> Result:
    """The result, once listings that outlast a request's deadline are whole."""

    def ask(_: bool) -> Result | Exception:
        try:
            return lookup.look_up(portal_id, user_id, full=explain)
        except Exception as error:
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


def _lines(result: Result, names: list[str], explain: bool) -> Iterator[str]:
    shown = zip(result.numbers, names, strict=True)
    rows = [[n.e164, n.extension, name, n.account, f"in: {result.why}"] for n, name in shown]
    headings = ["number", "extension", "shown as", "account"]
    if explain:
        rows += [[n.number, None, n.name, n.account, f"out: {n.reason}"] for n in result.left_out]
        headings.append("why")
    if rows:
        rows = [row[: len(headings)] for row in rows]
        yield tabulate(rows, headings, disable_numparse=True)
    if not result.numbers and not result.failure:
        yield f"No numbers: {result.why}."
    for outcome in result.outcomes:
        if outcome.error or explain:
            reason, remedy = in_words(outcome.error) if outcome.error else ("", "")
            how = f"{outcome.outcome}: {reason}" if reason else outcome.outcome
            text = f"account {outcome.account} ({outcome.provider}): {how}, {outcome.ms:.0f} ms"
            click.echo(with_remedy(text, remedy), err=not explain)
