"""A portal's questions to HubSpot: which are under way, what came of them."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from helpdesk_numbers.lookup.breaker import Answer, CircuitBreaker
from hubspot.errors import HubSpotRefused, HubSpotUnavailable, LookupFailed
from hubspot.users import HubSpotUser
from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable
from providers.base.options import Secret

FRESH_S = 3600.0
"""How long a user is taken for what HubSpot said."""

MISS_S = 300.0
"""How long an unknown user is taken for unknown: a new one may be an owner some seconds later."""


class Known(NamedTuple):
    """What HubSpot said about a user (None: nobody), and when."""

    user: HubSpotUser | None
    at: float

    def is_fresh(self, now: float) -> bool:
        """Return whether HubSpot need not be asked again."""
        return now - self.at < (FRESH_S if self.user else MISS_S)


class Flight:
    """A question to HubSpot, for any number of threads to wait for: about a user, or (None) for the
    list of all."""

    def __init__(self, asks_for: int | None, began: float) -> None:
        self.asks_for, self.began = asks_for, began
        self.error: LookupFailed | None = None
        self._changed, self._ended = threading.Condition(), False

    @property
    def is_list(self) -> bool:
        """Return whether it is about all users."""
        return self.asks_for is None

    def end(self, error: LookupFailed | None) -> None:
        """Wake all who wait."""
        self.error, self._ended = error, True
        self.tell()

    def tell(self) -> None:
        """Have those who wait look whether they have what they need."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, has: Callable[[], object], seconds: float) -> None:
        """Return once it has ended or `has` holds, raising its error; HubSpotUnavailable after so
        many seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended or has(), seconds):
                raise HubSpotUnavailable("HubSpot did not answer in time")
        if self.error and not has():
            raise self.error.with_traceback(None)  # others raise it too, and add their frames


class PortalQuestions:
    """What is going on with a portal's token."""

    def __init__(self, portal_id: int, token: Secret) -> None:
        self.id, self.token = portal_id, token
        self.breaker = CircuitBreaker()
        self.flights: dict[int | None, Flight] = {}  # by user; None is the list
        self.singles = 0  # asked about one by one since the list was read
        self.list_at, self.list_s = float("-inf"), 0.0  # when it was read last; that it took
        self.refused = False


def for_breaker(failed: LookupFailed | None) -> Answer:
    """Return what the circuit breaker makes of an answer."""
    if failed is None:
        return []
    if isinstance(failed, HubSpotRefused):
        return Refused(str(failed))
    wait_s = failed.retry_after_s
    return RateLimited(str(failed), wait_s) if wait_s else Unreachable(str(failed))


def from_breaker(error: ProviderError) -> LookupFailed:
    """Return the error that an open circuit answers with."""
    if isinstance(error, Refused):
        return HubSpotRefused(str(error), "see the log line hubspot_refused")
    return HubSpotUnavailable(str(error), error.retry_after_s)
