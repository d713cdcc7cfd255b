"""How a command lists an account's numbers, whatever the adapter does."""

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
    answers: list[list[PhoneNumber] | ProviderError] = []

    def call() -> None:
        try:
            answers.append(account.ask(Query(owner=owner, deadline=Deadline(deadline_s))))
        except ProviderError as error:
            answers.append(error)

    # Not in an executor's thread: Python would wait for that at its end, and so for an adapter
    # that hangs. A daemon is left behind.
    thread = Thread(target=call, daemon=True)
    thread.start()
    thread.join(deadline_s + GRACE_S)
    answer = answers[0] if answers else Unreachable("no answer in time")
    if isinstance(answer, ProviderError):
        raise answer
    return answer
