"""Time that passes when the test says so."""


class Clock:
    """Gives seconds, as `time.monotonic` does."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
