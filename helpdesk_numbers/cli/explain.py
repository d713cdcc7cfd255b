"""`flask webhook explain`: why a request was refused, by the request or by the service's log."""

import json
import re
import time
from contextlib import suppress
from itertools import islice
from typing import IO, Any

import click
import msgspec

from helpdesk_numbers.service import current_service
from helpdesk_numbers.settings import Settings
from helpdesk_numbers.webhook import HIDDEN, PATH, called_url, hide_key, webhook_path
from hubspot.diagnosis import VALID, Diagnosis, RefusedRequest, diagnose
from hubspot.diagnosis.candidates import split
from hubspot.errors import NotChannelConnection
from hubspot.schema import check_query

from .options import as_url, secrets_of
from .output import as_json, emit, example
from .webhook_url import with_key

MAX_FILE_BYTES = 1024 * 1024
"""Of a failed request. The service takes bodies of 64 KiB."""

MAX_LINE_BYTES = 64 * 1024
MAX_CAUSES = 100
"""Of a log. Strangers may have sent anything, and a log may be any file."""

_LOGGED = re.compile(rb'\\*"(event|log|MESSAGE)\\*"')
"""What this service's lines have, and what Docker and journald put around them."""

_LOG_HINT = "To read this service's log lines, add --from-log."


@click.command(epilog=example("webhook explain --from-log service.log"))
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--registered-url",
    type=as_url,
    metavar="TEXT",
    help="The webhook URL as registered with HubSpot, to compare with.",
)
@click.option("--from-log", is_flag=True, help="FILE holds this service's own log lines.")
@as_json
def explain(file: IO[bytes], registered_url: str | None, from_log: bool) -> None:
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
    causes = read_log(file) if from_log else [_explain_request(file, registered_url)]
    causes = [{name: _printable(value) for name, value in cause.items()} for cause in causes]
    if not causes:
        raise click.ClickException(
            "it has no 401 line of this service (lines of LOG_FORMAT=text show cause and remedy"
            " themselves, and are not read)"
        )
    if len(causes) == MAX_CAUSES:
        click.echo(f"These are the first {MAX_CAUSES} causes; any others are left out.", err=True)
    emit(causes if from_log else causes[0], ["\n\n".join(map(_in_lines, causes))])


def _in_lines(cause: dict[str, Any]) -> str:
    lines = [f"Cause:  {cause['cause']}", f"Remedy: {cause['remedy']}"]
    if cause["url"]:
        lines.append(f"URL:    {cause['url']} (as this service saw it)")
    if "count" in cause:
        times = "once" if cause["count"] == 1 else f"{cause['count']} times"
        lines.append(f"Seen:   {times}" + (f", last at {cause['last']}" if cause["last"] else ""))
    return "\n".join(lines)


