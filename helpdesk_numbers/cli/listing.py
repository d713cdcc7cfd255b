"""How a command lists an account's numbers: on a terminal, how far it has come is shown."""

import time

from helpdesk_numbers import listing
from providers import PhoneNumber, Provider
from providers.base.provider import Progress

from . import progress as progress_line


def list_with_timeout(
    account: Provider,
    deadline_s: float,
    owner: str | None = None,
    progress: Progress | None = None,
    page_s: float | None = None,
) -> list[PhoneNumber]:
    """Return the account's numbers, as helpdesk_numbers/listing.py does.

    How far it has come is shown, unless the caller looks on by a `progress` of its own.
    """
    with progress_line.line() as show:

        def looked(far: Progress) -> None:
            if progress is None:
                show(_how_far(account, far))

        return listing.list_with_timeout(
            account, deadline_s, owner, progress, page_s, looked, progress_line.LOOK_S
        )


def _how_far(account: Provider, progress: Progress) -> str:
    of = f" of {progress.total:,}" if progress.total else ""
    gone_s = time.monotonic() - progress.began
    pages = f"page {progress.pages}"
    return f"{account.account}: {progress.numbers:,}{of} numbers, {pages}, {gone_s:.0f} s"
