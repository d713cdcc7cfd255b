"""The webhook: verifies, parses, looks up and answers."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.lookup.result import Outcome, Result
from hubspot.diagnosis import RefusedRequest, diagnose
from hubspot.errors import AppMismatch, InvalidSignature
from hubspot.schema import read_request, write_answer
from hubspot.signature import Version, verify

from . import logs

PATH = "/hubspot/phone-numbers"
MAX_BODY_BYTES = 64 * 1024


@dataclass(frozen=True)
class Gate:
    """What decides whether a request is HubSpot's, and for this app."""

    secrets: tuple[str, ...]
    versions: tuple[Version, ...]
    public_url: str | None
    trusted_proxies: int
    app_id: int | None

    def check(self, body: bytes) -> Version:
        """The version by which the current request is proven to be HubSpot's.

        Raises:
            InvalidSignature: it is not; the request's log line says why and what to change.
        """
        uri, now_ms = self._uri(), time.time_ns() // 1_000_000
        try:
            return verify(
                request.headers,
                secrets=self.secrets,
                method=request.method,
                uri=uri,
                body=body,
                now_ms=now_ms,
                versions=self.versions,
            )
        except InvalidSignature as error:
            found = diagnose(
                RefusedRequest(request.method, uri, request.headers, body),
                secrets=self.secrets,
                path=PATH,
                now_ms=now_ms,
                versions=self.versions,
                thorough=False,
                public_url=self.public_url,
            )
            logs.noted(request.environ).update(
                signature="invalid",
                reason=error.reason,
                url=logs.without_numbers(uri)[:500],
                cause=found.cause,
                remedy=found.remedy,
            )
            raise

    def _uri(self) -> str:
        """The current request's URL as HubSpot called it, its path and query to the byte.

        Flask's `request.url` decodes and normalises, so it is of no use here. The host is the Host
        header: several platforms pass a client's own X-Forwarded-Host through.
        """
        environ = request.environ
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if target is None:
            query = request.query_string.decode("latin-1")
            target = quote(request.root_path + request.path) + (f"?{query}" if query else "")
        elif "://" in target.partition("?")[0]:  # absolute-form: RFC 9112, 3.2.2
            target = "/" + target.partition("://")[2].partition("/")[2]
        if self.public_url:
            return self.public_url.rstrip("/") + target
        scheme = environ["wsgi.url_scheme"]
        schemes = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")
        if 0 < self.trusted_proxies <= len(schemes):  # each adds its own at the end
            scheme = schemes[-self.trusted_proxies].strip() or scheme
        return f"{scheme}://{environ.get('HTTP_HOST', '')}{target}"


def blueprint(gate: Gate, lookup: Lookup) -> Blueprint:
    """The webhook's route."""
    routes = Blueprint("hubspot", __name__)

    @routes.post(PATH)
    def phone_numbers() -> Response:
        body, noted = _body(), logs.noted(request.environ)
        noted["signature"] = gate.check(body)
        kind = request.content_type  # most often as it should be, and its parsing is slow
        if kind and kind != "application/json" and request.mimetype != "application/json":
            raise UnsupportedMediaType("The body must be application/json.")
        asked = read_request(body)
        noted.update(portal_id=asked.portal_id, user_id=asked.user_id)
        if gate.app_id is not None and asked.app_id != gate.app_id:
            noted["reason"] = f"for app {asked.app_id}; HUBSPOT_APP_ID is {gate.app_id}"
            raise AppMismatch("This service answers for another app.")
        result = lookup.look_up(asked.portal_id, asked.user_id)
        logged, answer = result.once(_shown)
        noted.update(logged)
        if failure := result.failure:
            raise failure.with_traceback(None)  # others raise it too, and each would add its frames
        return Response(
            answer,
            headers={"Numbers-Source": result.source},
            content_type="application/json",
        )

    return routes


def _shown(result: Result) -> tuple[dict[str, Any], bytes]:
    """The fields of the log line, and the answer's body."""
    logged = {
        "source": None if result.failure else result.source,
        "count": len(result.numbers),
        "why": result.why,
        "accounts": [_logged(outcome) for outcome in result.outcomes],
        "left_out": dict(Counter(number.reason for number in result.left_out)),
    }
    numbers = [(number.e164, number.extension, number.name) for number in result.numbers]
    return logged, b"" if result.failure else write_answer(numbers)


def _body() -> bytes:
    """The raw body, whole.

    Raises:
        BadRequest: it broke off, or is not chunked as it says.
        RequestEntityTooLarge: it has more than MAX_BODY_BYTES.
    """
    length = request.content_length
    if length is None:  # chunked, which is ours to read only if the server finds the end
        length = MAX_BODY_BYTES + 1 if request.environ.get("wsgi.input_terminated") else 0
    if length > MAX_BODY_BYTES and request.content_length:
        raise RequestEntityTooLarge
    try:
        body: bytes = request.environ["wsgi.input"].read(length)
    except Exception:  # whatever the server makes of it: nothing but the request is read here
        raise BadRequest("The body's chunks cannot be read.") from None
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(body) < (request.content_length or 0):
        raise BadRequest("The body is shorter than Content-Length says.")
    return body


def _logged(outcome: Outcome) -> dict[str, Any]:
    logged: dict[str, Any] = {
        "name": outcome.account,
        "provider": outcome.provider,
        "outcome": outcome.outcome,
        "ms": outcome.ms,
    }
    if outcome.error:
        logged["reason"] = str(outcome.error)
    if outcome.age_s is not None:
        logged["age_s"] = round(outcome.age_s, 1)
    return logged
