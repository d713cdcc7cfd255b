"""Microsoft Teams Phone's number assignments, by Microsoft Graph v1.0.

https://learn.microsoft.com/graph/api/teamsadministration-telephonenumbermanagementroot-list-numberassignments
(whose example is not valid; PyPI msgraph-sdk 1.65.0 has the types),
https://learn.microsoft.com/graph/api/user-list and https://learn.microsoft.com/graph/deployments
(all read 2026-11-25)
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from .base import JSON, Page, PhoneNumber, Query, Request, Secret, User, Users, paging
from .base.oauth import OAuthProvider, TokenRequest
from .base.options import wholly
from .base.records import owner_ids

PAGE_SIZE = 1000  # the most it gives

DEFAULT_SIZE = 500
"""What it gives where no size is asked for. A page of as many has perhaps another after it, since
Graph says neither how many there are nor, of this list, whether it sends a next link."""

USERS_SIZE = 999  # the most it gives

ASSIGNED = "userAssigned", "voiceApplicationAssigned"
"""To somebody, or to a queue or attendant: a number that is activated alone rings nowhere."""

ID = wholly(r"[0-9A-Za-z.-]+", "an id or a domain")


class _Reply(msgspec.Struct):
    value: list[JSON]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


class Teams(OAuthProvider):
    name = "teams"
    knows_owners = True
    credentials = (
        "the app registration needs the application permissions TeamsTelephoneNumber.Read.All and "
        "User.ReadBasic.All with admin consent, and a client secret that has not expired"
    )
    base_url = "https://graph.microsoft.com/v1.0"
    oauth_url = "https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/token"
    Reply = UserReply = _Reply
    error_code_at = "error.code", *OAuthProvider.error_code_at
    request_id_at = "error.innerError.request-id"

    class Options(OAuthProvider.Options, frozen=True, kw_only=True):
        tenant_id: Annotated[str, ID, Meta(description="the organisation's, in Microsoft Entra")]
        client_id: Annotated[str, Meta(description="an app registration's, in that tenant")]
        client_secret: Annotated[Secret, Meta(description="that app's; it expires")]

    options: Options

    def token_request(self) -> TokenRequest:
        return TokenRequest(
            {
                "grant_type": "client_credentials",
                "client_id": self.options.client_id,
                "client_secret": self.options.client_secret,
                "scope": "https://graph.microsoft.com/.default",
            }
        )

    def first_page(self, query: Query) -> Request:
        path = "admin/teams/telephoneNumberManagement/numberAssignments"
        return Request(path, {"$top": PAGE_SIZE, "$skip": 0})

    def read_page(self, reply: _Reply) -> Page:
        came = len(reply.value)
        following = paging.offset("$skip", came, full=came >= DEFAULT_SIZE)
        return Page(map(_read, reply.value), paging.link(reply.next_link) or following)

    def first_users(self, email: str | None) -> Request:
        quoted = (email or "").replace("'", "''")
        wanted = f"mail eq '{quoted}' or userPrincipalName eq '{quoted}'" if email else None
        chosen = {"$select": "id,mail,userPrincipalName", "$filter": wanted, "$top": USERS_SIZE}
        return Request("users", chosen)

    def read_users(self, reply: _Reply) -> Users:
        return Users(map(_user, reply.value), paging.link(reply.next_link))


def _user(user: JSON) -> User:
    return User(str(user["id"]), [user.get("mail") or "", user.get("userPrincipalName") or ""])


def _read(number: JSON) -> PhoneNumber:
    status = number.get("assignmentStatus")
    owner = number.get("assignmentTargetId") if status == "userAssigned" else None
    return PhoneNumber(  # it has no name
        number=number.get("telephoneNumber") or "",
        voice=number.get("activationState") == "activated"
        and status in ASSIGNED
        and number.get("portInStatus") in (None, "completed"),
        owners=owner_ids(owner),
    )
