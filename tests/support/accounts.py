"""Accounts that do what a test tells them to, and how to ask them."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from helpdesk_numbers.directory.model import Directory, Portal, Rule
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.lookup.result import Result
from providers.base.errors import ProviderError
from providers.base.provider import PhoneNumber, Provider, Query

ALL = EAST, WEST, SALES = "+12025550143", "+12025550144", "+12025550145"


class Obedient(Provider):
    """Does what the test tells it to."""

    name = "obedient"

    def __init__(
        self, account: str, does: Callable[[Query], Any], country: str | None = None
    ) -> None:
        super().__init__(Provider.Options(country=country), account)
        self._does = does
        self.queries: list[Query] = []

    def list_numbers(self, query: Query) -> Iterable[PhoneNumber]:
        self.queries.append(query)
        return cast("Iterable[PhoneNumber]", self._does(query))


class Punctual(Obedient):
    """Keeps the deadline, so that the asking thread calls it itself."""

    name = "punctual"
    keeps_deadline = True


class Immediate(Obedient):
    name = "immediate"
    fixed = True


def gives(*numbers: str | PhoneNumber) -> Callable[[Query], list[PhoneNumber]]:
    made = [PhoneNumber(one) if isinstance(one, str) else one for one in numbers]
    return lambda _: made


def fails(error: BaseException) -> Callable[[Query], list[PhoneNumber]]:
    def failing(_: Query) -> list[PhoneNumber]:
        raise error

    return failing


def sleeps(seconds: float, *numbers: str) -> Callable[[Query], list[PhoneNumber]]:
    def sleeping(_: Query) -> list[PhoneNumber]:
        time.sleep(seconds)
        return [PhoneNumber(number) for number in numbers]

    return sleeping


class Fixed:
    """A directory that stays as it is until the test changes it."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def of(self, portal_id: int) -> Directory:
        return self.directory


def lookup_of(
    *accounts: Provider,
    rule: Rule | dict[int, Rule] | None = None,
    deadline_s: float = 10,
    last_known_good_s: float = 0,
    threads: int = 16,
) -> Lookup:
    rules = {1: rule} if isinstance(rule, Rule) else rule or {}
    portal = Portal(tuple(one.account for one in accounts), "all", rules)
    directory = Directory({one.account: one for one in accounts}, {62515: portal})
    return Lookup(Fixed(directory), deadline_s, last_known_good_s, threads)


def look_up(*accounts: Provider, rule: Rule | None = None, deadline_s: float = 10) -> Result:
    return lookup_of(*accounts, rule=rule, deadline_s=deadline_s).look_up(62515, 1)


def found(result: Result) -> list[str]:
    return [one.e164 for one in result.numbers]


ONE = [PhoneNumber(EAST)]
Answer = list[PhoneNumber] | ProviderError


class Account(Punctual):
    """Each call takes the next of `turns`, and the last again and again: numbers, an error to
    raise, or an event to wait for. An event is followed by the turn after it in the same call."""

    def __init__(self, *turns: Any) -> None:
        super().__init__("acme", self._take)
        self._turns = list(turns)
        self._choosing = threading.Lock()

    def _take(self, query: Query) -> list[PhoneNumber]:
        turn = self._next()
        while isinstance(turn, threading.Event):
            turn.wait(30)
            turn = self._next()
        if isinstance(turn, BaseException):
            raise turn
        assert isinstance(turn, list)
        return turn

    def _next(self) -> Any:
        with self._choosing:
            return self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]


def answer_of(result: Result) -> Answer:
    """What one account's call came to: its numbers, or its error."""
    (outcome,) = result.outcomes
    return outcome.error or [PhoneNumber(number.e164) for number in result.numbers]


def ask(lookup: Lookup, user_id: int = 1) -> Answer:
    """What one caller gets of the only account."""
    return answer_of(lookup.look_up(62515, user_id))


def ask_at_once(
    lookup: Lookup, account: Obedient, go: threading.Event, user_ids: Iterable[int]
) -> list[Answer]:
    """What these callers get who all wait before `go` is set."""
    users = list(user_ids)
    with ThreadPoolExecutor(len(users)) as callers:
        answers = [callers.submit(ask, lookup, user) for user in users]
        wait_until(lambda: lookup.bulkhead.long_waiting(time.monotonic() + 60) == len(users))
        go.set()
        return [answer.result() for answer in answers]


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once it holds, which a busy machine may take its time for."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.002)
