"""The webhook: verifies, parses, looks up and answers."""

import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from helpdesk_numbers.lookup.result import Outcome, Result
from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import Settings
from hubspot.diagnosis import RefusedRequest, diagnose
from hubspot.errors import AppMismatch, InvalidSignature
from hubspot.schema import read_request, write_answer
from hubspot.signature import Headers, Version, verify

from . import logs

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PATH = "/hubspot/phone-numbers"
MAX_BODY_BYTES = 64 * 1024


def verify_request(
    environ: "WSGIEnvironment", headers: Headers, body: bytes, settings: Settings
) -> Version:
    """Return the version of the signature by which a request is proven to be HubSpot's.

    Raises:
        InvalidSignature: it is not; the request's log line says why and what to change.
    """
    method, uri = environ["REQUEST_METHOD"], _uri(environ, settings)
    secrets, versions = settings.hubspot_client_secret, settings.hubspot_signature_versions
    now_ms = time.time_ns() // 1_000_000
    try:
        return verify(
            headers,
            secrets=secrets,
            method=method,
            uri=uri,
            body=body,
            now_ms=now_ms,
            versions=versions,
        )
    except InvalidSignature as error:
        diagnosis = diagnose(
            RefusedRequest(method, uri, headers, body),
            secrets=secrets,
            path=PATH,
            now_ms=now_ms,
            versions=versions,
            thorough=False,
            public_url=settings.public_url,
        )
        logs.log_fields(environ).update(
            signature="invalid",
            reason=error.reason,
            url=logs.redact_numbers(uri)[:500],
            cause=diagnosis.cause,
            remedy=diagnosis.remedy,
        )
        raise


def _uri(environ: "WSGIEnvironment", settings: Settings) -> str:
    """The request's URL as HubSpot called it, its path and query to the byte.

    Flask's `request.url` decodes and normalises, so it is of no use here. The host is the Host
    header: several platforms pass a client's own X-Forwarded-Host through.
    """
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target is None:
        query = environ.get("QUERY_STRING", "")
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        target = quote(path, encoding="latin-1") + (f"?{query}" if query else "")
    elif "://" in target.partition("?")[0]:  # absolute-form: RFC 9112, 3.2.2
        target = "/" + target.partition("://")[2].partition("/")[2]
    if settings.public_url:
        return settings.public_url.rstrip("/") + target
    scheme, trusted = environ["wsgi.url_scheme"], settings.trusted_proxies
    schemes = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")
    if 0 < trusted <= len(schemes):  # each adds its own at the end
        scheme = schemes[-trusted].strip() or scheme
    return f"{scheme}://{environ.get('HTTP_HOST', '')}{target}"


def blueprint(service: Service) -> Blueprint:
    """Return the webhook's route."""
    routes = Blueprint("hubspot", __name__)

    @routes.post(PATH)
    def phone_numbers() -> Response:
        settings, fields = service.settings, logs.log_fields(request.environ)
        body = _body()
        fields["signature"] = verify_request(request.environ, request.headers, body, settings)
        kind = request.content_type  # most often as it should be, and its parsing is slow
        if kind and kind != "application/json" and request.mimetype != "application/json":
            raise UnsupportedMediaType("The body must be application/json.")
        ids = read_request(body)
        fields.update(portal_id=ids.portal_id, user_id=ids.user_id)
        if settings.hubspot_app_id is not None and ids.app_id != settings.hubspot_app_id:
            fields["reason"] = f"for app {ids.app_id}; HUBSPOT_APP_ID is {settings.hubspot_app_id}"
            raise AppMismatch("This service answers for another app.")
        result = service.lookup.look_up(ids.portal_id, ids.user_id)
        logged, answer = result.cached(_shown)
        fields.update(logged)
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
    return logged, b"" if result.failure else write_answer(result.numbers)


def _body() -> bytes:
    """The raw body, whole.

    Not by `request.get_data()`, which cuts a chunked body off at the limit without a word.

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
