"""OAuth tokens: fetched once for an account, shared by its threads, renewed before they expire.

Bandwidth (client credentials), RingCentral (JWT grant) and Zoom (account credentials) use it.
RingCentral gives five tokens a minute, so none is fetched without need.
https://www.rfc-editor.org/rfc/rfc6749#section-5.1
"""

import logging
import random
import time
from collections.abc import Mapping
from copy import copy
from threading import Lock
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import urljoin

import msgspec
from msgspec import Meta

from .decoding import decode_json
from .errors import ProviderError, RateLimited, Refused, Unreachable
from .http import HTTPProvider, Request, bearer
from .listing import Answer, Listing
from .options import URL

_log = logging.getLogger(__name__)

MARGIN_S = 60.0
"""How long before its end a token is replaced; a tenth of its life, if that is less."""

DEFAULT_LIFE_S = 300.0
"""How long a token is kept whose life the carrier does not tell."""


class TokenRequest(NamedTuple):
    """What a token is asked for with: a form, and headers, `basic(id, secret)` above all."""

    form: Mapping[str, str]
    headers: Mapping[str, str] = {}


class _TokenReply(msgspec.Struct):
    access_token: Annotated[str, Meta(min_length=1)]
    expires_in: float | None = None
    refresh_token: str | None = None


class OAuthProvider(HTTPProvider):
    """An HTTPProvider whose requests carry a token: it says where to get one, and with what."""

    oauth_url: ClassVar[str]
    """A path below `base_url`, or a whole URL where tokens come from another host. It may name
    options in braces."""

    token_waits_s: ClassVar[tuple[float, ...]] = (0.0,)
    """How long at most to wait, at random, before a kept token that was refused is replaced and,
    where a new one may be too old by then as well, its successor, and so on."""

    error_code_at: ClassVar[tuple[str, ...]] = ("error",)

    class Options(HTTPProvider.Options, frozen=True, kw_only=True):
        oauth_url: Annotated[URL, Meta(description="another token endpoint")] = ""

    options: Options

    def __init__(self, options: Any, account: str = "") -> None:
        super().__init__(options, account)
        self._lock = Lock()
        self._token = ""
        self._until = 0.0
        self._failure: tuple[float, ProviderError] | None = None
        self.refreshed = ""
        """The refresh token that came in place of the account's own, if one did. It is known to
        this process alone, until it ends."""

    def token_request(self) -> TokenRequest | None:
        """Return what to ask for a token with, or None if this account uses `headers` instead."""
        raise NotImplementedError

    def fetch(self, listing: Listing, request: Request) -> Answer:
        wanted = self.token_request()
        if wanted is None:
            return super().fetch(listing, request)
        token, kept = self._current(wanted, listing)
        for wait_s in self.token_waits_s if kept else self.token_waits_s[1:]:
            try:
                return self._fetch(listing, request, token)
            except Refused as error:
                if error.status != 401:
                    raise
            # the kept token was revoked, or the carrier forgot it
            time.sleep(min(listing.query.deadline.left() / 4, random.uniform(0, wait_s)))  # noqa: S311
            token, _ = self._current(wanted, listing, refused=token)
        return self._fetch(listing, request, token)

    def _fetch(self, listing: Listing, request: Request, token: str) -> Answer:
        return listing.ask(request, {**self.headers(), **bearer(token)})

    def _current(
        self, wanted: TokenRequest, listing: Listing, refused: str = ""
    ) -> tuple[str, bool]:
        """The account's token, another than the one refused, and whether it was kept."""
        came_at = time.monotonic()
        if not self._lock.acquire(timeout=listing.query.deadline.left()):
            raise Unreachable("no token in time")
        try:
            if self._token not in ("", refused) and time.monotonic() < self._until:
                return self._token, True
            if self._failure and self._failure[0] >= came_at:  # while this thread was waiting
                raise copy(self._failure[1])  # raised twice, one's tracebacks would mix
            try:
                self._renew(wanted, listing)
            except (Refused, RateLimited) as error:
                if isinstance(error, Refused) and error.status == 400:
                    error.status = 401  # wrong credentials: RFC 6749, 5.2
                self._failure = time.monotonic(), error
                raise
            return self._token, False
        finally:
            self._lock.release()

    def _renew(self, wanted: TokenRequest, listing: Listing) -> None:
        told = self.options.oauth_url or self.filled(self.oauth_url)
        url = urljoin(self.base().rstrip("/") + "/", told)
        asked_at = time.monotonic()
        tokens = Listing(url, listing.query, self.retry_after, self.explain)
        answer = tokens.post(url, wanted.form, wanted.headers)
        reply: _TokenReply = decode_json(answer.body, _TokenReply, strict=False)
        life = DEFAULT_LIFE_S if reply.expires_in is None else reply.expires_in
        self._token = reply.access_token
        self._until = asked_at + life - min(MARGIN_S, life / 10)
        given, sent = reply.refresh_token, wanted.form.get("refresh_token")
        if given and sent and given != sent:
            self.refreshed = given
            _log.warning(
                "account %s: %s replaced the refresh token; this process goes on with the new one, "
                "and others with the configured one, as long as it is good",
                *(self.account, self.name),
            )
