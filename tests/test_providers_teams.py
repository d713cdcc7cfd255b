"""Microsoft Teams Phone: the contract, and what only Teams does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from providers.base.options import Problems, build
from providers.base.provider import PhoneNumber, Query
from providers.teams import Teams
from providers.testing import ABSENT, Asked, ByLink, ByOffset, OAuthContract, Paging, Reply

DATA = Path(__file__).parent / "data" / "teams"
ANNA = "22ed44ab-7759-4649-818e-6af3242dbc5d"
NEXT_LINK = r"@odata\.nextLink"
TENANT = "00000000-0000-4000-8000-0000000000bb"


def documented(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())["body"]


class TestTeams(OAuthContract):
    provider = Teams
    options = {
        "tenant_id": TENANT,
        "client_id": "the-app",
        "client_secret": "not-a-real-secret",
    }
    authorization = ""
    form = {
        "grant_type": "client_credentials",
        "client_id": "the-app",
        "client_secret": "not-a-real-secret",
        "scope": "https://graph.microsoft.com/.default",
    }
    path = "/v1.0/admin/teams/telephoneNumberManagement/numberAssignments"
    host = "https://graph.microsoft.com"
    documented = documented("numbers")
    list_at, number_at = "value", "telephoneNumber"
    paging: ClassVar[Paging] = ByOffset(offset="$skip", size="$top", default=500, largest=1000)
    unusable = [
        *({"activationState": state} for state in ("assignmentPending", "updateFailed", None)),
        *({"assignmentStatus": status} for status in ("unassigned", "conferenceAssigned", None)),
        {"portInStatus": "submitted"},
    ]
    users_at, email_at = "value", "mail"
    users_paging = ByLink(at=NEXT_LINK, last=ABSENT, absolute=True, largest=999)
    users = {"a@acme.example": [ANNA], "A@Acme.example": [ANNA]}
    expected = [
        PhoneNumber("+12025550143", owners=(ANNA,)),
        PhoneNumber("+12025550144", voice=False),
    ]

    def other(self, asked: Asked) -> Reply:
        if asked.path != "/v1.0/users":
            return super().other(asked)
        assert asked.params["$select"] == "id,mail,userPrincipalName"
        wanted = asked.params.get("$filter", "'a@acme.example'").casefold()
        found = [user for user in documented("users")["value"] if f"'{user['mail']}'" in wanted]
        return Reply({"value": found})

    def test_tokens_come_from_the_tenant(self) -> None:
        assert self.token_path == f"/{TENANT}/oauth2/v2.0/token"
        self.account().ask(Query())
        assert self.tokens_asked() == 1

    @pytest.mark.parametrize("tenant", ["acme.example/..", "", "a b", "{client_secret}"])
    def test_what_is_no_tenant_is_refused(self, tenant: str) -> None:
        problems = Problems()
        assert build(Teams.Options, self.options | {"tenant_id": tenant}, problems) is None
        assert [line for line in problems.lines if line.startswith("tenant_id")]

    def test_a_page_made_smaller_without_a_word_loses_nothing(self) -> None:
        """As where `$top` is not taken."""
        self.paging = ByOffset(offset="$skip", largest=500)  # type: ignore[misc]
        self.listed = [self.make(index) for index in range(1001)]
        assert len(self.account().ask(Query())) == 1001
        assert [asked.params["$skip"] for asked in self.listings()] == ["0", "500", "1000"]

    def test_a_quote_in_an_address_is_doubled(self) -> None:
        self.account().ask(Query(owner="o'brien@acme.example"))
        (users,) = [asked for asked in self.carrier.asked if asked.path == "/v1.0/users"]
        quoted = "'o''brien@acme.example'"
        assert users.params["$filter"] == f"mail eq {quoted} or userPrincipalName eq {quoted}"

    def test_a_user_without_mail_is_known_by_the_sign_in_name(self) -> None:
        user = documented("users")["value"][0] | {"mail": None}
        self.spoil = lambda asked: Reply({"value": [user]}) if asked.path == "/v1.0/users" else None
        (number, _) = self.account().ask(Query(owner="a@acme.example"))
        assert "a@acme.example" in number.owners

    def test_what_rings_at_a_queue_takes_calls_and_has_no_owner(self) -> None:
        changes = {"assignmentStatus": "voiceApplicationAssigned", "portInStatus": "completed"}
        self.listed = [self.make(0) | changes]
        (number,) = self.account().ask(Query(owner="a@acme.example"))
        assert (number.voice, number.owners) == (True, ())


@dataclass(frozen=True, kw_only=True)
class ByLinkOrOffset(ByLink):
    """As Graph's other lists: with a link, and by `$skip` as well."""

    def start(self, params: Mapping[str, str], size: int) -> int:
        return int(params.get("from-token", params.get("$skip", 0)))

    def fewest(self, total: int) -> int:
        """A full page without a link may be all, or from a carrier that sends none."""
        return super().fewest(total) + (total == self.largest)


class TestTeamsWithLinks(TestTeams):
    """Should this list have next links, as Graph's other lists do."""

    paging = ByLinkOrOffset(at=NEXT_LINK, last=ABSENT, absolute=True, size="$top", largest=1000)

    def test_a_page_made_smaller_without_a_word_loses_nothing(self) -> None:
        """Links lead on, whatever the page's size; the last page is full, and has none."""
        self.listed = [self.make(index) for index in range(2000)]
        assert len(self.account().ask(Query())) == 2000
        assert len(self.listings()) == 2
