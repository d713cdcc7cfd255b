"""How the commands ask HubSpot about a portal's users."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import click

from helpdesk_numbers.service import Service
from helpdesk_numbers.settings import ConfigurationError
from helpdesk_numbers.users.asking import no_token, sender, tokens
from hubspot.api import Answer, Send
from hubspot.errors import HubSpotRefused, LookupFailed
from hubspot.users import HubSpotUser, UsersAPI
from providers.base.provider import Deadline

from .output import with_remedy

QUESTION_S = 20.0
"""What HubSpot gets for an answer; a request has LOOKUP_DEADLINE."""

T = TypeVar("T")


def in_words(error: LookupFailed) -> str:
    """Return what went wrong with asking HubSpot, and what to do about it."""
    return with_remedy(str(error), error.remedy if isinstance(error, HubSpotRefused) else "")


class Asker:
    """HubSpot's users of one portal. Its methods raise ClickException, with what to do."""

    def __init__(self, service: Service, portal_id: int) -> None:
        settings = service.settings
        self._send_by = sender(settings.hubspot_api_base_url)
        self._api = UsersAPI()
        try:
            token = tokens(settings.hubspot_portal_token)(
                service.directory.of(portal_id), portal_id
            )
        except ConfigurationError:  # a command may run where no directory is
            token = settings.hubspot_portal_token
        if not token:
            raise click.ClickException(in_words(no_token(portal_id)))
        self._token: str = token

    def find_by_email(self, email: str) -> HubSpotUser:
        """Return the portal's user with this address."""
        found = self._ask(lambda send: self._api.find_by_email(send, self._token, email))
        if found is None:
            raise click.ClickException(f"HubSpot has no active user {email} in this portal")
        return found

    def all(self) -> Iterator[HubSpotUser]:
        """Yield all active users of the portal."""

        def send(target: str, headers: Mapping[str, str]) -> Answer:
            return self._send_by(Deadline(QUESTION_S))(target, headers)

        pages = self._api.pages(send, self._token)
        while page := self._ask(lambda _: next(pages, None)):
            yield from page

    def _ask(self, question: Callable[[Send], T]) -> T:
        try:
            return question(self._send_by(Deadline(QUESTION_S)))
        except LookupFailed as error:
            raise click.ClickException(in_words(error)) from None


def user_id_of(service: Service, portal_id: int, user_id: int | None, address: str | None) -> int:
    """Return the id of the user that --user-id or --user names; UsageError unless one does."""
    if (user_id is None) == (address is None):
        raise click.UsageError("give --user-id or --user, and not both")
    return user_id or Asker(service, portal_id).find_by_email(address or "").id
