"""`flask webhook`: ask the webhook as HubSpot does, and find out why it refuses."""

import statistics
import time
from typing import IO, Any
from urllib.parse import urlsplit

import click
import requests
from tabulate import tabulate

from helpdesk_numbers.service import current_service
from helpdesk_numbers.settings import ConfigurationError, Settings
from helpdesk_numbers.webhook import PATH
from hubspot.diagnosis import RefusedRequest, diagnose
from hubspot.schema import NumbersRequest
from hubspot.settings_api import why_no_answer
from hubspot.signature import Version

from .answer import Answer, ask_webhook, drop_down
from .failed_request import read_failed_request, read_log
from .options import only_portal, portal, user
from .output import Group, as_json, example, print_json, with_remedy

PATIENCE_S = 5.0
"""What HubSpot gives comparable calls (classic CRM cards, webhooks); for this one nothing is
published: https://developers.hubspot.com/docs/api/webhooks (January 2025)."""

webhook = Group("webhook", help="Ask the webhook as HubSpot does, and find out why it refuses.")


def _as_url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    if url is not None:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            usable = False
        if not usable:
            raise click.BadParameter(f"{url} is not an http or https URL")
    return url


@webhook.command(epilog=example("webhook send --portal-id 62515 --user-id 1001"))
@portal
@user
@click.option(
    "--url",
    callback=_as_url,
    help="The service, or the whole webhook URL. [default: PUBLIC_URL, else this machine]",
)
@click.option(
    "--signature",
    type=click.Choice(["v3", "v2", "v1"]),
    default="v3",
    show_default=True,
    help="The version of the signature.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=1,
    help="Send the request this many times, and show the spread of the times.",
)
@as_json
def send(
    portal_id: int | None,
    user_id: int,
    url: str | None,
    signature: Version,
    repeat: int,
    as_json: bool,
) -> None:
    """Sign a request as HubSpot does, send it to a running service, and show what comes back.

    Status, time, and the drop-down as HubSpot would show it. Exits with 1 if HubSpot could not use
    an answer.
    """
    service = current_service()
    settings = service.settings
    secret = _secrets(settings)[0]
    portal_id = portal_id or only_portal(service)
    target = _webhook_url(url or settings.public_url or f"http://127.0.0.1:{settings.port}")
    signed = target
    if settings.public_url and _is_local(target):  # it verifies for the outside URL, as ever
        signed = _webhook_url(settings.public_url)
    request = NumbersRequest(settings.hubspot_app_id or 1, portal_id, user_id)
    try:
        with requests.Session() as session:  # HubSpot keeps connections too
            answers = [
                ask_webhook(session, request, secret, target, signed, signature)
                for _ in range(repeat)
            ]
    except (requests.RequestException, ValueError) as error:
        hint = "is `make run` running?" if _is_local(target) else "does the service run there?"
        text = f"no answer from {target}: {why_no_answer(error)}; {hint}"
        raise click.ClickException(text) from None
    worst = next((answer for answer in answers if answer.numbers() is None), answers[-1])
    if as_json:
        print_json(_as_data(worst, answers))
    else:
        click.echo(f"POST {target}" + (f"\nsigned for {signed}" if signed != target else ""))
        _print_answer(worst, signature)
        if worst.numbers() == []:
            click.echo(
                "The drop-down is empty; `flask numbers"
                f" --portal-id {portal_id} --user-id {user_id} --explain` says why."
            )
        if repeat > 1:
            _print_spread(answers)
    if worst.numbers() is None:
        raise click.exceptions.Exit(1)


@webhook.command(epilog=example("webhook explain --from-log service.log"))
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--registered-url",
    callback=_as_url,
    help="The webhook URL as registered with HubSpot, to compare with.",
)
@click.option("--from-log", is_flag=True, help="FILE holds this service's own log lines.")
@as_json
def explain(file: IO[bytes], registered_url: str | None, from_log: bool, as_json: bool) -> None:
    """Say why a request was refused: which cause fits, and what to do about it.

    FILE (or standard input) is a JSON object of the request as it arrived: method, url, headers,
    body (its exact text), and receivedAt if it is known (milliseconds since 1970):

    \b
    {"method": "POST", "url": "http://10.0.0.7/hubspot/phone-numbers",
     "headers": {"X-HubSpot-Signature-v3": "...", "X-HubSpot-Request-Timestamp": "..."},
     "body": "{\\"appId\\":1,\\"portalId\\":2,\\"userId\\":3}", "receivedAt": 1790000001000}
    """
    if file.isatty():
        raise click.UsageError("give a FILE, or pipe the failed request in")
    content = file.read()
    causes = read_log(content) if from_log else [_explain_request(content, registered_url)]
    if not causes:
        raise click.ClickException(
            "no 401 line of this service found in it (those of LOG_FORMAT=text say cause and remedy"
            " themselves)"
        )
    if as_json:
        print_json(causes if from_log else causes[0])
        return
    click.echo("\n\n".join(map(_in_lines, causes)))


