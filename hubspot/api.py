"""GET to HubSpot's API with a portal's token: which generation is there, and what statuses mean.

https://developers.hubspot.com/docs/api-reference/error-handling (read November 2026)
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from .errors import HubSpotRefused, HubSpotUnavailable
from .retry_after import wait_s

GENERATIONS = "2026-09", "2026-03"
"""The newest first; the next is used where HubSpot does not have the path."""

HOW = "docs/who-sees-what.md says how"

T = TypeVar("T")


class Answer(Protocol):
    """What HubSpot answered: HTTP's status, and the body, decompressed."""

    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def body(self) -> bytes: ...  # noqa: D102

    def header(self, name: str) -> str | None:
        """Return a header's value, or None."""


Send = Callable[[str, Mapping[str, str]], Answer]
"""Sends a GET for a path and query, with these headers; raises HubSpotUnavailable if no answer
comes."""


class API:
    """A family of paths, such as `/crm/owners`, with a generation in each: `/crm/owners/2026-09`.

    `scope` is what a token needs for it. It remembers which generation HubSpot has.
    """

    def __init__(self, family: str, scope: str) -> None:
        self._family, self._scope = family, scope
        self._known: str | None = None

    def get(
        self,
        send: Send,
        token: str,
        rest: str,
        params: Mapping[str, str],
        *,
        may_be_400: bool = False,
    ) -> Answer | None:
        """Return the answer of a path below the family's, or None if what `rest` names is unknown.

        Raises HubSpotUnavailable and HubSpotRefused.
        """
        for generation in [self._known] if self._known else GENERATIONS:
            answer = self._ask(send, token, generation, rest, params)
            if answer.status == 400 and not may_be_400:
                raise HubSpotUnavailable("HubSpot answered 400, bad request")
            if answer.status != 404:
                self._known = generation
                return answer
            # Is it the thing that is not there, or the path? The list is there if the path is.
            said = self._known is not None and bool(_error(answer))
            if rest and (said or self._is_there(send, token, generation)):
                self._known = generation
                return None
        self._known = None
        raise HubSpotUnavailable("what answers at HUBSPOT_API_BASE_URL is not HubSpot's API")

    def _is_there(self, send: Send, token: str, generation: str) -> bool:
        return self._ask(send, token, generation, "", {"limit": "1"}).status == 200

    def _ask(
        self, send: Send, token: str, generation: str, rest: str, params: Mapping[str, str]
    ) -> Answer:
        """The answer, if it is 200, 400 or 404."""
        query = f"?{urlencode(params, quote_via=quote)}" if params else ""
        target = f"{self._family}/{generation}{rest}{query}"
        answer = send(target, {"Authorization": f"Bearer {token}"})
        status = answer.status
        if status in (200, 400, 404):
            return answer
        if status == 401:
            expired = _error(answer).get("category") == "EXPIRED_AUTHENTICATION"
            why = "the portal's token has expired" if expired else "HubSpot refuses the token"
            raise HubSpotRefused(f"{why} (401)", f"give the portal a token that is valid: {HOW}")
        if status == 403:
            named = _scopes(_error(answer))
            if named:  # so the path is there
                self._known = generation
            scopes = named or (self._scope,)
            why = f"the portal's token lacks a scope (403): {', '.join(scopes)}"
            raise HubSpotRefused(why, f"give the app the scope {self._scope}: {HOW}", scopes)
        asked = answer.header("Retry-After")
        raise HubSpotUnavailable(
            f"HubSpot answered {status}{_WORDS.get(status, '')}",
            wait_s(asked) if asked or status == 429 else None,
        )


_WORDS = {
    423: ", locked",
    429: ", too many requests",
    477: ", the portal is being moved to another data centre",
}


def decode(body: bytes, kind: type[T]) -> T:
    """Return an answer's JSON as `kind`; HubSpotUnavailable, with the place, if it is not."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = f": {error}" if isinstance(error, msgspec.ValidationError) else ""
        raise HubSpotUnavailable(
            f"HubSpot's answer cannot be read{where}", of_one_user=True
        ) from None


def _error(answer: Answer) -> Mapping[str, Any]:
    """HubSpot's error object, empty if it is anything else."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    return {}


def _scopes(error: Mapping[str, Any]) -> tuple[str, ...]:
    """The scopes that an error says are missing, and nothing else of it."""
    listed = error.get("errors")
    parts = [error, *(listed if isinstance(listed, list) else ())]
    contexts = [part.get("context") for part in parts if isinstance(part, dict)]
    named = [
        text
        for context in contexts
        if isinstance(context, dict)
        for name, texts in context.items()
        if "scope" in name.lower()
        for text in (texts if isinstance(texts, list) else [texts])
    ]
    words = (text for text in map(str, named) if re.fullmatch(r"[a-z0-9._-]{1,80}", text))
    return tuple(dict.fromkeys(words))
