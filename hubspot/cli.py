"""The `flask` commands that speak as HubSpot, and those that show what it would see."""

import json
import time
from typing import Any

import click
import requests
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from msgspec.structs import fields
from tabulate import tabulate

import providers
from providers.lookup import Result
from providers.options import describe, is_secret

from .schema import MAX_NAME_UNITS, friendly_names
from .service import Service
from .signature import Version, signed_headers
from .webhook import PATH

PATIENCE_S = 5.0
"""What HubSpot gives comparable calls (classic CRM cards, webhooks); for this one nothing is
published: https://developers.hubspot.com/docs/api/webhooks (January 2025)."""

Id = click.IntRange(1, 2**63 - 1)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
portal = click.option("--portal-id", type=Id, required=True, help="HubSpot account.")
user = click.option("--user-id", type=Id, required=True, help="User of that account.")


def register(app: Flask) -> None:
    """Attach the commands to `flask`."""
    for command in (numbers, webhook, list_providers):
        app.cli.add_command(command)


def _service() -> Service:
    service: Service = current_app.extensions["helpdesk_numbers"]
    return service


@click.command()
@portal
@user
@click.option("--explain", is_flag=True, help="Say for every number why it is in or out.")
@as_json
@with_appcontext
def numbers(portal_id: int, user_id: int, explain: bool, as_json: bool) -> None:
    """Show the numbers that a user may see now, asking the carriers live."""
    result = _service().lookup.look_up(portal_id, user_id, narrow=not explain)
    if as_json:
        click.echo(json.dumps(_as_data(result, explain), indent=2, ensure_ascii=False))
    else:
        _print_result(result, explain)
    if result.failure:
        raise click.exceptions.Exit(1)


def _as_data(result: Result, explain: bool) -> dict[str, Any]:
    names = friendly_names(result.numbers)
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
    shown = zip(result.numbers, friendly_names(result.numbers), strict=True)
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
        reason = f": {outcome.error}" if outcome.error else ""
        click.echo(
            f"account {outcome.account} ({outcome.provider}): {outcome.outcome}{reason},"
            f" {outcome.ms:.0f} ms",
            err=not explain,
        )


@click.command("providers")
@as_json
@with_appcontext
def list_providers(as_json: bool) -> None:
    """Show the providers that can be used, their options, and which of these are set."""
    environ = _service().environ
    data: list[dict[str, Any]] = []
    for name in providers.names():
        try:
            options = fields(providers.load(name).Options)
        except Exception as error:  # a third party's package may fail in any way
            data.append({"provider": name, "error": type(error).__name__, "options": []})
            continue
        prefix = providers.prefix(name)
        described = [
            {
                "option": option.name,
                "variable": prefix + option.name.upper(),
                "required": option.required,
                "secret": is_secret(option),
                "set": bool(environ.get(prefix + option.name.upper())),
                "help": describe(option),
            }
            for option in options
        ]
        data.append({"provider": name, "error": None, "options": described})
    if as_json:
        click.echo(json.dumps(data, indent=2))
        return
    for provider in data:
        broken = f" (cannot be loaded: {provider['error']})" if provider["error"] else ""
        click.echo(f"{provider['provider']}{broken}")
        rows = [
            [
                option["option"],
                option["variable"],
                "required" if option["required"] else "",
                "set" if option["set"] else "",
                "; ".join(filter(None, ["secret" if option["secret"] else "", option["help"]])),
            ]
            for option in provider["options"]
        ]
        click.echo(tabulate(rows, tablefmt="plain").replace("\n", "\n  ").join(("  ", "\n")))


webhook = AppGroup("webhook", help="Speak to the webhook as HubSpot does.")


@webhook.command()
@portal
@user
@click.option(
    "--url", help="The service, or the whole webhook URL. [default: PUBLIC_URL, or this machine]"
)
@click.option(
    "--signature",
    type=click.Choice(["v3", "v2", "v1"]),
    default="v3",
    show_default=True,
    help="Version to sign with.",
)
@as_json
def send(portal_id: int, user_id: int, url: str | None, signature: Version, as_json: bool) -> None:
    """Sign a request as HubSpot does, send it to a running service, show what comes back."""
    settings = _service().settings
    target = _webhook_url(url or settings.public_url or f"http://127.0.0.1:{settings.port}")
    signed = target
    if settings.public_url and _is_local(
        target
    ):  # it verifies for the outside URL, as behind a proxy
        signed = _webhook_url(settings.public_url)
    body = json.dumps(
        {"appId": settings.hubspot_app_id or 1, "portalId": portal_id, "userId": user_id}
    ).encode()
    headers = signed_headers(
        signature, settings.hubspot_client_secret[0], "POST", signed, body, int(time.time() * 1000)
    )
    started = time.perf_counter()
    try:
        answer = requests.post(
            target,
            data=body,
            headers={**headers, "Content-Type": "application/json"},
            timeout=30,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise click.ClickException(f"no answer from {target}: {type(error).__name__}") from None
    seconds = time.perf_counter() - started
    if as_json:
        _print_answer_as_json(answer, seconds)
    else:
        _print_answer(answer, seconds, target, signed, signature)
    if not answer.ok:
        raise click.exceptions.Exit(1)


def _print_answer_as_json(answer: requests.Response, seconds: float) -> None:
    try:
        content = answer.json()
    except requests.JSONDecodeError:
        content = answer.text
    data = {
        "status": answer.status_code,
        "ms": round(seconds * 1000, 1),
        "source": answer.headers.get("Numbers-Source"),
        "body": content,
    }
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _print_answer(
    answer: requests.Response, seconds: float, target: str, signed: str, version: str
) -> None:
    click.echo(f"POST {target}")
    if signed != target:
        click.echo(f"signed for {signed}")
    judged = "within" if seconds <= PATIENCE_S else "BEYOND"
    source = answer.headers.get("Numbers-Source")
    click.echo(
        f"{answer.status_code} {answer.reason}, signed with {version}, {seconds * 1000:.0f} ms:"
        f" {judged} HubSpot's {PATIENCE_S:.0f} s" + (f", {source}" if source else "")
    )
    if not answer.ok:
        click.echo(answer.text.strip())
        if answer.status_code == 401:
            click.echo("The service's log says why; see docs/troubleshooting.md.")
        return
    rows = drop_down(answer.json()["phoneNumbers"])
    if rows:
        click.echo(tabulate(rows, ["shown as", "number", ""], disable_numparse=True))
    else:
        click.echo("The drop-down is empty; `flask numbers --explain` says why.")


def drop_down(listed: list[dict[str, Any]]) -> list[list[str]]:
    """The drop-down as HubSpot would show it: name, number, and whether it can be selected."""
    return [
        [
            _first_units(item["friendlyName"]),
            item["e164PhoneNumber"],
            f"not selectable: extension {item['extension']}" if item["extension"] else "",
        ]
        for item in listed
    ]


def _first_units(name: str) -> str:
    units = name.encode("utf-16-le")[: 2 * MAX_NAME_UNITS]
    return units.decode("utf-16-le", "ignore")


def _webhook_url(url: str) -> str:
    return url if url.rstrip("/").endswith(PATH) or "?" in url else url.rstrip("/") + PATH


def _is_local(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0]
    return host.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
