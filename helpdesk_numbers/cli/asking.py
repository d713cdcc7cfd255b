"""How a command asks an account for its numbers."""

from queue import Empty, SimpleQueue
from threading import Thread

from providers import Deadline, PhoneNumber, Provider, ProviderError, Query
from providers.base.errors import Unreachable

GRACE_S = 0.5
"""What an adapter gets beyond the deadline to say itself what went wrong."""


def ask(account: Provider, deadline_s: float, owner: str | None = None) -> list[PhoneNumber]:
    """The account's numbers within the deadline, even from an adapter that does not keep it.

    `owner` is the query's.

    Raises:
        ProviderError: see providers/base/errors.py.
    """
    answers: SimpleQueue[list[PhoneNumber] | ProviderError] = SimpleQueue()

    def call() -> None:
        try:
            answers.put(account.ask(Query(owner=owner, deadline=Deadline(deadline_s))))
        except ProviderError as error:
            answers.put(error)

    # By hand, for it has to be a daemon: Python waits at its end for the threads of an executor,
    # and so for an adapter that hangs.
    Thread(target=call, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline_s + GRACE_S)
    except Empty:
        answer = Unreachable("no answer in time")
    if isinstance(answer, ProviderError):
        raise answer
    return answer