def _in_lines(cause: dict[str, Any]) -> str:
    lines = [f"Cause:  {cause['cause']}", f"Remedy: {cause['remedy']}"]
    if cause["url"]:
        lines.append(f"URL:    {cause['url']} (as this service saw it)")
    if "count" in cause:
        times = "once" if cause["count"] == 1 else f"{cause['count']} times"
        lines.append(f"Seen:   {times}" + (f", last at {cause['last']}" if cause["last"] else ""))
    return "\n".join(lines)


def _explain_request(content: bytes, registered_url: str | None) -> dict[str, Any]:
    settings = current_service().settings
    secrets = _secrets(settings)
    failed = read_failed_request(content)
    others = [registered_url] if registered_url else []
    if "://" in failed.url.partition("?")[0]:
        others.append(failed.url)
    uri = failed.verified_for(settings.public_url, settings.trusted_proxies)
    diagnosis = diagnose(
        RefusedRequest(failed.method.upper(), uri, failed, failed.body.encode(), tuple(others)),
        secrets=secrets,
        path=PATH,
        now_ms=failed.received_at or time.time_ns() // 1_000_000,
        versions=settings.hubspot_signature_versions,
        just_arrived=failed.received_at is not None,
        public_url=settings.public_url,
    )
    return {**diagnosis._asdict(), "url": uri}


def _as_data(answer: Answer, answers: list[Answer]) -> dict[str, Any]:
    response = answer.response
    try:
        content = response.json()
    except requests.JSONDecodeError:
        content = response.text
    all_ms = [round(answer.seconds * 1000, 1) for answer in answers]
    return {
        "status": response.status_code,
        "ms": round(answer.seconds * 1000, 1),
        "source": response.headers.get("Numbers-Source"),
        "retryAfter": response.headers.get("Retry-After"),
        "body": content,
        **({"allMs": all_ms} if answers[1:] else {}),
    }


def _print_answer(answer: Answer, version: str) -> None:
    (response, seconds), numbers = answer, answer.numbers()
    judged = "within" if seconds <= PATIENCE_S else "BEYOND"
    source = response.headers.get("Numbers-Source")
    click.echo(
        f"{response.status_code} {response.reason}, signed with {version}, {seconds * 1000:.0f} ms:"
        f" {judged} HubSpot's {PATIENCE_S:.0f} s" + (f", {source}" if source else "")
    )
    if numbers:
        click.echo(tabulate(drop_down(numbers), ["shown as", "number", ""], disable_numparse=True))
    if numbers is not None:
        return
    for name in ("Retry-After", "Location"):
        if name in response.headers:
            click.echo(f"{name}: {response.headers[name]}")
    advice = _ADVICE.get(response.status_code) or _ADVICE.get(response.status_code // 100, "")
    click.echo(with_remedy(response.text.strip() or "(an empty body)", advice))


_ADVICE = {
    2: "this is not HubSpot's schema: another service answers at this URL",
    3: "this is a redirect: HubSpot has to be given the URL it leads to",
    4: "the service refuses the request; its log says more, under this correlation id",
    5: "the service failed; its log says more, under this correlation id",
    401: "the service's log says why; `flask webhook explain --from-log FILE` reads it",
    404: "there is no webhook at this URL: is it this service, and is the path before it right?",
}


def _print_spread(answers: list[Answer]) -> None:
    times = sorted(answer.seconds * 1000 for answer in answers)
    failed = sum(answer.numbers() is None for answer in answers)
    click.echo(
        f"{len(times)} requests, {failed} failed: fastest {times[0]:.0f} ms,"
        f" median {statistics.median(times):.0f} ms,"
        f" 95 % within {times[int(0.95 * (len(times) - 1))]:.0f} ms, slowest {times[-1]:.0f} ms"
    )


def _webhook_url(url: str) -> str:
    return url if url.rstrip("/").endswith(PATH) or "?" in url else url.rstrip("/") + PATH


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _secrets(settings: Settings) -> tuple[str, ...]:
    if not settings.hubspot_client_secret:
        raise ConfigurationError(("HUBSPOT_CLIENT_SECRET: missing; requests are signed with it",))
    return settings.hubspot_client_secret
