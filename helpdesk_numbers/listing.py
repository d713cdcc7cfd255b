"""How an account's numbers are listed for somebody who waits, whatever the adapter does."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread

from helpdesk_numbers.lookup.pace import WhileItComes
from providers import PhoneNumber, Provider, ProviderError, Query
from providers.base.errors import Unreachable
from providers.base.provider import Progress

GRACE_S = 0.5
"""What an adapter gets beyond the deadline to say itself what went wrong."""


def list_with_timeout(
    account: Provider,
    deadline_s: float,
    owner: str | None = None,
    progress: Progress | None = None,
    page_s: float | None = None,
    looked: Callable[[Progress], None] = lambda _: None,
    look_s: float = 1.0,
) -> list[PhoneNumber]:
    """Return the account's numbers within the deadline, even from an adapter that does not keep it.

    `owner` is the query's. With `page_s`, it is given up when no page comes for so long. `looked`
    is called every `look_s` with how far it has come.

    Raises:
        ProviderError: see providers/base/errors.py.
    """
    answer: Future[list[PhoneNumber]] = Future()
    progress = progress or Progress()
    deadline = WhileItComes(progress, deadline_s, page_s or deadline_s)
    query = Query(owner=owner, deadline=deadline, progress=progress)

    def call() -> None:
        try:
            answer.set_result(account.ask(query))
        except ProviderError as error:
            answer.set_exception(error)

    # Not in an executor's thread: Python would wait for that at its end, and so for an adapter
    # that hangs. A daemon is left behind.
    Thread(target=call, daemon=True).start()
    while left_s := deadline.left():
        with suppress(TimeoutError):
            return answer.result(min(left_s, look_s))
        looked(progress)
    with suppress(TimeoutError):
        return answer.result(GRACE_S)
    raise Unreachable("no answer in time") from None
