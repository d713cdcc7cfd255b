"""How fast an account's pages may be asked for, where a carrier allows few requests a second."""

import time
from threading import Lock

from .errors import Unreachable
from .provider import Deadline


class Pace:
    """A token bucket, as carriers keep one: `burst` requests at once, and then one each `every_s`
    seconds. Threads share it; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm."""

    def __init__(self, burst: int, every_s: float) -> None:
        self.every_s = every_s
        self._ahead_s = (burst - 1) * every_s
        self._lock = Lock()
        self._due = 0.0

    def reserve(self, now: float, most_s: float) -> float | None:
        """Return in how many seconds the next request may be sent, which then is this one's turn;
        None if that is more than `most_s`."""
        with self._lock:
            due = max(self._due, now)
            wait_s = max(0.0, due - self._ahead_s - now)
            if wait_s > most_s:
                return None
            self._due = due + self.every_s
            return wait_s

    def wait(self, deadline: Deadline) -> None:
        """Sleep until it is this request's turn.

        Raises:
            Unreachable: that is after the deadline, which has come now.
        """
        left_s = deadline.left()
        wait_s = self.reserve(time.monotonic(), left_s)
        time.sleep(left_s if wait_s is None else wait_s)
        if wait_s is None:
            raise Unreachable("not all pages came in time")
