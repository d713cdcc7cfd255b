"""How a command lists an account's numbers, whatever the adapter does."""

import time
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread

from helpdesk_numbers.lookup.pace import WhileItComes
from providers import PhoneNumber, Provider, ProviderError, Query
from providers.base.errors import Unreachable
from providers.base.provider import Progress

from . import progress as progress_line

GRACE_S = 0.5
"""What an adapter gets beyond the deadline to say itself what went wrong."""


def list_with_timeout(
    account: Provider,
    deadline_s: float,
    owner: str | None = None,
    progress: Progress | None = None,
    page_s: float | None = None,
) -> list[PhoneNumber]:
    """Return the account's numbers within the deadline, even from an adapter that does not keep it.

    `owner` is the query's. How far it has come is shown on a terminal, unless the caller looks on
    by a `progress` of its own. With `page_s`, it is given up when no page comes for so long.

    Raises:
        ProviderError: see providers/base/errors.py.
    """
    answer: Future[list[PhoneNumber]] = Future()
    shown, progress = progress is None, progress or Progress()
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
    with progress_line.line() as show:
        while left_s := deadline.left():
            with suppress(TimeoutError):
                return answer.result(min(left_s, progress_line.LOOK_S))
            if shown:
                show(_how_far(account, progress))
    with suppress(TimeoutError):
        return answer.result(GRACE_S)
    raise Unreachable("no answer in time") from None


def _how_far(account: Provider, progress: Progress) -> str:
    of = f" of {progress.total:,}" if progress.total else ""
    gone_s = time.monotonic() - progress.began
    pages = f"page {progress.pages}"
    return f"{account.account}: {progress.numbers:,}{of} numbers, {pages}, {gone_s:.0f} s"
