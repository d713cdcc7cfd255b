"""Who a portal's users are, by HubSpot's API: addresses and teams behind a `userId`.

Owners first, for they have everything; then the users of the portal's settings, where that scope is
there; then owners who were deactivated. Read November 2026:
https://developers.hubspot.com/docs/api-reference/latest/crm/owners/guide
https://developers.hubspot.com/docs/api-reference/latest/account/settings/user-provisioning/guide
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from typing import NamedTuple, TypeVar

import msgspec

from .api import API, Send, decode
from .errors import HubSpotRefused, HubSpotUnavailable

PAGE_SIZE, SURE_PAGE_SIZE = 500, 100
"""Owners a page: HubSpot's documentation has no maximum, and 100 is its default."""

OWNERS_SCOPE = "crm.objects.owners.read"

MOST_PAGES = 1_000

T = TypeVar("T")


class Team(msgspec.Struct, frozen=True):
    """A team of a portal. `name` is None where HubSpot gives the id alone."""

    id: str
    name: str | None


class HubSpotUser(msgspec.Struct, frozen=True):
    """A user of a portal, by the id that HubSpot's webhook calls `userId`."""

    id: int
    emails: tuple[str, ...] = ()
    first_name: str = ""
    last_name: str = ""
    teams: tuple[Team, ...] = ()

    @property
    def name(self) -> str:
        """Return first and last name, as far as HubSpot has them."""
        return f"{self.first_name} {self.last_name}".strip()

    def has_address(self, address: str) -> bool:
        """Return whether the address is one of the user's, whatever its case."""
        return address.strip().casefold() in map(str.casefold, self.emails)


class _Team(msgspec.Struct):
    id: int | str
    name: str | None = None


class _Person(msgspec.Struct, rename="camel"):
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None

    def as_user(self, user_id: int | str | None, teams: tuple[Team, ...]) -> HubSpotUser | None:
        """The user, if that is an id."""
        if not str(user_id).isdecimal():
            return None
        email = (self.email or "").strip()
        first, last = (self.first_name or "").strip(), (self.last_name or "").strip()
        return HubSpotUser(int(user_id or 0), (email,) if email else (), first, last, teams)


class _Owner(_Person):
    type: str | None = "PERSON"
    user_id: int | str | None = None
    user_id_including_inactive: int | str | None = None
    teams: list[_Team] | None = None

    def user(self) -> HubSpotUser | None:
        """The person, if it is one: an owner may be a queue."""
        user_id = self.user_id or self.user_id_including_inactive
        teams = tuple(Team(str(team.id), team.name) for team in self.teams or ())
        return None if self.type == "QUEUE" else self.as_user(user_id, teams)


class _SettingsUser(_Person, kw_only=True):
    id: int | str
    primary_team_id: int | str | None = None
    secondary_team_ids: list[int | str] | None = None

    def team_ids(self) -> list[str]:
        """The ids of the user's teams."""
        ids = [self.primary_team_id, *(self.secondary_team_ids or ())]
        return [str(team_id) for team_id in ids if team_id is not None]


class _Next(msgspec.Struct):
    after: int | str | None = None


class _Paging(msgspec.Struct):
    next: _Next | None = None


class _Page(msgspec.Struct):
    results: list[msgspec.Raw]
    paging: _Paging | None = None

    def after(self) -> str:
        """The cursor of the next page, empty at the end."""
        following = self.paging.next if self.paging else None
        return str(following.after or "") if following else ""


class UsersPage(NamedTuple):
    """A part of a portal's users; `after` is the cursor of the next one, empty at the end."""

    users: list[HubSpotUser]
    after: str


class UnknownCursor(ValueError):
    """HubSpot does not take the cursor that a list was to go on with."""


