"""How long a listing takes that outlasts the deadline, and how long it may."""

import time
from collections.abc import Callable

from providers.base.provider import Deadline, Progress, Query

EXTEND_S = 1.0
"""How often a listing's lease is extended."""

MARGIN = 1.15
"""By how much a listing may take longer than expected, for a `Retry-After` to be true."""


class Pace:
    """What is known of an account whose listing is long."""

    def __init__(self, expected_s: float) -> None:
        self.expected_s = expected_s
        self.queries: set[Query] = set()  # for less than everything, that took too long too
        self.progress: Progress | None = None  # of the listing that is under way here

    def left_s(self, now: float) -> float:
        """Seconds until the listing is whole, as far as can be told."""
        if self.progress is None:
            return self.expected_s
        gone_s = now - self.progress.began
        by_pace_s = self.progress.whole_s(now) or 0.0  # too short at first, if one page was quick
        return max(self.expected_s, by_pace_s, 1.25 * gone_s) - gone_s


class Leased(Progress):
    """The progress of a listing whose lease is for as long as pages come."""

    def __init__(self, extend: Callable[[float], object]) -> None:
        super().__init__()
        self._extend, self._extended_at = extend, self.began

    def advance(self, numbers: int, total: int | None = None) -> None:
        """Record that a page came, and have the lease extended now and then."""
        super().advance(numbers, total)
        if self.at - self._extended_at > EXTEND_S:
            self._extended_at = self.at
            self._extend(self.at)


class WhileItComes(Deadline):
    """So many seconds in all, as long as each page comes within `page_s`."""

    def __init__(self, progress: Progress, longest_s: float, page_s: float) -> None:
        super().__init__(longest_s)
        self._progress, self._page_s = progress, page_s

    def left(self) -> float:
        """Return the seconds left: of all of it or of a page, whichever ends sooner."""
        silent_s = time.monotonic() - self._progress.at
        return min(super().left(), max(0.0, self._page_s - silent_s))
