"""The threads of a worker."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

MAX_GROWTH = 4
"""So many times the threads of WEB_THREADS is the most that a worker has."""


class RequestThreads:
    """Threads that run `run` with what is submitted: `threads`, and one more for each that has
    been `waiting()` long.

    A thread that waits for a slow carrier costs next to nothing, so it takes no other's place. They
    are daemons: a call that hangs for ever does not keep the process from its end.
    """

    def __init__(
        self, threads: int, run: Callable[[Any], None], waiting: Callable[[], int]
    ) -> None:
        self._least, self._run, self._waiting = threads, run, waiting
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._lock = threading.Lock()
        self.count = self._free = 0  # `_free`: threads less what is run or waits, so maybe below 0

    def submit(self, item: Any) -> None:
        """Run it on a thread that is free, or on a new one if there may be one more."""
        self._queue.put(item)
        with self._lock:
            self._free -= 1
            short = self._free < 0
        if short:
            self.grow()

    def grow(self) -> None:
        """Start threads for what waits for one, as far as there may be more."""
        with self._lock:
            most = min(self._least + self._waiting(), MAX_GROWTH * self._least)
            for _ in range(min(-self._free, most - self.count)):
                try:
                    threading.Thread(target=self._work, name="request", daemon=True).start()
                except RuntimeError:  # the system gives no more
                    break
                self.count += 1
                self._free += 1

    def _work(self) -> None:
        while True:
            self._run(self._queue.get())
            with self._lock:
                self._free += 1

    def shutdown(self, wait: bool = True) -> None:
        """Do nothing: they end with the process."""
