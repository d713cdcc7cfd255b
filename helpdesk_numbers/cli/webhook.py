"""`flask webhook`: ask the webhook as HubSpot does, and find out why it refuses."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import click
import msgspec
import requests
from tabulate import tabulate

from helpdesk_numbers.service import current_service
from helpdesk_numbers.settings import Settings
from helpdesk_numbers.webhook import hide_key
from hubspot import schema
from hubspot.names import MAX_NAME_UNITS
from hubspot.settings_api import why_no_answer
from hubspot.signature import Version, signed_headers

from . import running
from .explain import explain
from .hubspot_users import user_id_of
from .options import as_url, only_portal, portal, secrets_of, user
from .output import Group, as_json, count, emit, example, with_remedy
from .webhook_url import is_local, read_url, signed_url

PATIENCE_S = 5.0
"""What HubSpot gives comparable calls (classic CRM cards, webhooks); for this one nothing is
published: https://developers.hubspot.com/docs/api/webhooks (January 2025)."""

webhook = Group("webhook", help="Ask the webhook as HubSpot does, and find out why it refuses.")
webhook.add_command(explain)


class Answer(NamedTuple):
    """What a webhook answered, and how many seconds it took."""

    response: requests.Response
    seconds: float

    def numbers(self) -> list[schema.Item] | None:
        """Return HubSpot's list, or None if the answer is anything else."""
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if self.response.status_code == 200:
                return msgspec.json.decode(self.response.content, type=schema.Answer).phone_numbers
        return None


def ask_webhook(
    session: requests.Session,
    request: schema.NumbersRequest,
    secret: str,
    url: str,
    signed_url: str,
    version: Version = "v3",
) -> Answer:
    """Send a request, signed for `signed_url`, and return what `url` answers within 30 seconds.

    Raises:
        RequestException, ValueError: no answer came; `why_no_answer` says why.
    """
    body, now_ms = schema.write_request(request), time.time_ns() // 1_000_000
    headers = signed_headers(version, secret, "POST", signed_url, body, now_ms)
    headers["Content-Type"] = "application/json"
    started = time.perf_counter()
    response = session.post(url, body, headers=headers, timeout=30, allow_redirects=False)
    return Answer(response, time.perf_counter() - started)


@webhook.command(epilog=example("webhook send --portal-id 62515 --user-id 1001"))
@portal
@user
@click.option(
    "--url",
    type=as_url,
    metavar="TEXT",
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
    user_id: int | None,
    address: str | None,
    url: str | None,
    signature: Version,
    repeat: int,
) -> None:
    """Sign a request as HubSpot does, send it to a running service, and show what comes back.

    It shows status, time, and the drop-down as HubSpot would show it. Exits with 1 if HubSpot could
    not use an answer.
    """
    service = current_service()
    settings = service.settings
    secret = secrets_of(settings)[0]
    portal_id = portal_id or only_portal(service)
    user_id = user_id_of(service, portal_id, user_id, address)
    base = url or settings.public_url or f"http://127.0.0.1:{settings.port}"
    target = read_url(base, settings)
    signed = signed_url(target, settings)
    request = schema.NumbersRequest(settings.hubspot_app_id or 1, portal_id, user_id)
    try:
        with requests.Session() as session:  # HubSpot keeps connections too
            answers = [
                ask_webhook(session, request, secret, target, signed, signature)
                for _ in range(repeat)
            ]
    except (requests.RequestException, ValueError) as error:
        why, hint = why_no_answer(error), ""
        if "TLS" not in why:
            hint = "; " + (
                "is `make run` running?" if is_local(target) else "does the service run there?"
            )
        text = f"no answer from {target}: {why}{hint}"
        raise click.ClickException(hide_key(text, settings)) from None
    worst = next((answer for answer in answers if answer.numbers() is None), answers[-1])
    first = f"POST {target}" + (f"\nsigned for {signed}" if signed != target else "")
    lines = [first, *_lines(worst, answers, signature, request)]
    if worst.numbers() == []:
        lines += _why_empty(target, signed, settings, request)
    emit(_as_data(worst, answers, settings), [hide_key(line, settings) for line in lines])
    if worst.numbers() is None:
        raise click.exceptions.Exit(1)


