"""Accounts that do what a test tells them to, and how to ask them."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from helpdesk_numbers.directory.model import Directory, Portal, Rule
from helpdesk_numbers.lookup.guard import Guard
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

    def current(self) -> Directory:
        return self.directory


def lookup_of(
    *accounts: Provider,
    rule: Rule | None = None,
    deadline_s: float = 10,
    last_known_good_s: float = 0,
    threads: int = 16,
) -> Lookup:
    portal = Portal(tuple(one.account for one in accounts), "all", {1: rule} if rule else {})
    directory = Directory({one.account: one for one in accounts}, {62515: portal})
    return Lookup(Fixed(directory), deadline_s, last_known_good_s, threads)


def look_up(*accounts: Provider, rule: Rule | None = None, deadline_s: float = 10) -> Result:
    return lookup_of(*accounts, rule=rule, deadline_s=deadline_s).look_up(62515, 1)


def found(result: Result) -> list[str]:
    return [one.e164 for one in result.numbers]


ONE = [PhoneNumber(EAST)]
Answer = list[PhoneNumber] | ProviderError


class Account(Obedient):
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


def ask(guard: Guard, account: Provider, query: Query | None = None) -> Answer:
    """What one caller gets."""
    try:
        return guard.call(account, query or Query()).result()
    except ProviderError as error:
        return error


def ask_at_once(
    count: int, guard: Guard, account: Provider, queries: list[Query], go: threading.Event
) -> list[Answer]:
    """What `count` callers get who all have their call before `go` is set."""
    calls = [guard.call(account, queries[index % len(queries)]) for index in range(count)]
    with ThreadPoolExecutor(count) as callers:
        waiting = [callers.submit(call.result) for call in calls]
        go.set()
        return [one.result() for one in waiting]
