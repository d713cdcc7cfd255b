"""Who a portal's user is: remembered for an hour, asked once by all who need it, in time.

A user who is remembered longer is asked about in the background, and stands in while HubSpot is
away. Where several users of a portal have to be asked about, the list of all is read instead: it is
one request for 500 users, and HubSpot allows 110 requests in ten seconds for each portal.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial

from cachetools import LRUCache

from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.lookup.bulkhead import LONG_WAIT_S
from helpdesk_numbers.lookup.result import Who
from hubspot.errors import HubSpotRefused, HubSpotUnavailable, LookupFailed
from hubspot.users import HubSpotUser, UsersAPI
from providers.base.options import Secret
from providers.base.provider import Deadline

from .asking import NoToken, SendBy, TokenOf
from .questions import FRESH_S, Flight, Known, PortalQuestions, for_breaker, from_breaker

AT_ONCE_S = 2 * FRESH_S
"""Up to this age a user is answered at once, and asked about in the background."""

KEPT_S = 24 * 3600.0
"""Up to this age a user stands in while HubSpot is away."""

PATIENCE_S = 1.0
"""How long HubSpot is waited for where somebody can stand in."""

BACKGROUND_S, PROBE_S = 10.0, 5.0
"""How long it may take where nobody waits; for how long one request tries whether it is back."""

CROWD = 8
"""So many users of a portal are asked about one by one; for the next, the list is read."""

LONG_LIST_S, RUSH = 1.5, 50
"""A list that took longer is read again for a rush alone: so many users asked about at once."""

MOST_USERS, MOST_PORTALS = 20_000, 5_000
"""Remembered by a worker: some 500 bytes each. The least recently used go first."""

MOST_LISTED = 5_000
"""Users that are read of a portal's list, lest one portal make all others' forgotten."""

log = logging.getLogger(__name__)


class Resolver:
    """Says who users are. One for each worker; its threads share it.

    `submit` runs a call on another thread; no more than `most_hanging` threads wait for a HubSpot
    that does not answer. `clock` gives seconds and only goes forward.
    """

    def __init__(
        self,
        send_by: SendBy,
        token_of: TokenOf,
        submit: Callable[[Callable[[], None]], None],
        most_hanging: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = UsersAPI()
        self._send_by, self._token_of, self._submit = send_by, token_of, submit
        self._most_hanging, self._clock = most_hanging, clock
        self._lock = threading.Lock()
        self._users: LRUCache[tuple[int, int], Known] = LRUCache(MOST_USERS)
        self._portals: LRUCache[tuple[int, Secret], PortalQuestions] = LRUCache(MOST_PORTALS)
        self._running: set[Flight] = set()
        self._told: LRUCache[tuple[int, str], str] = LRUCache(MOST_PORTALS)

    def remembered(self, directory: Directory, portal_id: int, user_id: int) -> Who | None:
        """Return who that is, if nobody needs to be waited for.

        Raises:
            LookupFailed: nobody is remembered, and HubSpot is not to be asked now.
        """
        known, now = self._known(portal_id, user_id), self._clock()
        if known and known.is_fresh(now):
            return Who("remembered", 0.0, known.user) if known.user else Who("unknown")
        stale = _stale(known, now)
        try:
            portal = self._portal(directory, portal_id)
        except HubSpotUnavailable:
            if stale is None:
                raise
            return stale
        with self._lock:
            error = portal.breaker.refusal(now)
        if error:
            failed = from_breaker(error)
            if stale and isinstance(failed, HubSpotUnavailable):
                return stale
            raise failed
        if known and stale and now - known.at < AT_ONCE_S and not portal.refused:
            with suppress(LookupFailed):
                flight, is_new = self._join(portal, user_id)
                if flight and is_new:
                    self._submit(partial(self._make, portal, flight, Deadline(BACKGROUND_S)))
            return stale
        return None

    def resolve(
        self, directory: Directory, portal_id: int, user_id: int, deadline: Deadline
    ) -> Who:
        """Return who that is by the deadline.

        Raises:
            LookupFailed: HubSpot did not say, and nobody who is remembered can stand in.
        """
        began = self._clock()
        stale = _stale(self._known(portal_id, user_id), began)
        try:
            portal = self._portal(directory, portal_id)
            user = self._ask(portal, user_id, deadline, background=stale is not None)
            return Who("hubspot" if user else "unknown", self._ms_since(began), user)
        except HubSpotUnavailable:
            if stale is None:
                raise
            return stale._replace(ms=self._ms_since(began))

    def _ms_since(self, began: float) -> float:
        return round((self._clock() - began) * 1000, 1)

    def _known(self, portal_id: int, user_id: int) -> Known | None:
        with self._lock:
            return self._users.get((portal_id, user_id))

    def _portal(self, directory: Directory, portal_id: int) -> PortalQuestions:
        """What is going on with the portal's token; HubSpotRefused if it has none."""
        try:
            token = self._token_of(directory, portal_id)
        except HubSpotRefused as error:
            raise self._told_of(portal_id, "", error) from None
        if not token:
            raise self._told_of(portal_id, "", NoToken(portal_id))
        with self._lock:
            portal = self._portals.get((portal_id, token))
            if portal is None:
                portal = self._portals[portal_id, token] = PortalQuestions(portal_id, token)
            return portal

    def _ask(
        self, portal: PortalQuestions, user_id: int, deadline: Deadline, *, background: bool
    ) -> HubSpotUser | None:
        def answered() -> Known | None:
            known = self._known(portal.id, user_id)
            return known if known and known.is_fresh(self._clock()) else None

        for listed in (True, False):
            flight, is_new = self._join(portal, user_id, listed=listed)
            if flight and is_new and (background or flight.is_list):
                self._submit(partial(self._make, portal, flight, Deadline(BACKGROUND_S)))
            elif flight and is_new:  # needs no other thread
                self._make(portal, flight, deadline)
            left_s = min(deadline.left(), PATIENCE_S) if background else deadline.left()
            if flight and flight.is_list:  # and time for one question after it
                left_s /= 2
            # Who is not on the list, or has no list, may be found all the same.
            with suppress(HubSpotUnavailable) if flight and flight.is_list else nullcontext():
                if flight:
                    flight.wait(answered, left_s)
            if known := answered():
                return known.user
        raise HubSpotUnavailable("HubSpot did not answer in time")

    def _join(
        self, portal: PortalQuestions, user_id: int, *, listed: bool = True
    ) -> tuple[Flight | None, bool]:
        """The question to wait for, and whether it is new, so that it has to be asked; None if it
        was answered just now. With `listed`, it may be the one for the list."""
        now = self._clock()
        with self._lock:
            if (known := self._users.get((portal.id, user_id))) and known.is_fresh(now):
                return None, False
            if flight := portal.flights.get(user_id):
                return flight, False
            flight = portal.flights.get(None)
            if flight and (listed or len(portal.flights) >= RUSH):
                return flight, False
            if error := portal.breaker.refusal(now):
                raise from_breaker(error)
            hanging = sum(now - flight.began > LONG_WAIT_S for flight in self._running)
            if hanging >= self._most_hanging:
                raise HubSpotUnavailable("HubSpot does not answer; too many requests wait for it")
            is_long, asked = portal.list_s > LONG_LIST_S, portal.singles
            many = len(portal.flights) >= RUSH if is_long else asked >= CROWD
            key = None if listed and many and now - portal.list_at >= FRESH_S / 2 else user_id
            portal.singles = portal.singles + 1 if key else 0
            flight = portal.flights[key] = Flight(key, now)
            self._running.add(flight)
            portal.breaker.begin(now, PROBE_S)
            return flight, True

    def _make(self, portal: PortalQuestions, flight: Flight, deadline: Deadline) -> None:
        """Ask HubSpot for the user, or for all, and remember the answer."""
        send, user_id = self._send_by(deadline), flight.asks_for
        failed: LookupFailed | None = None
        try:
            if user_id is None:
                listed = 0
                for users, _ in self._api.pages(send, portal.token):
                    self._remember(portal, {user.id: user for user in users})
                    flight.tell()
                    if (listed := listed + len(users)) >= MOST_LISTED:
                        break
            else:
                found = self._api.find(send, portal.token, user_id)
                self._remember(portal, {user_id: found})
        except LookupFailed as error:
            failed = error
        except Exception as error:  # an answer that nobody has thought of
            failed = HubSpotUnavailable(f"{type(error).__name__} while asking HubSpot")
        now = self._clock()
        with self._lock:
            portal.flights.pop(user_id, None)
            self._running.discard(flight)
            if failed is None or not failed.of_one_user:
                portal.breaker.record(for_breaker(failed), flight.began, now)
            portal.refused = isinstance(failed, HubSpotRefused)
            if user_id is None:
                portal.list_at, portal.list_s = now, now - flight.began
            if failed is None:
                self._told.pop((portal.id, portal.token), None)
        if failed and portal.refused:
            self._told_of(portal.id, portal.token, failed)
        flight.end(failed)

    def _remember(self, portal: PortalQuestions, users: dict[int, HubSpotUser | None]) -> None:
        now = self._clock()
        with self._lock:
            for user_id, user in users.items():
                self._users[portal.id, user_id] = Known(user, now)

    def _told_of(self, portal_id: int, token: str, error: LookupFailed) -> LookupFailed:
        """The error, of which the log says once for each token what to do."""
        with self._lock:
            key = portal_id, token
            told, self._told[key] = self._told.get(key), str(error)
        if told != str(error) and isinstance(error, HubSpotRefused):
            fields = {"portal_id": portal_id, "reason": str(error), "remedy": error.remedy}
            log.error("hubspot_refused", extra=fields)
        return error


def _stale(known: Known | None, now: float) -> Who | None:
    """Who stands in while HubSpot is away."""
    if known and known.user and now - known.at < KEPT_S:
        return Who("stale", 0.0, known.user)
    return None
