"""HubSpot's owners and settings users to test against: a real HTTP server with HubSpot's behaviour.

Facts: owners are found by `idProperty=userId`; an archived one has `userId: null`; ids of settings
users are text; an owner may be a queue; a portal that is moved answers 477.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from providers.testing.carrier import Asked, Carrier, Fault, Reply
from tests.support.hubspot_api import refusal

TOKEN = "pat-na1-token-of-tests"
EXPIRED = "pat-na1-expired-token-of-tests"
OWNERS_SCOPE, SETTINGS_SCOPE = "crm.objects.owners.read", "settings.users.read"
TEAMS_SCOPE = "settings.users.teams.read"
_PATH = re.compile(r"/(crm/owners|settings/users)/([\w-]+)(?:/(\w+))?")


@dataclass
class Person:
    """A user of the portal; `owner` is whether HubSpot has made an owner of them."""

    id: int
    email: str | None
    teams: tuple[tuple[str, str], ...] = ()
    name: tuple[str, str] = ("Anna", "Example")
    archived: bool = False
    owner: bool = True
    type: str = "PERSON"


def email_of(user_id: int) -> str:
    """The address of a user of tests."""
    return f"user-{user_id}@acme.example"


def people(ids: Iterable[int]) -> list[Person]:
    """Users without teams."""
    return [Person(user_id, email_of(user_id)) for user_id in ids]


class HubSpotUsers(Carrier):
    """The server, for one portal.

    `then` holds what comes before the true replies, `always` what comes in place of them;
    `generations` are those of the API that are there, by family; `most` is the largest page.
    """

    def __init__(self, *persons: Person, delay_s: float = 0.0) -> None:
        self.persons = list(persons)
        self.delay_s, self.token = delay_s, TOKEN
        self.scopes = {OWNERS_SCOPE}
        self.generations = {
            "crm/owners": {"2026-09", "2026-03"},
            "settings/users": {"2026-03"},
        }
        self.most = 500
        self.ids_as_text = False
        self.token_info: Any = None
        self.then: list[Reply | Fault] = []
        self.always: Reply | Fault | None = None
        super().__init__(self._reply_to)

    def lookups(self) -> list[Asked]:
        """The requests for a single user."""
        return [asked for asked in self.asked if re.search(r"/\d+(\?|$)", asked.target)]

    def takes(self, token: str) -> bool:
        """Whether it is a token of the portal."""
        return token == self.token

    def _reply_to(self, asked: Asked) -> Reply | Fault:
        if self.delay_s:
            time.sleep(self.delay_s)
        if self.then:
            return self.then.pop(0)
        if self.always:
            return self.always
        if asked.path == "/oauth/v2/private-apps/get/access-token-info":
            known = asked.payload["tokenKey"] == TOKEN
            unknown = Reply({"status": "error"}, 400 if self.token_info else 404)
            return Reply(self.token_info) if self.token_info and known else unknown
        found = _PATH.fullmatch(asked.path)
        if not found or found[2] not in self.generations[found[1]]:
            return Reply(b"<html><body>404 Not found</body></html>", 404)
        token = (asked.headers["Authorization"] or "").removeprefix("Bearer ")
        if token == EXPIRED:
            said = "The OAuth token used to make this call expired 2 hour(s) ago."
            return refusal(401, said, "EXPIRED_AUTHENTICATION")
        if not self.takes(token):
            return refusal(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        owners = found[1] == "crm/owners"
        scope = OWNERS_SCOPE if owners else TEAMS_SCOPE if found[3] == "teams" else SETTINGS_SCOPE
        if scope not in self.scopes:
            said = "This app hasn't been granted all required scopes to make this call."
            context = {"requiredGranularScopes": [scope]}
            errors = [{"message": "One or more scopes are required.", "context": context}]
            return refusal(403, said, "MISSING_SCOPES", errors=errors)
        if owners:
            return self._owners(asked, found[3])
        return self._settings(asked, found[3])

    def _owners(self, asked: Asked, key: str | None) -> Reply:
        archived = asked.params.get("archived") == "true"
        listed = [p for p in self.persons if p.owner and p.archived == archived]
        if key is None:
            if wanted := asked.params.get("email"):
                listed = [person for person in listed if person.email == wanted]
            return self._page(asked, [self._owner(person) for person in listed])
        by_user = asked.params.get("idProperty") == "userId"
        for person in listed:
            if str(person.id if by_user else self._owner(person)["id"]) == key:
                return Reply(self._owner(person))
        return refusal(404, "resource not found", "OBJECT_NOT_FOUND")

    def _settings(self, asked: Asked, key: str | None) -> Reply:
        listed = [p for p in self.persons if not p.archived and p.type == "PERSON"]
        if key == "teams":
            teams = {team: name for person in listed for team, name in person.teams}
            made = [{"id": t, "name": n, "userIds": [], "secondaryUserIds": []}
                    for t, n in teams.items()]  # fmt: skip
            return Reply({"results": made})
        if key is None:
            return self._page(asked, [self._settings_user(person) for person in listed])
        for person in listed:
            if str(person.id) == key:
                return Reply(self._settings_user(person))
        return refusal(404, "User not found", "OBJECT_NOT_FOUND")

    def _page(self, asked: Asked, records: list[Any]) -> Reply:
        size, after = int(asked.params.get("limit", 100)), asked.params.get("after", "0")
        if not after.isdecimal():
            return refusal(400, "after is no cursor of this list", "VALIDATION_ERROR")
        start = int(after)
        if size > self.most:
            return refusal(400, "limit is too large", "VALIDATION_ERROR")
        paging = {}
        if start + size < len(records):
            paging = {"paging": {"next": {"after": str(start + size), "link": "?"}}}
        return Reply({"results": records[start : start + size], **paging})

    def _owner(self, person: Person) -> dict[str, Any]:
        user_id: int | str = str(person.id) if self.ids_as_text else person.id
        return {
            "id": str(40_000_000 + person.id),
            "email": person.email,
            "type": person.type,
            "firstName": person.name[0],
            "lastName": person.name[1],
            "userId": None if person.archived else user_id,
            "userIdIncludingInactive": user_id,
            "createdAt": "2019-12-25T13:01:35.228Z",
            "updatedAt": "2023-08-22T13:40:26.790Z",
            "archived": person.archived,
            **(
                {"teams": [{"id": t, "name": n, "primary": True} for t, n in person.teams]}
                if person.teams
                else {}
            ),
        }

    def _settings_user(self, person: Person) -> dict[str, Any]:
        return {
            "id": str(person.id),
            "email": person.email,
            "firstName": person.name[0],
            "lastName": person.name[1],
            "roleIds": [],
            "superAdmin": False,
            **({"primaryTeamId": person.teams[0][0]} if person.teams else {}),
            "secondaryTeamIds": [team for team, _ in person.teams[1:]],
        }
