"""What an operation of the management API is given, and what it answers with."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import msgspec
from flask import Request, Response
from werkzeug.datastructures import ETags
from werkzeug.exceptions import UnsupportedMediaType

from helpdesk_numbers.database.editing import Editor, Reader, Stored, StoredRule, editing
from helpdesk_numbers.database.engine import snapshot
from helpdesk_numbers.database.hiding import HIDDEN
from helpdesk_numbers.service import Service
from helpdesk_numbers.webhook import read_body
from hubspot.schema import MAX_ID
from providers.base.options import Secret, did_you_mean

MOST_LISTED, LISTED = 1_000, 100

LIVE_S = 20.0
"""What carriers and HubSpot get, below the 30 s after which platforms break a request off."""


class APIError(Exception):
    """What is answered in place of a result."""

    def __init__(
        self, status: int, category: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.category, self.headers = status, category, headers or {}


def bad(message: str) -> APIError:
    """Return that the request cannot be read."""
    return APIError(400, "VALIDATION_ERROR", message)


def not_found(what: str) -> APIError:
    """Return that it is not in the database."""
    return APIError(404, "OBJECT_NOT_FOUND", f"{what} is not in the database.")


def portal_id_in(text: str) -> int:
    """Return the id in a path; APIError if it is none."""
    if re.fullmatch(r"[1-9][0-9]{0,18}", text, re.ASCII) and int(text) < MAX_ID:
        return int(text)
    raise not_found("Such a portal")


class Call(NamedTuple):
    """One request, of somebody who may make it: `who` is for the audit."""

    request: Request
    service: Service
    who: str

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Begin to read accounts and portals, without their secrets."""
        with snapshot(self.service.database.engine) as connection:
            yield Reader(connection)

    def editing(self) -> AbstractContextManager[Editor]:
        """Begin to change accounts and portals. No value may be a variable's, `env:NAME`."""
        return editing(self.service.database, self.who)

    def check_query(self, known: Iterable[str]) -> None:
        """Check that the query has no other parameter: one that is misspelt would do nothing."""
        for name in self.request.args:
            if name not in known:
                raise bad(f"there is no parameter {name!r} here{did_you_mean(name, known)}")

    def table(self) -> dict[str, Any]:
        """Return the body: a directory file's table as JSON."""
        if self.request.mimetype != "application/json":
            raise UnsupportedMediaType("The body must be application/json.")
        body = read_body(self.request)
        try:
            table: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise bad("The body is not a JSON object.") from None
        return table

    def whole_number(self, name: str, least: int, most: int) -> int | None:
        """Return a parameter of the query, None if it is not given."""
        text = self.request.args.get(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or not least <= int(text) <= most:
            raise bad(f"{name} must be a whole number from {least} to {most}.")
        return int(text)

    def limit(self) -> int:
        """Return how many are listed at most."""
        return self.whole_number("limit", 1, MOST_LISTED) or LISTED

    def check_conditions(self, stored: Stored | StoredRule | None) -> None:
        """Check If-Match and If-None-Match against what is there; APIError if one is not met.

        A weak tag is as good as a strong one: proxies that compress weaken them. A rule has its
        portal's tag, also before there is the rule; but * asks whether there is the rule.
        """
        tag = str(stored.revision) if stored else None
        is_there = stored is not None and stored.table is not None
        headers, match, none_match = (
            self.request.headers,
            self.request.if_match,
            self.request.if_none_match,
        )

        def named(tags: ETags) -> bool:
            return is_there if tags.star_tag else tag is not None and tags.contains_weak(tag)

        met = "If-Match" not in headers or named(match)
        met = met and not ("If-None-Match" in headers and named(none_match))
        if not met:
            message = "It is not as you know it: read it again, and make your change to that."
            raise APIError(412, "PRECONDITION_FAILED", message)

    def tagged(self, stored: Stored, shown: Mapping[str, Any], status: int = 200) -> Response:
        """Return a table with its ETag; 304 if that is how it is known."""
        is_read = self.request.method in ("GET", "HEAD")
        if is_read and self.request.if_none_match.contains_weak(str(stored.revision)):
            answer = Response(status=304)
        else:
            answer = as_json(shown, status)
        answer.headers["ETag"] = f'"{stored.revision}"'
        return answer

    def page(self, results: list[dict[str, Any]], limit: int, after: object) -> Response:
        """Return a part of a list; `after` is what the next part begins after."""
        return as_page(results, after if len(results) == limit else None)


def as_page(results: list[dict[str, Any]], after: object) -> Response:
    """Return a part of a list, and what the next part begins after, if there is one."""
    paging = {"paging": {"next": {"after": str(after)}}} if after else {}
    return as_json({"results": results, **paging})


def as_json(value: object, status: int = 200) -> Response:
    """Return an answer; what is secret in it is hidden, whatever it is."""
    return Response(_JSON.encode(value), status, content_type="application/json")


def _hide(value: object) -> str:
    return HIDDEN if isinstance(value, Secret) else str(value)


_JSON = msgspec.json.Encoder(enc_hook=_hide)
