"""What a lookup needs to be told: the directory in force, and who a user is."""

from typing import Protocol

from helpdesk_numbers.directory.model import Directory
from providers.base.provider import Deadline

from .result import Who


class DirectorySource(Protocol):
    """Where the lookup finds the directory in force: a file or text, an account, a database."""

    def of(self, portal_id: int) -> Directory:
        """Return the directory in force now, as far as it is about this portal."""


class Users(Protocol):
    """Who a portal's users are: a `Resolver` (helpdesk_numbers/users)."""

    def remembered(self, directory: Directory, portal_id: int, user_id: int) -> Who | None:
        """Return who that is, if nobody needs to be waited for.

        Raises:
            LookupFailed: it cannot be known now: see hubspot/errors.py.
        """

    def resolve(
        self, directory: Directory, portal_id: int, user_id: int, deadline: Deadline
    ) -> Who:
        """Return who that is by the deadline.

        Raises:
            LookupFailed: see hubspot/errors.py.
        """
