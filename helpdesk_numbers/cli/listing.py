"""How a command lists an account's numbers, whatever the adapter does."""

from concurrent.futures import Future
from threading import Thread

from providers import Deadline, PhoneNumber, Provider, ProviderError, Query
from providers.base.errors import Unreachable

GRACE_S = 0.5
"""What an adapter gets beyond the deadline to say itself what went wrong."""


def list_with_timeout(
    account: Provider, deadline_s: float, owner: str | None = None
) -> list[PhoneNumber]:
    """Return the account's numbers within the deadline, even from an adapter that does not keep it.

    `owner` is the query's.

    Raises:
        ProviderError: see providers/base/errors.py.
    """
    answer: Future[list[PhoneNumber]] = Future()

    def call() -> None:
        try:
            answer.set_result(account.ask(Query(owner=owner, deadline=Deadline(deadline_s))))
        except ProviderError as error:
            answer.set_exception(error)

    # Not in an executor's thread: Python would wait for that at its end, and so for an adapter
    # that hangs. A daemon is left behind.
    Thread(target=call, daemon=True).start()
    try:
        return answer.result(deadline_s + GRACE_S)
    except TimeoutError:
        raise Unreachable("no answer in time") from None
