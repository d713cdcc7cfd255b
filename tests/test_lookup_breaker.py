"""The circuit breaker, without a clock: seconds are what the test says."""

import pytest

from helpdesk_numbers.lookup.breaker import FAILURES, MAX_OPEN_S, MIN_OPEN_S, CircuitBreaker
from providers.base.errors import ProviderError, RateLimited, Refused, Unreachable, Unreadable
from tests.support.accounts import ONE, Account, ask, lookup_of

DOWN = Unreachable("answered 500")
PROBE_S = 4.0


def opened(failure: ProviderError = DOWN, at: float = 0) -> CircuitBreaker:
    """A breaker that has just opened."""
    breaker = CircuitBreaker()
    for _ in range(FAILURES):
        breaker.record(failure, at, at)
    return breaker


def left_s(breaker: CircuitBreaker, now: float) -> float:
    """Seconds for which the circuit stays open; 0 if it is not."""
    error = breaker.refusal(now)
    return (error.retry_after_s or 0) if error else 0


def test_three_failures_in_a_row_open_it() -> None:
    breaker = CircuitBreaker()
    for count in range(FAILURES):
        assert breaker.refusal(count) is None
        breaker.record(DOWN, count, count)
    assert breaker.refusal(FAILURES)


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = CircuitBreaker()
    for answer in (DOWN, DOWN, ONE, DOWN, DOWN, ONE):
        breaker.record(answer, 0, 0)
        assert breaker.refusal(0) is None


@pytest.mark.parametrize(
    "failure",
    [
        Unreachable("answered 500"),
        Refused("answered 401 with code 20003"),
        Unreadable("the answer cannot be read"),
        RateLimited("answered 429"),
        type("Stranger", (Refused,), {})("an adapter's own"),
    ],
)
def test_while_it_is_open_it_fails_as_the_account_did_and_says_when_the_next_try_is(
    failure: ProviderError,
) -> None:
    error = opened(failure, at=100).refusal(101)
    assert error
    assert error.outcome == failure.outcome
    assert str(error) == f"{failure}; circuit open, next try in 4 s"
    assert error.retry_after_s == MIN_OPEN_S - 1


def test_half_open_one_probe_passes_and_its_success_closes_it() -> None:
    breaker = opened()
    assert breaker.refusal(MIN_OPEN_S) is None
    breaker.begin(MIN_OPEN_S, PROBE_S)
    assert breaker.refusal(MIN_OPEN_S + 0.1)
    breaker.record(ONE, MIN_OPEN_S, MIN_OPEN_S + 0.2)
    assert breaker.refusal(MIN_OPEN_S + 0.3) is None
    breaker.record(DOWN, 6, 6)
    assert breaker.refusal(6) is None


def test_a_failed_probe_opens_it_for_twice_as_long_up_to_the_longest() -> None:
    breaker, now, open_s = opened(), 0.0, []
    for _ in range(5):
        open_s.append(left_s(breaker, now))
        now += open_s[-1]
        assert breaker.refusal(now) is None
        breaker.begin(now, PROBE_S)
        breaker.record(DOWN, now, now)
    assert open_s == [MIN_OPEN_S, 2 * MIN_OPEN_S, 4 * MIN_OPEN_S, MAX_OPEN_S, MAX_OPEN_S]


def test_calls_that_fail_together_open_it_once() -> None:
    breaker = opened()
    breaker.record(DOWN, -1, 0.1)
    breaker.record(DOWN, -1, 0.2)
    assert left_s(breaker, 0.2) == MIN_OPEN_S - 0.2


def test_a_probe_that_never_ends_does_not_keep_it_open_for_ever() -> None:
    breaker = opened()
    breaker.begin(MIN_OPEN_S, PROBE_S)
    assert breaker.refusal(MIN_OPEN_S + PROBE_S - 0.1)
    assert breaker.refusal(MIN_OPEN_S + PROBE_S) is None


def test_a_success_that_began_before_it_opened_proves_nothing() -> None:
    breaker = opened(at=10)
    breaker.record(ONE, 9, 11)
    assert breaker.refusal(11)


def test_a_rate_limit_opens_it_at_once_for_as_long_as_it_says() -> None:
    breaker = CircuitBreaker()
    breaker.record(RateLimited("answered 429", 60), 0, 1)
    assert left_s(breaker, 1) == 60
    breaker.record(ONE, 0, 2)
    assert left_s(breaker, 2) == 59
    assert breaker.refusal(61) is None


def test_a_shorter_rate_limit_from_before_does_not_shorten_it() -> None:
    breaker = CircuitBreaker()
    breaker.record(RateLimited("answered 429", 60), 1, 1)
    breaker.record(RateLimited("answered 429", 5), 0, 2)
    assert left_s(breaker, 2) == 59


def test_a_rate_limit_that_says_nothing_counts_as_any_failure() -> None:
    breaker = CircuitBreaker()
    breaker.record(RateLimited("answered 429"), 0, 0)
    assert breaker.refusal(0) is None
    assert left_s(opened(RateLimited("answered 429")), 0) == MIN_OPEN_S


def test_an_account_whose_circuit_is_open_is_not_called() -> None:
    account = Account(DOWN)
    lookup = lookup_of(account)
    for _ in range(50):
        assert isinstance(ask(lookup), ProviderError)
    assert len(account.queries) == FAILURES
