"""The bulkhead: it acts on accounts that have shown that they hang, and on nobody else."""

import threading
from concurrent.futures import ThreadPoolExecutor

from helpdesk_numbers.lookup.bulkhead import Bulkhead
from helpdesk_numbers.lookup.calls import AccountCalls
from helpdesk_numbers.lookup.lookup import Lookup
from providers.base.errors import Unreachable
from providers.base.provider import Query
from tests.support.accounts import (
    EAST,
    ONE,
    Account,
    Obedient,
    ask_at_once,
    gives,
    lookup_of,
)

DEADLINE_S = 4.0


def hanging(bulkhead: Bulkhead) -> tuple[AccountCalls, Obedient]:
    """An account whose last call ran into the deadline, at second 4."""
    calls, account = AccountCalls(DEADLINE_S, bulkhead), Obedient("acme", gives())
    call, _ = calls.join(account, Query(), 0)
    calls.end(call, Unreachable("no whole answer in time"), DEADLINE_S)
    return calls, account


def test_everybody_waits_for_an_account_of_which_nothing_is_known(
    released: threading.Event,
) -> None:
    """However slow it is, and however many they are: more than there are threads by WEB_THREADS."""
    account = Account(released, ONE)
    answers = ask_at_once(lookup_of(account, threads=4), account, released, range(60))
    assert answers == [ONE] * 60
    assert len(account.queries) == 1


def test_all_hanging_accounts_together_have_calls_from_half_of_the_threads() -> None:
    bulkhead = Bulkhead(8)
    accounts = [hanging(bulkhead) for _ in range(6)]
    probes = [calls.join(account, Query(), 5) for calls, account in accounts]
    assert [is_new for _, is_new in probes] == [True] * 4 + [False] * 2
    assert str(probes[4][0].result()) == "it hangs, and so do too many other accounts"
    calls, _ = accounts[0]
    calls.end(probes[0][0], ONE, 6)
    calls, account = accounts[5]
    assert calls.join(account, Query(), 6)[1]


def test_an_account_that_does_not_hang_needs_no_seat() -> None:
    bulkhead = Bulkhead(2)
    calls, account = hanging(bulkhead)
    assert calls.join(account, Query(), 5)[1]
    for _ in range(20):
        assert AccountCalls(DEADLINE_S, bulkhead).join(account, Query(), 5)[1]


def test_calls_that_hang_for_ever_leave_threads_to_accounts_that_answer(
    released: threading.Event,
) -> None:
    """At adapters with a client of their own, which other threads call."""

    def hang(_: Query) -> list[object]:
        released.wait(30)
        return []

    well = Obedient("well", gives(EAST))
    sick = [Obedient(f"sick-{index}", hang) for index in range(20)]
    lookup = lookup_of(well, *sick, deadline_s=0.5, threads=1)
    assert outcome_of(lookup, "well") == "ok"
    lookup.look_up(62515, 1)
    assert outcome_of(lookup, "well") == "ok"


def outcome_of(lookup: Lookup, account: str) -> str:
    """The outcome of one account of the portal."""
    outcomes = lookup.look_up(62515, 1).outcomes
    return next(outcome.outcome for outcome in outcomes if outcome.account == account)


def test_who_waits_is_counted_by_how_long() -> None:
    bulkhead = Bulkhead(4)
    with ThreadPoolExecutor(1) as other:
        other.submit(bulkhead.begin_waiting, 10.0).result()
        bulkhead.begin_waiting(10.9)
        assert bulkhead.long_waiting(11.5) == 1
        assert bulkhead.long_waiting(12) == 2
        other.submit(bulkhead.end_waiting).result()
        bulkhead.end_waiting()
        assert bulkhead.long_waiting(100) == 0