class UsersAPI:
    """HubSpot's users, found with a token of their portal. One serves all portals.

    Each method raises HubSpotUnavailable and HubSpotRefused.
    """

    def __init__(self) -> None:
        self._owners = API("/crm/owners", OWNERS_SCOPE)
        self._settings = API("/settings/users", "settings.users.read")

    def find(self, send: Send, token: str, user_id: int) -> HubSpotUser | None:
        """Return the user of the token's portal, or None if HubSpot knows nobody by that id."""
        refused = None
        try:
            if user := self._find_owner(send, token, user_id, archived=False):
                return user
        except HubSpotRefused as error:
            refused = _of_a_scope(error)
        try:
            answer = self._settings.get(send, token, f"/{user_id}", {})
        except HubSpotRefused:  # most tokens have no scope for it
            if refused:
                raise refused from None
            answer = None
        if answer:
            found = decode(answer.body, _SettingsUser)
            names = partial(self._team_names, send, token)
            return _asked_for(user_id, _with_teams(found, names))
        return None if refused else self._find_owner(send, token, user_id, archived=True)

    def pages(
        self, send: Send, token: str, after: str = "", size: int = PAGE_SIZE
    ) -> Iterator[UsersPage]:
        """Yield all active users of the token's portal, page by page; with `after`, what follows
        that cursor, or UnknownCursor is raised."""
        wanted = {"after": after} if after else {}
        try:
            for page in self._pages(send, token, self._owners, size, archived="false", **wanted):
                owners = (owner.user() for owner in _readable(page.results, _Owner))
                yield UsersPage([*filter(None, owners)], page.after())
            return
        except HubSpotRefused as error:
            refused = _of_a_scope(error)
        names = cache(partial(self._team_names, send, token))
        try:
            for page in self._pages(send, token, self._settings, size, **wanted):
                found = _readable(page.results, _SettingsUser)
                users = (_with_teams(user, names) for user in found)
                yield UsersPage([*filter(None, users)], page.after())
        except HubSpotRefused:
            raise refused from None

    def find_by_email(self, send: Send, token: str, email: str) -> HubSpotUser | None:
        """Return the active user with this address, whatever its case, or None."""
        with suppress(HubSpotRefused):  # of this scope alone, perhaps: `pages` finds out
            answer = self._owners.get(send, token, "", {"email": email, "archived": "false"})
            records = decode(answer.body, _Page).results if answer else []
            for owner in _readable(records, _Owner):
                if (user := owner.user()) and user.has_address(email):
                    return user
        users = (user for page in self.pages(send, token) for user in page.users)
        return next((user for user in users if user.has_address(email)), None)

    def _find_owner(
        self, send: Send, token: str, user_id: int, *, archived: bool
    ) -> HubSpotUser | None:
        wanted = {"idProperty": "userId", "archived": str(archived).lower()}
        answer = self._owners.get(send, token, f"/{user_id}", wanted)
        return _asked_for(user_id, decode(answer.body, _Owner).user()) if answer else None

    def _team_names(self, send: Send, token: str) -> dict[str, str | None]:
        """The names of the portal's teams by id, if the token may read them."""
        with suppress(HubSpotRefused):  # settings.users.teams.read
            if answer := self._settings.get(send, token, "/teams", {}):
                teams = _readable(decode(answer.body, _Page).results, _Team)
                return {str(team.id): team.name for team in teams}
        return {}

    def _pages(self, send: Send, token: str, api: API, size: int, **wanted: str) -> Iterator[_Page]:
        seen, given = {""}, wanted.get("after")
        for _ in range(MOST_PAGES):
            params = {"limit": str(size), **wanted}
            may_be_400 = size > SURE_PAGE_SIZE or bool(given and wanted["after"] == given)
            answer = api.get(send, token, "", params, may_be_400=may_be_400)
            if answer is None or answer.status == 400:
                if size <= SURE_PAGE_SIZE:
                    raise UnknownCursor
                size = SURE_PAGE_SIZE
                continue
            page = decode(answer.body, _Page)
            yield page
            wanted["after"] = page.after()
            if not wanted["after"]:
                return
            if wanted["after"] in seen:
                break
            seen.add(wanted["after"])
        raise HubSpotUnavailable("HubSpot's list of users has no end")


def _with_teams(
    found: _SettingsUser, names: Callable[[], dict[str, str | None]]
) -> HubSpotUser | None:
    """The user, with the names of the teams as far as they can be had."""
    ids = found.team_ids()
    known = names() if ids else {}
    return found.as_user(found.id, tuple(Team(each, known.get(each)) for each in ids))


def _of_a_scope(error: HubSpotRefused) -> HubSpotRefused:
    """The refusal, if it is for want of a scope, in place of which another may do."""
    if not error.scopes:
        raise error
    return error


def _asked_for(user_id: int, user: HubSpotUser | None) -> HubSpotUser | None:
    """The user; HubSpotUnavailable if it is another: whose numbers that one sees is not this
    one's business."""
    if user and user.id != user_id:
        raise HubSpotUnavailable(
            "HubSpot answered with another user than asked for", of_one_user=True
        )
    return user


def _readable(records: list[msgspec.Raw], kind: type[T]) -> Iterator[T]:
    """The records of a list that can be read: an odd one does not cost the others."""
    for record in records:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield msgspec.json.decode(record, type=kind)
