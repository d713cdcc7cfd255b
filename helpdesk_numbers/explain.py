"""`POST …/explain`: what the webhook would answer, and why, for whoever knows the client secret.

It is signed as HubSpot signs v3, with a key that HubSpot never signs with: nothing that HubSpot
signs, for anybody, is valid here, and nothing signed for here is valid there.
"""

import time
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Blueprint, Request, Response
from flask import request as current_request

from helpdesk_numbers.lookup.result import Result, Who
from helpdesk_numbers.service import Service
from hubspot.errors import AppMismatch
from hubspot.names import friendly_names
from hubspot.schema import check_query, read_request
from hubspot.signature import TIMESTAMP_HEADER, V3_HEADER, derived_key, sign, verify

from . import logs
from .webhook import EXPLAIN, PATH, EnvironHeaders, called_url, read_body, who_logged

if TYPE_CHECKING:
    from helpdesk_numbers.directory.database import DatabaseDirectory
    from helpdesk_numbers.directory.file import DirectoryFile, SingleAccount

HEADER = "X-Explain-Signature"
PURPOSE = "helpdesk-numbers explain"


def signed_headers(secret: str, url: str, body: bytes, now_ms: int) -> dict[str, str]:
    """Return the headers of a question to this URL."""
    key, timestamp = derived_key(secret, PURPOSE), str(now_ms)
    signature = sign("v3", key, "POST", url, body, timestamp)
    return {HEADER: signature, TIMESTAMP_HEADER: timestamp}


class _Headers(EnvironHeaders):
    """The request's headers, our signature in place of HubSpot's."""

    def get(self, name: str, /) -> str | None:
        ours = {V3_HEADER: HEADER, TIMESTAMP_HEADER: TIMESTAMP_HEADER}.get(name)
        return super().get(ours) if ours else None


def blueprint(service: Service) -> Blueprint:
    """Return the route."""
    routes = Blueprint("explain", __name__)

    @routes.post(PATH + EXPLAIN)
    def explain() -> Response:
        return _answer(current_request, service)

    return routes


def _answer(request: Request, service: Service) -> Response:
    settings, fields = service.settings, logs.log_fields(request.environ)
    body = read_body(request)
    fields["signature"] = "invalid"
    verify(
        _Headers(request.environ),
        secrets=[derived_key(secret, PURPOSE) for secret in settings.hubspot_client_secret],
        method=request.method,
        uri=called_url(request.environ, settings),
        body=body,
        now_ms=time.time_ns() // 1_000_000,
    )
    fields["signature"] = "explain"
    check_query(request.environ.get("QUERY_STRING", ""))
    ids = read_request(body)
    fields.update(portal_id=ids.portal_id, user_id=ids.user_id)
    if settings.hubspot_app_id is not None and ids.app_id != settings.hubspot_app_id:
        raise AppMismatch("This service answers for another app.")
    result = service.lookup.look_up(ids.portal_id, ids.user_id, full=True)
    fields.update(who_logged(result.who))
    data = describe(result, ids.portal_id, ids.user_id, left_out=True)
    data["directory"] = in_force(service.directory)
    return Response(msgspec.json.encode(data), content_type="application/json")


def describe(result: Result, portal_id: int, user_id: int, *, left_out: bool) -> dict[str, Any]:
    """Return a lookup's result as data: what is shown, how each account did, and why."""
    names = friendly_names((number.name, number.e164) for number in result.numbers)
    data = {
        "portalId": portal_id,
        "userId": user_id,
        "source": None if result.failure else result.source,
        "why": result.why,
        "who": _known(result.who),
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
                "remedy": outcome.error and (outcome.error.remedy or None),
                "retryAfter": outcome.error and outcome.error.retry_after_s,
                "ageS": outcome.age_s,
                "ms": outcome.ms,
            }
            for outcome in result.outcomes
        ],
    }
    return data | ({"leftOut": msgspec.to_builtins(result.left_out)} if left_out else {})


def _known(who: Who) -> dict[str, Any]:
    """How the user became known, and as whom."""
    user = who.user
    return {
        "how": who.how,
        "ms": who.ms,
        "name": user and user.name,
        "emails": user and user.emails,
        "teams": user and [team.name or team.id for team in user.teams],
    }


def in_force(source: "DirectoryFile | SingleAccount | DatabaseDirectory") -> dict[str, Any]:
    """Return how large the directory in force is, and why the last edit of it is not, if so."""
    portals, accounts = source.counts()
    return {
        "portals": portals,
        "accounts": accounts,
        "faults": [str(fault) for fault in source.faults],
    }
