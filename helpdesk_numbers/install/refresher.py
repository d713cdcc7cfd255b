"""Refreshes portals' tokens ahead of their end, in the background: no request waits for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from helpdesk_numbers.database.installs import Due, Installs
from helpdesk_numbers.database.opening import why
from helpdesk_numbers.threads import RequestThreads
from helpdesk_numbers.users.asking import PostBy
from hubspot.errors import AppRefused, HubSpotUnavailable, LookupFailed, PortalGone
from hubspot.oauth import OAuth
from providers.base.provider import Deadline

AT_ONCE = 4
"""How many tokens a process refreshes side by side."""

POLL_S = 5.0
"""How long it waits when none is due."""

ANSWER_S = 10.0
"""What HubSpot gets for each."""

RETRY_S, LOST_S = 60.0, 3600.0
"""When it is tried again if HubSpot could not be asked; if the token cannot be decrypted."""

PURGE_S = 3600.0
"""How often it looks for portals that are kept no longer."""

log = logging.getLogger(__name__)


class Refresher:
    """Refreshes what is due. One for each process; they share the work by the database.

    `refreshed` is told of each portal that has a new token, or is purged; `purge` deletes those
    that are kept no longer, and gives their ids. `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        installs: Installs,
        oauth: OAuth,
        post_by: PostBy,
        refreshed: Callable[[int], None] = lambda _: None,
        purge: Callable[[], Iterable[int]] = lambda: (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._installs, self._oauth, self._post_by = installs, oauth, post_by
        self._refreshed, self._purge, self._clock = refreshed, purge, clock
        self._purge_at = 0.0
        self._threads = RequestThreads(AT_ONCE, lambda work: work(), lambda: 0)
        self._failing = ""

    def begin(self) -> None:
        """Refresh from now on, on a thread of its own."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                done = self.refresh_due()
                self.purge_due()
            except SQLAlchemyError as error:
                done = 0
                self._tell(why(error))
            if not done:
                time.sleep(POLL_S)

    def refresh_due(self) -> int:
        """Refresh some tokens that are due, side by side; return how many were tried."""
        now = self._clock()
        most = self._installs.may_ask(now)
        due = self._installs.claim(now, AT_ONCE if most is None else most)
        ended = threading.Semaphore(0)
        for one in due:
            self._threads.submit(partial(self._refresh_and_tell, one, ended))
        for _ in due:
            ended.acquire()
        return len(due)

    def purge_due(self) -> None:
        """Purge, unless that was done within the hour."""
        now = self._clock()
        if now < self._purge_at:
            return
        self._purge_at = now + PURGE_S
        for portal_id in self._purge():
            log.warning("portal_purged", extra={"portal_id": portal_id})
            self._refreshed(portal_id)

    def _refresh_and_tell(self, due: Due, ended: threading.Semaphore) -> None:
        try:
            self._refresh(due)
        except SQLAlchemyError as error:  # the lease ends, and it is tried again
            self._tell(why(error))
        finally:
            ended.release()

    def _refresh(self, due: Due) -> None:
        if due.refresh_token is None:
            self._installs.put_off(due, self._clock() + LOST_S)
            log.error("token_lost", extra={"portal_id": due.portal_id, "remedy": _LOST})
            return
        try:
            post = self._post_by(Deadline(ANSWER_S))
            tokens = self._oauth.refresh(post, due.refresh_token)
            if tokens.hub_id not in (None, due.portal_id):
                raise HubSpotUnavailable("HubSpot answered with the token of another portal")
        except LookupFailed as error:
            self._failed(due, error)
            return
        self._accepted()
        if self._installs.keep(due, tokens, self._clock()):
            self._refreshed(due.portal_id)

    def _failed(self, due: Due, error: LookupFailed) -> None:
        now = self._clock()
        if isinstance(error, PortalGone):
            self._accepted()
            if self._installs.mark_gone(due, now):
                log.warning("portal_gone", extra={"portal_id": due.portal_id})
                self._refreshed(due.portal_id)
            return
        self._installs.put_off(due, now + (error.retry_after_s or RETRY_S))
        if isinstance(error, AppRefused):
            if self._installs.refuse(str(error), now):
                log.error("app_refused", extra={"reason": str(error), "remedy": error.remedy})
        else:
            self._tell(str(error))

    def _accepted(self) -> None:
        if self._installs.accept():
            log.warning("app_accepted", extra={"reason": "HubSpot takes the app again"})
        self._failing = ""

    def _tell(self, reason: str) -> None:
        """Log why tokens are not refreshed, once until one is."""
        if reason != self._failing:
            self._failing = reason
            log.warning("tokens_not_refreshed", extra={"reason": reason})


_LOST = "set the key that it was encrypted with in ENCRYPTION_KEYS, or install the app there again"
