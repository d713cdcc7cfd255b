"""The client for users against mocks of HubSpot's own descriptions of owners and settings users."""

from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from helpdesk_numbers.users.asking import sender
from hubspot.api import Answer, Send
from hubspot.errors import LookupFailed
from hubspot.users import HubSpotUser, Team, UsersAPI
from providers.base import listing
from providers.base.provider import Deadline

TOKEN = "a-token-of-tests"
TEAMS = {"hubspot-owners": Team("368389", "Support"), "hubspot-users": Team("1", "Support")}
DESCRIPTIONS = "hubspot-owners-2026-09", "hubspot-owners-2026-03", "hubspot-users-2026-03"
QUESTIONS: Mapping[str, Callable[[Send], object]] = {
    "a user by id": lambda send: UsersAPI().find(send, TOKEN, 1001),
    "all users": lambda send: next(UsersAPI().pages(send, TOKEN)).users[0],
    "a user by address": lambda send: UsersAPI().find_by_email(send, TOKEN, "A@example.com"),
}


def rows(name: str, url: str, log: Path) -> list[list[str]]:
    """What came of each question to the mock of a description."""
    send = sender(url)(Deadline(30))

    def without_owners(target: str, headers: Mapping[str, str]) -> Answer:
        """As a token that may not read owners has it: so the settings are asked."""
        if target.startswith("/crm/owners"):
            return listing.Answer(403, [], b"{}")
        return send(target, headers)

    asked = without_owners if "users" in name else send
    team = TEAMS[name.rpartition("-20")[0]]
    expected = HubSpotUser(1001, ("a@example.com",), "A", "Example", (team,))
    found = []
    for question, ask in QUESTIONS.items():
        try:
            user = ask(asked)
        except LookupFailed as error:
            user = error
        found.append([name, question, "token", "ok" if user == expected else repr(user)])
    seen = "none" if "iolation" not in log.read_text() else log.read_text()
    found.append([name, "violations reported", "", "ok" if seen == "none" else seen])
    path = ("/crm/owners/" if "owners" in name else "/settings/users/") + name[-7:]
    wrong = requests.get(f"{url}{path}?limit=many", timeout=10)
    refused = not wrong.ok and "iolation" in log.read_text()
    found.append([name, "(wrong on purpose)", "", "ok" if refused else wrong.text])
    return found
