"""A portal's users, for a command or an administrator, who wait longer than a request does."""

from collections.abc import Iterator, Mapping

from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.settings import Settings
from hubspot.api import Answer
from hubspot.users import PAGE_SIZE, HubSpotUser, UsersAPI, UsersPage
from providers.base.provider import Deadline

from .asking import NoToken, sender, tokens

QUESTION_S = 20.0
"""What HubSpot gets for each answer; a request has LOOKUP_DEADLINE."""


class People:
    """HubSpot's users of one portal. All of it raises LookupFailed."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory | None,
        portal_id: int,
        deadline: Deadline | None = None,
    ) -> None:
        """Where no directory is, the token is that of HUBSPOT_PORTAL_TOKEN. All answers are due by
        the deadline; without one, each in QUESTION_S."""
        token = settings.hubspot_portal_token
        if directory:
            token = tokens(settings.only_token)(directory, portal_id)
        if not token:
            raise NoToken(portal_id)
        self._token: str = token
        self._send_by = sender(settings.hubspot_api_base_url)
        self._api, self._deadline = UsersAPI(), deadline

    def find_by_email(self, email: str) -> HubSpotUser | None:
        """Return the portal's active user with this address, None if there is none."""
        return self._api.find_by_email(self._send, self._token, email)

    def all(self) -> Iterator[HubSpotUser]:
        """Yield all active users of the portal."""
        for page in self._api.pages(self._send, self._token):
            yield from page.users

    def page(self, after: str, most: int) -> UsersPage:
        """Return the active users that follow a cursor, empty at the begin, as far as HubSpot gives
        them at once; raises UnknownCursor."""
        return next(self._api.pages(self._send, self._token, after, min(most, PAGE_SIZE)))

    def _send(self, target: str, headers: Mapping[str, str]) -> Answer:
        return self._send_by(self._deadline or Deadline(QUESTION_S))(target, headers)
