"""A resolver of users to ask, with a clock that the test sets."""

from collections.abc import Callable

from helpdesk_numbers.directory.model import OWN, Directory, Portal
from helpdesk_numbers.lookup.result import Who
from helpdesk_numbers.users.asking import sender, tokens
from helpdesk_numbers.users.resolver import Resolver
from providers.base.options import Secret
from providers.base.provider import Deadline
from tests.support.clock import Clock
from tests.support.hubspot_users import TOKEN

PORTAL = 62515


def directory_of(token: str | None = TOKEN, *portal_ids: int) -> Directory:
    """Portals whose users see their own numbers, by this token."""
    secret = token and Secret(token)
    ids = portal_ids or (PORTAL,)
    return Directory({}, {portal_id: Portal((), OWN, token=secret or None) for portal_id in ids})


class Asking:
    """A resolver with a clock of its own, whose background work the test lets run."""

    def __init__(self, url: str, directory: Directory, only: str | None = None) -> None:
        self.clock, self.later = Clock(), list[Callable[[], None]]()
        self.directory = directory
        self.resolver = Resolver(
            sender(url),
            tokens(Secret(only) if only else None),
            self.later.append,
            clock=self.clock,
        )

    def __call__(self, user_id: int = 1, portal_id: int = PORTAL, seconds: float = 10) -> Who:
        known = self.resolver.remembered(self.directory, portal_id, user_id)
        return known or self.resolver.resolve(self.directory, portal_id, user_id, Deadline(seconds))

    def run_background(self) -> None:
        """Do what was left for later."""
        while self.later:
            self.later.pop()()


def emails(who: Who) -> tuple[str, ...]:
    """The addresses of who that is."""
    return who.user.emails if who.user else ()
