"""What a command shows while it works: one line on a terminal, gone when it is done."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

AFTER_S = 1.0
"""Only what takes longer than this shows anything."""

LOOK_S = 0.2

Show = Callable[[str], None]

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def line() -> Iterator[Show]:
    """Give a function that shows a text in place of the last; nothing where nobody looks on."""
    began, shown = time.monotonic(), 0

    def show(text: str) -> None:
        nonlocal shown
        if sys.stderr.isatty() and time.monotonic() - began > AFTER_S:
            sys.stderr.write(f"\r{text.ljust(shown)}")
            sys.stderr.flush()
            shown = max(shown, len(text))

    try:
        yield show
    finally:
        if shown:
            sys.stderr.write(f"\r{' ' * shown}\r")
            sys.stderr.flush()


def each(
    work: Callable[[T], R], items: list[T], at_once: int, show: Callable[[int], None]
) -> Iterator[R]:
    """Yield what `work` makes of each item, as it comes; `show` is told how many are done.

    The threads are daemons and this one waits where Ctrl-C reaches it, so that work which hangs
    does not keep a command from its end. `work` must not raise.
    """
    waiting, done = iter(items), SimpleQueue[R]()

    def run() -> None:
        for item in iter(lambda: next(waiting, None), None):
            done.put(work(item))

    for _ in range(min(at_once, len(items))):
        Thread(target=run, daemon=True).start()
    for count in range(len(items)):
        while True:
            show(count)
            try:
                result = done.get(timeout=LOOK_S)
            except Empty:
                continue
            break
        yield result
