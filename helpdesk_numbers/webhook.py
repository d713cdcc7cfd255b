"""The webhook: verifies, parses, looks up and answers."""

import hmac
import re
import time
from collections import Counter
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Blueprint, Request, Response
from flask import request as current_request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from helpdesk_numbers.lookup.result import NOT_NEEDED, Outcome, Result, Who
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import PATH as PATH
from helpdesk_numbers.settings import Settings
from hubspot.errors import AppMismatch, InvalidSignature
from hubspot.schema import check_query, read_request, write_answer
from hubspot.signature import Version, verify

from . import logs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_BODY_BYTES = 64 * 1024

HIDDEN = "…"
"""What is shown in place of the key, and what commands take for it in a URL."""

EXPLAIN = "/explain"
"""What stands below the webhook's URL to ask why: helpdesk_numbers/explain.py."""

_BELOW = re.compile(rf"({PATH}/+)[\w%.~+{HIDDEN}-]+", re.IGNORECASE)
_LONG = re.compile("[a-zA-Z0-9]{20,}")


def webhook_path(settings: Settings) -> str:
    """Return the path of the webhook, with its key if it has one: not to be shown."""
    key = settings.hubspot_webhook_key
    return f"{PATH}/{key}" if key else PATH


def hide_key(text: str, settings: Settings) -> str:
    """Return a text as it may be shown, with HIDDEN for what follows PATH, and for the key."""
    text = _BELOW.sub(rf"\1{HIDDEN}", text)
    key = settings.hubspot_webhook_key
    return text.replace(key, HIDDEN) if key else text