def _why_empty(
    url: str, signed: str, settings: Settings, request: schema.NumbersRequest
) -> Iterator[str]:
    """What the service itself says about an empty drop-down, if it does."""
    with suppress(running.NoExplanation):
        data = running.ask(url, signed, settings, request.portal_id, request.user_id)
        out = Counter(number["reason"] for number in data["leftOut"])
        reasons = "; ".join(f"{count(n, 'number')} left out: {why}" for why, n in out.items())
        yield f"The service says: {data['why']}{'; ' + reasons if reasons else ''}."
        for fault in data["directory"]["faults"]:
            yield f"It has refused the last edit of its directory: {fault}"


def _as_data(answer: Answer, answers: list[Answer], settings: Settings) -> dict[str, Any]:
    response = answer.response
    try:
        content = response.json()
    except requests.JSONDecodeError:
        content = response.text
    all_ms = [round(each.seconds * 1000, 1) for each in answers]
    return {
        "status": response.status_code,
        "ms": round(answer.seconds * 1000, 1),
        "source": response.headers.get("Numbers-Source"),
        "retryAfter": response.headers.get("Retry-After"),
        "body": json.loads(hide_key(json.dumps(content), settings)),
        **({"allMs": all_ms} if answers[1:] else {}),
    }


def _lines(
    worst: Answer, answers: list[Answer], version: str, request: schema.NumbersRequest
) -> Iterator[str]:
    (response, seconds), numbers = worst, worst.numbers()
    judged = ""
    if seconds > PATIENCE_S or numbers is not None:
        how = "within" if seconds <= PATIENCE_S else "BEYOND"
        judged = f": {how} HubSpot's {PATIENCE_S:.0f} s"
    source = response.headers.get("Numbers-Source") if numbers != [] else None
    yield (
        f"{response.status_code} {response.reason}, signed with {version}, {seconds * 1000:.0f} ms"
        f"{judged}" + (f", {source}" if source else "")
    )
    if numbers:
        yield tabulate(drop_down(numbers), ["shown as", "number", ""], disable_numparse=True)
    elif numbers is None:
        for name in ("Retry-After", "Location"):
            if name in response.headers:
                yield f"{name}: {response.headers[name]}"
        status = response.status_code
        advice = _ADVICE.get(status) or _ADVICE.get(status // 100, "")
        yield with_remedy(response.text.strip() or "(an empty body)", advice)
    else:
        yield (
            f"The drop-down is empty; `flask numbers --portal-id {request.portal_id}"
            f" --user-id {request.user_id} --explain` says why."
        )
    if answers[1:]:
        times = sorted(answer.seconds * 1000 for answer in answers)
        failed = sum(answer.numbers() is None for answer in answers)
        yield (
            f"{len(times)} requests, {failed} failed: fastest {times[0]:.0f} ms,"
            f" median {statistics.median(times):.0f} ms,"
            f" 95 % within {times[int(0.95 * (len(times) - 1))]:.0f} ms, slowest {times[-1]:.0f} ms"
        )


def drop_down(numbers: list[schema.Item]) -> list[list[str]]:
    """Return the drop-down as HubSpot would show it: name, number, and whether it is selectable."""
    units = 2 * MAX_NAME_UNITS
    return [
        [
            item.friendly_name.encode("utf-16-le")[:units].decode("utf-16-le", "ignore"),
            item.e164_phone_number,
            f"not selectable: extension {item.extension}" if item.extension else "",
        ]
        for item in numbers
    ]


_ADVICE = {
    2: "this is not HubSpot's schema: another service answers at this URL",
    3: "this is a redirect: register the URL that it leads to",
    4: "the service refuses the request; its log says more, under this correlation id",
    5: "the service failed; its log says more, under this correlation id",
    502: "no account's carrier answered as it should; `flask numbers --explain` says how each did",
    503: "nothing could be had in time; `flask numbers --explain` says how each account does",
    401: "the service's log says why; `flask webhook explain --from-log FILE` reads it",
    404: (
        "there is no webhook at this URL: is it this service, is the path before it right, and has"
        " the service the same HUBSPOT_WEBHOOK_KEY, or none either?"
    ),
}
