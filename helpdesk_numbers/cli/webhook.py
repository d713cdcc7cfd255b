"""`flask webhook`: speak to the webhook as HubSpot does, and find out why it refuses."""

import statistics
import time
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

import click
import requests
from tabulate import tabulate

from helpdesk_numbers.service import current_service
from helpdesk_numbers.settings import ConfigurationError, Settings
from helpdesk_numbers.webhook import PATH
from hubspot.diagnosis import RefusedRequest, diagnose
from hubspot.names import MAX_NAME_UNITS
from hubspot.schema import MAX_ID, NumbersRequest, write_request
from hubspot.settings_api import why_no_answer
from hubspot.signature import Version, signed_headers

from .failed_request import read_failed_request, read_log
from .output import Group, as_json, print_json

PATIENCE_S = 5.0
"""What HubSpot gives comparable calls (classic CRM cards, webhooks); for this one nothing is
published: https://developers.hubspot.com/docs/api/webhooks (January 2025)."""

_Id = click.IntRange(1, MAX_ID - 1)
portal = click.option("--portal-id", type=_Id, required=True, metavar="ID", help="HubSpot account.")
user = click.option(
    "--user-id", type=_Id, required=True, metavar="ID", help="User of that account."
)

webhook = Group("webhook", help="Speak to the webhook as HubSpot does.")


class _Answer(NamedTuple):
    response: requests.Response
    seconds: float

    def numbers(self) -> list[dict[str, Any]] | None:
        """HubSpot's list, or None if the body is anything else."""
        try:
            listed = list(self.response.json()["phoneNumbers"])
            drop_down(listed)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return listed

    def is_good(self) -> bool:
        """Whether it is one that HubSpot can show."""
        return self.response.status_code == 200 and self.numbers() is not None


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


@webhook.command()
@portal
@user
@click.option(
    "--url",
    callback=_as_url,
    help="The service, or the whole webhook URL. [default: PUBLIC_URL, or this machine]",
)
@click.option(
    "--signature",
    type=click.Choice(["v3", "v2", "v1"]),
    default="v3",
    show_default=True,
    help="Version to sign with.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=1,
    help="Send it so many times, and show the spread of the times.",
)
@as_json
def send(
    portal_id: int,
    user_id: int,
    url: str | None,
    signature: Version,
    repeat: int,
    as_json: bool,
) -> None:
    """Sign a request as HubSpot does, send it to a running service, and show the drop-down.

    It exits with 1 if the answer is not one that HubSpot can show.
    """
    settings = current_service().settings
    target = _webhook_url(url or settings.public_url or f"http://127.0.0.1:{settings.port}")
    signed = target
    if settings.public_url and _is_local(target):  # it verifies for the outside URL, as ever
        signed = _webhook_url(settings.public_url)
    body = write_request(NumbersRequest(settings.hubspot_app_id or 1, portal_id, user_id))
    secret = _secrets(settings)[0]
    answers = []
    with requests.Session() as session:  # HubSpot keeps connections too
        for _ in range(repeat):
            now_ms = time.time_ns() // 1_000_000
            headers = signed_headers(signature, secret, "POST", signed, body, now_ms)
            answers.append(_post(session, target, body, headers))
    worst = next((one for one in answers if not one.is_good()), answers[-1])
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
    if not worst.is_good():
        raise click.exceptions.Exit(1)


@webhook.command()
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
    found: list[dict[str, Any]]
    if from_log:
        found = read_log(content)
        if not found:
            raise click.ClickException("no 401 line of this service found in it")
    else:
        found = [_explain_request(content, registered_url)]
    if as_json:
        print_json(found if from_log else found[0])
        return
    click.echo("\n\n".join(map(_in_lines, found)))


def _in_lines(found: dict[str, Any]) -> str:
    lines = [f"Cause:  {found['cause']}", f"Remedy: {found['remedy']}"]
    if found["url"]:
        lines.append(f"URL:    {found['url']} (as this service saw it)")
    if "count" in found:
        times = "once" if found["count"] == 1 else f"{found['count']} times"
        lines.append(f"Seen:   {times}" + (f", last at {found['last']}" if found["last"] else ""))
    return "\n".join(lines)