class KeyedWebhook:
    """WSGI, within the log: takes a request to PATH if its raw target is PATH and the key.

    Every other one is answered as if PATH did not exist, in a time that does not depend on how much
    of the key is right. An escaped key is a wrong one: what HubSpot has registered needs no escape.
    """

    def __init__(self, app: "WSGIApplication", settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._path = webhook_path(settings).encode()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request. Its log line shows neither the key nor one that is much like it."""
        environ["RAW_URI"] = target = raw_target(environ)
        path = "/" + target.partition("?")[0].lstrip("/")
        path = path.removeprefix(environ.get("SCRIPT_NAME", ""))
        below = EXPLAIN if path.endswith(EXPLAIN) else ""
        asked = path.removesuffix(below).encode("utf-8", "surrogatepass")
        right, decoded = hmac.compare_digest(asked, self._path), environ["PATH_INFO"]
        keyless = decoded.lstrip("/") in (PATH[1:], (PATH + EXPLAIN)[1:])
        environ["PATH_INFO"] = PATH + below if right else f"{PATH}/" if keyless else decoded
        shown = _BELOW.sub(rf"\1{HIDDEN}", decoded.encode("latin-1").decode(errors="replace"))
        fields = logs.log_fields(environ)
        fields["path"] = logs.redact(_LONG.sub(HIDDEN, shown))[:200]
        answer = self._app(environ, start_response)
        if fields["status"] != 200:
            for name in fields.keys() & {"url", "cause", "remedy"}:
                fields[name] = hide_key(fields[name], self._settings)
        return answer


class Budget:
    """How often something may be done: `per_s` times a second, as many at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s = self._left = per_s
        self._at = 0.0
        self._lock = Lock()

    def take(self, now: float) -> bool:
        """Return whether it may be done once more at this time (seconds, monotonic)."""
        with self._lock:
            self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


DIAGNOSES_PER_S = 5.0
"""A diagnosis takes as long as ten good requests, and whoever sends forged ones says how many."""


class EnvironHeaders:
    """A request's headers out of its environ; `request.headers` takes four times as long."""

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self._environ = environ

    def get(self, name: str, /) -> str | None:
        """Return the header's value, or None if there is no such header."""
        value: str | None = self._environ.get("HTTP_" + name.upper().replace("-", "_"))
        return value


def verify_request(request: Request, body: bytes, settings: Settings, diagnoses: Budget) -> Version:
    """Return the version of the signature by which a request is proven to be HubSpot's.

    Raises:
        InvalidSignature: it is not; the request's log line says why and what to change.
    """
    environ = request.environ
    method, uri = environ["REQUEST_METHOD"], called_url(environ, settings)
    secrets, versions = settings.hubspot_client_secret, settings.hubspot_signature_versions
    now_ms = time.time_ns() // 1_000_000
    try:
        return verify(
            EnvironHeaders(environ),
            secrets=secrets,
            method=method,
            uri=uri,
            body=body,
            now_ms=now_ms,
            versions=versions,
        )
    except InvalidSignature as error:
        from hubspot.diagnosis import Diagnosis, RefusedRequest, diagnose  # seldom needed

        diagnosis = Diagnosis(error.reason, "too many at once to look into each: see other lines")
        if diagnoses.take(time.monotonic()):
            diagnosis = diagnose(
                RefusedRequest(method, uri, request.headers, body),
                secrets=secrets,
                path=webhook_path(settings),
                now_ms=now_ms,
                versions=versions,
                thorough=False,
                public_url=settings.public_url,
            )
        logs.log_fields(environ).update(
            signature="invalid",
            reason=error.reason,
            url=logs.redact(uri)[:500],
            cause=diagnosis.cause,
            remedy=diagnosis.remedy,
        )
        raise


def called_url(environ: "WSGIEnvironment", settings: Settings) -> str:
    """Return the request's URL as HubSpot called it, its path and query to the byte.

    Flask's `request.url` decodes and normalises, so it is of no use here. The host is the Host
    header: several platforms pass a client's own X-Forwarded-Host through.
    """
    target = raw_target(environ)
    if settings.public_url:
        return settings.public_url.rstrip("/") + target
    scheme, trusted = environ["wsgi.url_scheme"], settings.trusted_proxies
    schemes = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")
    if 0 < trusted <= len(schemes):  # each adds its own at the end
        scheme = schemes[-trusted].strip() or scheme
    return f"{scheme}://{environ.get('HTTP_HOST', '')}{target}"


def raw_target(environ: "WSGIEnvironment") -> str:
    """Return the request's path and query to the byte, as far as the server keeps them."""
    target: str | None = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target is None:
        query = environ.get("QUERY_STRING", "")
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        target = quote(path, encoding="latin-1") + (f"?{query}" if query else "")
    elif "://" in target.partition("?")[0]:  # absolute-form: RFC 9112, 3.2.2
        target = "/" + target.partition("://")[2].partition("/")[2]
    return target


def blueprint(service: Service) -> Blueprint:
    """Return the webhook's route."""
    routes, diagnoses = Blueprint("hubspot", __name__), Budget(DIAGNOSES_PER_S)

    @routes.post(PATH)
    def phone_numbers() -> Response:
        # The object itself, once: each look through Flask's proxy costs.
        request = current_request._get_current_object()  # type: ignore[attr-defined] # a proxy's own
        return _answer(request, service, diagnoses)

    return routes


def _answer(request: Request, service: Service, diagnoses: Budget) -> Response:
    settings, fields = service.settings, logs.log_fields(request.environ)
    body = read_body(request)
    fields["signature"] = verify_request(request, body, settings, diagnoses)
    if query := request.environ.get("QUERY_STRING"):
        check_query(query)
    kind = request.environ.get("CONTENT_TYPE")  # most often as it should be; parsing it is slow
    if kind and kind != "application/json" and request.mimetype != "application/json":
        raise UnsupportedMediaType("The body must be application/json.")
    ids = read_request(body)
    fields.update(portal_id=ids.portal_id, user_id=ids.user_id)
    if settings.hubspot_app_id is not None and ids.app_id != settings.hubspot_app_id:
        fields["reason"] = f"for app {ids.app_id}; HUBSPOT_APP_ID is {settings.hubspot_app_id}"
        raise AppMismatch("This service answers for another app.")
    result = service.lookup.look_up(ids.portal_id, ids.user_id)
    logged, content, headers = result.cached(_shown)
    fields.update(logged)
    if content is None and (failure := result.failure):
        raise failure.with_traceback(None)  # others raise it too, and each would add its frames
    return Response(content, headers=headers, content_type="application/json")


def _shown(result: Result) -> tuple[dict[str, Any], bytes | None, dict[str, str]]:
    """The fields of the log line; the answer's body, None for a failure; its headers."""
    failed, source = result.failure is not None, result.source
    logged = {
        "source": None if failed else source,
        "count": len(result.numbers),
        "why": result.why,
        **who_logged(result.who),
        "accounts": [_logged(outcome) for outcome in result.outcomes],
        "left_out": dict(Counter(number.reason for number in result.left_out)),
    }
    numbers = [(number.e164, number.extension, number.name) for number in result.numbers]
    return logged, None if failed else write_answer(numbers), {"Numbers-Source": source}


def who_logged(who: Who) -> dict[str, Any]:
    """Return how the user became known as fields of a log line."""
    return {"who": who.how} if who is NOT_NEEDED else {"who": who.how, "who_ms": who.ms}


def read_body(request: Request) -> bytes:
    """Return the raw body, whole.

    Not by `request.get_data()`, which cuts a chunked body off at the limit without a word.

    Raises:
        BadRequest: it broke off, or is not chunked as it says.
        RequestEntityTooLarge: it has more than MAX_BODY_BYTES.
    """
    environ = request.environ
    declared = length = _declared_length(request)
    if length is None:  # chunked, which is ours to read only if the server finds the end
        length = MAX_BODY_BYTES + 1 if environ.get("wsgi.input_terminated") else 0
    if length > MAX_BODY_BYTES and declared:
        raise RequestEntityTooLarge
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except Exception:  # whatever the server makes of it: nothing but the request is read here
        raise BadRequest("The body's chunks cannot be read.") from None
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(body) < (declared or 0):
        raise BadRequest("The body is shorter than Content-Length says.")
    return body


def _declared_length(request: Request) -> int | None:
    """What Content-Length says; None if the body is chunked or its length is not told."""
    text = request.environ.get("CONTENT_LENGTH", "")
    plain = text.isdecimal() and "HTTP_TRANSFER_ENCODING" not in request.environ
    return int(text) if plain and len(text) < 10 else request.content_length


def _logged(outcome: Outcome) -> dict[str, Any]:
    logged: dict[str, Any] = {
        "name": outcome.account,
        "provider": outcome.provider,
        "outcome": outcome.outcome,
        "ms": outcome.ms,
    }
    if outcome.error:
        logged["reason"] = logs.redact(str(outcome.error))
    if outcome.age_s is not None:
        logged["age_s"] = round(outcome.age_s, 1)
    return logged