def _printable(value: Any) -> Any:
    """The value as it can be shown: whoever sent the request may have had a terminal in mind."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in value)


def _explain_request(file: IO[bytes], registered_url: str | None) -> dict[str, Any]:
    settings = current_service().settings
    secrets = secrets_of(settings)
    failed = _read_request(file.read(MAX_FILE_BYTES + 1))
    failed.url = with_key(failed.url, settings)
    others = [with_key(registered_url, settings)] if registered_url else []
    if "://" in failed.url.partition("?")[0]:
        others.append(failed.url)
    uri = _called_url(failed, settings)
    diagnosis = diagnose(
        RefusedRequest(failed.method.upper(), uri, failed, failed.body.encode(), tuple(others)),
        secrets=secrets,
        path=webhook_path(settings),
        now_ms=failed.received_at or time.time_ns() // 1_000_000,
        versions=settings.hubspot_signature_versions,
        just_arrived=failed.received_at is not None,
        public_url=settings.public_url,
    )
    told = {**_without_signature(uri, diagnosis, settings)._asdict(), "url": uri}
    return {name: hide_key(text, settings) for name, text in told.items()}


def _without_signature(uri: str, diagnosis: Diagnosis, settings: Settings) -> Diagnosis:
    """The diagnosis, or another where the URL is refused however it is signed."""
    path, _, query = split(uri)[2].partition("?")
    if settings.hubspot_webhook_key and not path.rstrip("/").endswith(webhook_path(settings)):
        return Diagnosis(
            "the URL does not end in the webhook's key, so it is answered with 404",
            f"call {PATH}/{HIDDEN} with HUBSPOT_WEBHOOK_KEY: flask channel-connection show",
        )
    try:
        check_query(query)
    except NotChannelConnection as error:
        if diagnosis == VALID:
            return Diagnosis(str(error), "call the webhook without a query, as HubSpot does")
    return diagnosis


class FailedRequest(msgspec.Struct, rename="camel"):
    """A request as it arrived, and its headers' `get`, whatever their case."""

    url: str
    headers: dict[str, str | int | float | list[str]]
    body: str
    method: str = "POST"
    received_at: int | None = None

    def get(self, name: str, /) -> str | None:
        """Join the values of a header as HTTP does; None if there is none."""
        values = [value for key, value in self.headers.items() if key.lower() == name.lower()]
        texts = (",".join(value) if isinstance(value, list) else str(value) for value in values)
        return ",".join(texts) if values else None


def _called_url(failed: FailedRequest, settings: Settings) -> str:
    """The URL that a service with these settings verifies the request for."""
    if settings.public_url and f"{failed.url}/".startswith(settings.public_url.rstrip("/") + "/"):
        return failed.url
    scheme, host, target = split(failed.url)
    environ = {
        "RAW_URI": target if scheme else "/" + target.removeprefix("/"),
        "wsgi.url_scheme": scheme or "http",
        "HTTP_HOST": host or failed.get("Host") or "",
        "HTTP_X_FORWARDED_PROTO": "" if scheme else failed.get("X-Forwarded-Proto") or "",
    }
    return called_url(environ, settings)


def _read_request(content: bytes) -> FailedRequest:
    if len(content) > MAX_FILE_BYTES:
        text = f"more than 1 MiB. HubSpot's have a few KB.\n{_LOG_HINT}"
        raise click.ClickException(f"not a failed request: {text}")
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"), type=FailedRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "It has to be a JSON object with method, url, headers and body."
        if "$.body" in str(error):
            hint = "The body has to be a string, the exact text that arrived: every byte is signed."
        elif not content.strip():
            hint = f"It is empty. {hint}"
        elif _LOGGED.search(content) or not content.lstrip().startswith(b"{"):
            hint = f"{_LOG_HINT} Else, it{hint[2:]}"
        raise click.ClickException(f"not a failed request: {error}\n{hint}") from None


def read_log(file: IO[bytes]) -> list[dict[str, Any]]:
    """Collect each cause of a 401 in the log: remedy, URL, how often, and when last.

    Longer lines than MAX_LINE_BYTES are none of ours; of more causes than MAX_CAUSES only the first
    are returned.
    """
    names = ("cause", "remedy", "url")
    causes: dict[tuple[str, ...], dict[str, Any]] = {}
    for content in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
        record = _object_in(content.decode("utf-8", "replace")) if b"cause" in content else {}
        for name in ("log", "MESSAGE"):  # what Docker and journald put our line into
            record = _object_in(str(record[name])) if name in record else record
        if record.get("status") == 401 and "cause" in record:
            told = tuple(str(record.get(name, "")) for name in names)
            if told in causes or len(causes) < MAX_CAUSES:
                cause = causes.setdefault(told, dict(zip(names, told, strict=True), count=0))
                cause.update(count=cause["count"] + 1, last=record.get("time"))
    return list(causes.values())


def _object_in(line: str) -> dict[str, Any]:
    """Find the JSON object in a line, whatever a platform has put before it; empty without one."""
    for brace in islice(re.finditer("{", line), 20):
        with suppress(ValueError, RecursionError):
            return dict(json.JSONDecoder().raw_decode(line, brace.start())[0])
    return {}
