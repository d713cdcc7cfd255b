"""The threads of a worker."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

log = logging.getLogger(__name__)

MAX_GROWTH = 4
"""So many times the threads of WEB_THREADS is the most that a worker has."""

IDLE_S = 5.0
"""How long a thread that has nothing to do is kept."""


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
        self._lock = threading.Lock()
        self._queue: deque[Any] = deque()
        self._idle: list[SimpleQueue[Any]] = []  # each one's own, so that the last is used first
        self.count = 0

    def submit(self, item: Any) -> None:
        """Run it on a thread that is free, or on a new one if there may be one more."""
        with self._lock:
            if self._idle:
                self._idle.pop().put(item)
                return
            self._queue.append(item)
        self.grow()

    def grow(self) -> None:
        """Start threads for what waits for one, as far as there may be more."""
        with self._lock:
            most = min(self._least + self._waiting(), MAX_GROWTH * self._least)
            while self._queue and self.count < most:
                item, own = self._queue.popleft(), SimpleQueue[Any]()
                own.put(item)
                try:
                    threading.Thread(target=self._work, args=(own,), daemon=True).start()
                except RuntimeError:  # the system gives no more
                    self._queue.appendleft(item)
                    return
                self.count += 1

    def _work(self, own: "SimpleQueue[Any]") -> None:
        item = own.get()
        while True:
            try:
                self._run(item)
            except BaseException as error:  # sys.exit() in somebody's code, say: the thread goes on
                log.error("thread_failed", extra={"error": type(error).__name__})
            item = None  # which may hold an account that has left the directory
            with self._lock:
                if self._queue:
                    item = self._queue.popleft()
                    continue
                self._idle.append(own)
            try:
                item = own.get(timeout=IDLE_S)
            except Empty:
                with self._lock:
                    if own in self._idle:
                        self._idle.remove(own)
                        self.count -= 1
                        return
                item = own.get()  # it was just given something

    def shutdown(self, wait: bool = True) -> None:
        """Do nothing: they end with the process."""