def _explain_request(content: bytes, registered_url: str | None) -> dict[str, Any]:
    settings = current_service().settings
    secrets = _secrets(settings)
    failed = read_failed_request(content)
    others = [registered_url] if registered_url else []
    if "://" in failed.url.partition("?")[0]:
        others.append(failed.url)
    uri = failed.verified_for(settings.public_url, settings.trusted_proxies)
    found = diagnose(
        RefusedRequest(failed.method.upper(), uri, failed, failed.body.encode(), tuple(others)),
        secrets=secrets,
        path=PATH,
        now_ms=failed.received_at or time.time_ns() // 1_000_000,
        versions=settings.hubspot_signature_versions,
        just_arrived=failed.received_at is not None,
        public_url=settings.public_url,
    )
    return {**found._asdict(), "url": uri}


def _post(session: requests.Session, url: str, body: bytes, headers: dict[str, str]) -> _Answer:
    started = time.perf_counter()
    try:
        response = session.post(
            url,
            data=body,
            headers={**headers, "Content-Type": "application/json"},
            timeout=30,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        hint = "is `make run` running?" if _is_local(url) else "does the service run there?"
        why = why_no_answer(error)
        raise click.ClickException(f"no answer from {url}: {why}; {hint}") from None
    return _Answer(response, time.perf_counter() - started)


def _as_data(answer: _Answer, answers: list[_Answer]) -> dict[str, Any]:
    response = answer.response
    try:
        content = response.json()
    except requests.JSONDecodeError:
        content = response.text
    return {
        "status": response.status_code,
        "ms": round(answer.seconds * 1000, 1),
        "source": response.headers.get("Numbers-Source"),
        "retryAfter": response.headers.get("Retry-After"),
        "body": content,
        **({"allMs": [round(one.seconds * 1000, 1) for one in answers]} if answers[1:] else {}),
    }


def _print_answer(answer: _Answer, version: str) -> None:
    response, seconds = answer
    judged = "within" if seconds <= PATIENCE_S else "BEYOND"
    source = response.headers.get("Numbers-Source")
    click.echo(
        f"{response.status_code} {response.reason}, signed with {version}, {seconds * 1000:.0f} ms:"
        f" {judged} HubSpot's {PATIENCE_S:.0f} s" + (f", {source}" if source else "")
    )
    numbers = answer.numbers() if response.status_code == 200 else None
    if numbers:
        click.echo(tabulate(drop_down(numbers), ["shown as", "number", ""], disable_numparse=True))
    if numbers is not None:
        return
    for name in ("Retry-After", "Location"):
        if name in response.headers:
            click.echo(f"{name}: {response.headers[name]}")
    click.echo(response.text.strip() or "(an empty body)")
    click.echo(_ADVICE.get(response.status_code) or _ADVICE.get(response.status_code // 100, ""))


_ADVICE = {
    2: "This is not HubSpot's schema: another service answers at this URL.",
    3: "This is a redirect: HubSpot has to be given the URL it leads to.",
    4: "The service refuses the request; its log says more, under this correlation id.",
    5: "The service failed; its log says more, under this correlation id.",
    401: "The service's log says why; `flask webhook explain --from-log FILE` reads it.",
    404: "There is no webhook at this URL: is it this service, and is there a path before it?",
}


def _print_spread(answers: list[_Answer]) -> None:
    times = sorted(one.seconds * 1000 for one in answers)
    failed = sum(not one.is_good() for one in answers)
    click.echo(
        f"{len(times)} requests, {failed} failed: fastest {times[0]:.0f} ms,"
        f" median {statistics.median(times):.0f} ms,"
        f" 95 % within {times[int(0.95 * (len(times) - 1))]:.0f} ms, slowest {times[-1]:.0f} ms"
    )


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
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _secrets(settings: Settings) -> tuple[str, ...]:
    if not settings.hubspot_client_secret:
        raise ConfigurationError(("HUBSPOT_CLIENT_SECRET: missing; it signs",))
    return settings.hubspot_client_secret
