"""The routes of the management API: who may ask, how often, and what is answered if it fails."""

import hashlib
import hmac
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from threading import BoundedSemaphore
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError

from helpdesk_numbers import answers, logs
from helpdesk_numbers.database.deadline import within
from helpdesk_numbers.database.engine import OVERFLOW, OutcomeUnknown
from helpdesk_numbers.database.opening import why
from helpdesk_numbers.service import Service
from helpdesk_numbers.users.asking import NoToken
from helpdesk_numbers.webhook import Budget
from hubspot.errors import HubSpotRefused, LookupFailed
from providers.base.options import Faults, Problem

from . import accounts, audit, portals  # noqa: F401 - each adds its operations
from .call import APIError, Call, as_json, portal_id_in
from .openapi import document
from .operations import OPERATIONS, Operation

PREFIX = "/api/v1"

AT_ONCE = OVERFLOW // 2
"""How many operations a worker works on at a time, and as many that ask a carrier or HubSpot: the
webhook's requests keep the other threads and the database's connections."""

PER_S = 100.0
"""How many operations a token may ask for each second, of each worker."""

DATABASE_S = 10.0
"""What an operation may spend until it has what it asks of the database."""


class _Door:
    """Lets in who has a token, as often as that is fair."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._budgets = {_digest(token): Budget(PER_S) for token in tokens}
        self._room = {False: BoundedSemaphore(AT_ONCE), True: BoundedSemaphore(AT_ONCE)}

    def who(self, header: str) -> bytes:
        """Return the digest of the token; APIError if it is none of ours."""
        scheme, _, token = header.partition(" ")
        given = _digest(token.strip())
        known = [digest for digest in self._budgets if hmac.compare_digest(digest, given)]
        if scheme.lower() != "bearer" or not known:
            message = "Send Authorization: Bearer and one of ADMIN_TOKENS."
            headers = {"WWW-Authenticate": "Bearer"}
            raise APIError(401, "INVALID_AUTHENTICATION", message, headers)
        return given

    @contextmanager
    def room(self, *, live: bool = False) -> Iterator[str]:
        """Begin to work on a request, of whom is given; APIError if there are too many."""
        fields = logs.log_fields(request.environ)
        digest = self.who(request.headers.get("Authorization", ""))
        fields["admin"] = who = digest.hex()[:8]
        room = self._room[live]
        if not self._budgets[digest].take(time.monotonic()) or not room.acquire(blocking=False):
            message = "Too many requests at a time; try again in a second."
            raise APIError(429, "RATE_LIMITS", message, {"Retry-After": "1"})
        try:
            yield f"token {who}"
        finally:
            room.release()

    def call(self, operation: Operation, service: Service, parts: dict[str, Any]) -> Response:
        """Return the operation's answer; APIError as `room` does."""
        with self.room(live=operation.live) as who, within(DATABASE_S):
            call = Call(request, service, who)
            call.check_query(operation.query)
            if "portalId" in parts:
                parts["portal_id"] = portal_id_in(parts.pop("portalId"))
            return operation.view(call, **parts)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def blueprint(service: Service) -> Blueprint:
    """Return the routes, for who has one of ADMIN_TOKENS."""
    routes = Blueprint("api", __name__, url_prefix=PREFIX)
    door = _Door(service.settings.admin_tokens)
    described = cache(partial(document, OPERATIONS, PREFIX))

    @routes.before_request
    def hide_names() -> None:  # an address may be in the path
        if request.url_rule:
            logs.log_fields(request.environ)["path"] = request.url_rule.rule

    @routes.get("/openapi.json")
    def openapi() -> Response:
        with door.room():
            return as_json(described())

    for operation in OPERATIONS:
        _add(routes, door, operation, service)
    _add_errors(routes)
    return routes


def _add(routes: Blueprint, door: _Door, operation: Operation, service: Service) -> None:
    def view(**parts: Any) -> Response:
        return door.call(operation, service, parts)

    path = operation.path.replace("{", "<").replace("}", ">")
    for of in ("user", "team"):  # whose names may have a slash
        path = path.replace(f"<{of}>", f"<path:{of}>")
    name = operation.view.__name__
    routes.add_url_rule(path, name, view, methods=[operation.method])


def _add_errors(routes: Blueprint) -> None:
    @routes.errorhandler(APIError)
    def known(error: APIError) -> Response:
        answer = answers.error(error.status, error.category, str(error))
        answer.headers.update(error.headers)
        return answer

    @routes.errorhandler(Faults)
    def faulty(error: Faults) -> Response:
        message = "Nothing was changed: " + "; ".join(map(str, error.faults[:3]))
        return answers.error(422, "VALIDATION_ERROR", message, [*map(_fault, error.faults)])

    @routes.errorhandler(LookupFailed)
    def unknown(error: LookupFailed) -> Response:
        if isinstance(error, NoToken):
            return answers.error(409, "CONFLICT", f"{error}: {error.remedy}")
        if isinstance(error, HubSpotRefused):
            return answers.error(502, "HUBSPOT_REFUSED", f"{error}: {error.remedy}")
        return _later(answers.error(503, "HUBSPOT_UNAVAILABLE", str(error)))

    @routes.errorhandler(OutcomeUnknown)
    def broken_off(error: OutcomeUnknown) -> Response:
        logs.log_fields(request.environ)["reason"] = why(error)
        message = (
            "The database broke off: it is not known whether the change was made. Read it again."
        )
        return _later(answers.error(503, "DIRECTORY_UNAVAILABLE", message))

    @routes.errorhandler(SQLAlchemyError)
    def away(error: SQLAlchemyError) -> Response:
        logs.log_fields(request.environ)["reason"] = why(error)
        message = "The database cannot be used now; nothing was changed."
        return _later(answers.error(503, "DIRECTORY_UNAVAILABLE", message))


def _later(answer: Response) -> Response:
    answer.headers["Retry-After"] = "5"
    return answer


def _fault(fault: str) -> dict[str, str]:
    """A fault of a body, by its place in it: what is above it there is what the path names."""
    if not isinstance(fault, Problem):
        return {"message": fault}
    return {"message": fault.text, "in": fault.place}
