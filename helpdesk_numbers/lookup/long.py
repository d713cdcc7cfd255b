"""Accounts whose listing outlasts the deadline: it is made in the background, and stands in.

Where pages go by cursor, one after another, an account of thousands of numbers takes longer than
HubSpot waits. A listing that had begun to come when the deadline came is begun anew beside the
requests, for up to LONGEST_S, one an account in an instance. What it brings is the account's last
known good answer, and is listed again when asked for and older than it took.
"""

import math
import threading
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary, WeakSet

from providers.base.errors import ProviderError, Unreachable
from providers.base.provider import Progress, Provider, Query

from .breaker import Answer
from .pace import EXTEND_S, MARGIN, Leased, Pace, WhileItComes
from .stale import LastKnownGood

LONGEST_S = 60.0
"""How long such a listing may take."""

MOST_AT_A_TIME = 8
"""How many a worker makes side by side; further ones are begun when asked for again."""

MOST_QUERIES = 1_000
"""Queries of an account that are remembered to take too long."""

EARLY_S = 0.05
"""By how much a call may end before its deadline that the deadline ends: libcurl counts in ms."""


class Unfinished(Unreachable):
    """The listing takes longer than a request can wait; it goes on without the request."""


class LongListings:
    """The long listings of a worker. `ask` lists an account, whatever happens; threads share it."""

    def __init__(
        self,
        kept: LastKnownGood,
        deadline_s: float,
        ask: Callable[[Provider, Query], Answer],
        ended: Callable[[Provider, Answer, float], None],
    ) -> None:
        """`ended` is told the answer of each, and when it began."""
        self._kept, self._deadline_s, self._ask, self._ended = kept, deadline_s, ask, ended
        self._lock = threading.Lock()
        self._accounts: WeakKeyDictionary[Provider, Pace] = WeakKeyDictionary()
        self._looked_for: WeakSet[Provider] = WeakSet()
        self._running = 0

    def knows(self, account: Provider) -> bool:
        """Return whether the account is known to be long."""
        return account in self._accounts

    def instead(self, account: Provider, query: Query, full: Query) -> ProviderError | None:
        """Return what to answer instead of a call that is known to take too long, and list the
        account if that is due; None if it may be called."""
        known = self._accounts.get(account) or self._met_elsewhere(account, full)
        if known and (query == full or query in known.queries):
            return self._go_on(account, full, known)
        return None

    def _met_elsewhere(self, account: Provider, full: Query) -> Pace | None:
        """The account if another worker's last answer took longer than a request may wait: looked
        for once."""
        shared = self._kept.shared
        with self._lock:
            if shared is None or account in self._looked_for:
                return None
            self._looked_for.add(account)
        found = shared.newest(account, full)
        if found is None or found.at - found.began <= self._deadline_s:
            return None
        with self._lock:
            return self._accounts.setdefault(account, Pace(found.at - found.began))

    def unfinished(self, account: Provider, query: Query, answer: Answer) -> ProviderError | None:
        """Return what to answer for a call that the deadline broke off while pages came, and list
        the account in the background; None if it was not so."""
        progress, now = query.progress, time.monotonic()
        broke_off = isinstance(answer, Unreachable) and query.deadline.left() < EARLY_S
        if not (broke_off and progress.pages and account.keeps_deadline):
            return None
        expected_s = progress.whole_s(now) or 2 * (now - progress.began)
        with self._lock:
            known = self._accounts.setdefault(account, Pace(expected_s))
            if len(known.queries) < MOST_QUERIES:
                known.queries.add(query)
        return self._go_on(account, account.full(query), known)

    def _go_on(self, account: Provider, full: Query, known: Pace) -> ProviderError:
        now = time.monotonic()
        found = self._kept.find(account, full)
        if found is None or found[1] > known.expected_s:
            self._begin(account, full, known)
        about = f"about {known.expected_s:.0f} s"
        error = Unfinished(
            f"its listing takes {about}, longer than a request may wait, and goes on"
        )
        error.retry_after_s = max(1.0, MARGIN * known.left_s(now))
        error.account, error.provider = account.account, account.name
        return error

    def _begin(self, account: Provider, full: Query, known: Pace) -> None:
        """List the account on a thread of its own, unless this instance does so already."""
        shared, lease_s = self._kept.shared, self._deadline_s + 2 * EXTEND_S
        progress = Progress()
        if shared:
            progress = Leased(lambda at: shared.lease(account, math.inf, at + lease_s))
        deadline = WhileItComes(progress, LONGEST_S, self._deadline_s)
        query = Query(owner=full.owner, deadline=deadline, progress=progress)
        with self._lock:
            if known.progress or self._running >= MOST_AT_A_TIME:
                return
            now = progress.began
            if shared and not shared.lease(account, now, now + lease_s):
                return
            known.progress, self._running = progress, self._running + 1
        try:
            args = account, query, known
            threading.Thread(target=self._list, args=args, daemon=True, name="listing").start()
        except RuntimeError:  # the system gives no more
            self._end(account, known)

    def _list(self, account: Provider, query: Query, known: Pace) -> None:
        began = query.progress.began
        answer = self._ask(account, query)
        took_s = time.monotonic() - began
        self._kept.record(account, query, answer, began)
        self._ended(account, answer, began)
        with self._lock:
            known.expected_s = took_s
            if isinstance(answer, ProviderError) or took_s < self._deadline_s / 2:
                self._accounts.pop(account, None)  # requests may call it again
        self._end(account, known)

    def _end(self, account: Provider, known: Pace) -> None:
        with self._lock:
            known.progress, self._running = None, self._running - 1
        if self._kept.shared:
            self._kept.shared.release(account)
