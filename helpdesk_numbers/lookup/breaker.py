"""The circuit breaker of one account: an account that keeps failing is not asked for a while.

Closed, calls pass. After `FAILURES` failed calls in a row it opens, and whoever asks is refused at
once. When its time is up it is half-open: one call, the probe, passes; success closes it, failure
opens it for twice as long. It knows neither threads nor a clock: the time is an argument (seconds
of any clock that only goes forward). Kept libraries (pybreaker, circuitbreaker) hold a lock during
the call, go by the wall clock, which jumps, and do not know `Retry-After`.
"""

from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from providers.base.provider import PhoneNumber

Answer = list[PhoneNumber] | ProviderError
"""What a call ends with: the account's numbers, or an error."""

FAILURES = 3
"""Failed calls in a row that open the circuit."""

MIN_OPEN_S = 5.0
MAX_OPEN_S = 30.0
"""Seconds for which the circuit stays open, at first and at most: a failed probe doubles them."""

_KINDS = (Refused, Unreadable, RateLimited, Unreachable, ProviderError)


class CircuitBreaker:
    """Decides whether an account may be called. Its owner lets in one thread at a time."""

    def __init__(self) -> None:
        self._failures = 0
        self._opened_at: float | None = None
        self._reopens_at = 0.0
        self._open_s = MIN_OPEN_S
        self._last_failure: tuple[type[ProviderError], str] = Unreachable, ""

    def refusal(self, now: float) -> ProviderError | None:
        """Return the error to answer with while the circuit is open; None if a call may begin.

        It is of the kind of the last failure, and its `retry_after_s` says when the next try is.
        """
        left_s = self._reopens_at - now
        if self._opened_at is None or left_s <= 0:
            return None
        kind, reason = self._last_failure
        error = kind(f"{reason}; circuit open, next try in {left_s:.0f} s")
        error.retry_after_s = left_s
        return error

    def begin(self, now: float, probe_s: float) -> None:
        """Record that a call begins. A half-open circuit lets no other pass for `probe_s`."""
        if self._opened_at is not None:
            self._reopens_at = now + probe_s

    def record(self, answer: Answer, began: float, now: float) -> None:
        """Record the answer of a call that began at `began` and ended now."""
        outdated = self._opened_at is not None and began < self._opened_at
        if not isinstance(answer, ProviderError):
            if not outdated:  # else it proves nothing about the time since
                self._failures, self._opened_at, self._open_s = 0, None, MIN_OPEN_S
            return
        self._failures += 1
        kind = next(kind for kind in _KINDS if isinstance(answer, kind))
        self._last_failure = kind, str(answer)
        if isinstance(answer, RateLimited) and answer.retry_after_s:
            retry_at = now + answer.retry_after_s
            self._reopens_at = max(retry_at, self._reopens_at) if outdated else retry_at
            self._opened_at = now
        elif not outdated and (self._opened_at is not None or self._failures >= FAILURES):
            self._opened_at, self._reopens_at = now, now + self._open_s
            self._open_s = min(2 * self._open_s, MAX_OPEN_S)
