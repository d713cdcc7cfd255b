"""What `flask check` finds about who is asking: portals' tokens, and rules for owners."""

import time
from collections.abc import Iterator
from functools import partial

import providers
from helpdesk_numbers.directory.model import Directory, Portal
from helpdesk_numbers.users.asking import NoToken, SendBy, sender, tokens
from helpdesk_numbers.users.people import QUESTION_S
from hubspot.api import HOW
from hubspot.errors import HubSpotRefused, HubSpotUnavailable, LookupFailed
from hubspot.private_app import PREFIX, fetch_token_info
from hubspot.users import OWNERS_SCOPE, UsersAPI
from providers import Provider
from providers.base.provider import Deadline

from .checks import Check, Finding, Subject


def user_checks(directory: Directory, portal_id: int | None = None) -> list[Check]:
    """Return a check for each portal, or the one, that asks HubSpot who its users are."""
    return [
        (partial(_portal, number), (f"portals.{number}.token",))
        for number, portal in directory.portals.items()
        if portal_id in (None, number) and (portal.asks or portal.token)
    ]


def _portal(portal_id: int, subject: Subject) -> Iterator[Finding]:
    directory = subject.directory()
    portal, name = directory.portals[portal_id], f"portals.{portal_id}"
    yield from _own(name, directory, portal)
    settings = subject.service.settings
    try:
        token = tokens(settings.only_token)(directory, portal_id)
        if not token:
            raise NoToken(portal_id)
    except HubSpotRefused as error:
        yield Finding(f"{name}.token", False, str(error), error.remedy)
        return
    except HubSpotUnavailable as error:
        remedy = "start the service, which refreshes it; its log says why it cannot"
        yield Finding(f"{name}.token", False, str(error), remedy)
        return
    subject.need_network()
    base_url, scopes = settings.hubspot_api_base_url, ""
    if token.startswith(PREFIX):
        try:
            info = fetch_token_info(base_url, token)
        except HubSpotUnavailable:
            info = None  # the look-up below says more
        if info and info.hub_id != portal_id:
            text = f"it is the token of portal {info.hub_id}"
            remedy = f"copy the token of the app in this portal: {HOW}"
            yield Finding(f"{name}.token", False, text, remedy)
            return
        if info and OWNERS_SCOPE not in info.scopes:
            text, remedy = f"it lacks the scope {OWNERS_SCOPE}", f"give it to the app: {HOW}"
            yield Finding(f"{name}.token", False, text, remedy)
            return
        scopes = f", with {', '.join(info.scopes)}" if info else ""
    yield _one_user(f"{name}.token", sender(base_url), token, scopes)


def _one_user(name: str, send_by: SendBy, token: str, scopes: str) -> Finding:
    """Whether HubSpot names the portal's users, and finds one of them by id."""
    send, api = send_by(Deadline(QUESTION_S)), UsersAPI()
    try:
        users = next(api.pages(send, token)).users
        if not users:
            return Finding(name, None, "HubSpot has no users in this portal")
        began = time.perf_counter()
        found = api.find(send, token, users[0].id)
        ms = (time.perf_counter() - began) * 1000
    except HubSpotRefused as error:
        return Finding(name, False, str(error), error.remedy)
    except LookupFailed as error:
        return Finding(name, False, str(error), "try again; https://status.hubspot.com")
    if not found:
        return Finding(name, False, f"HubSpot does not find user {users[0].id}, whom it lists", HOW)
    return Finding(name, True, f"HubSpot finds user {found.id} in {ms:.0f} ms{scopes}")


def _may_know_owners(account: Provider) -> bool:
    """Whether numbers may have owners; of an adapter that is not ours, they may."""
    return account.knows_owners or account.name not in providers.BUILT_IN


def _own(name: str, directory: Directory, portal: Portal) -> Iterator[Finding]:
    """Rules for the asking user's numbers that can match none."""
    for place, rule in portal.rules_by_place():
        names = rule.accounts if rule.accounts is not None else portal.accounts
        accounts = [directory.accounts[each] for each in names]
        own_alone = rule.is_own and not rule.unowned
        if own_alone and not any(map(_may_know_owners, accounts)):
            kinds = ", ".join(sorted({account.name for account in accounts})) or "none"
            text = f"no number can be a user's own: its accounts ({kinds}) know no owners"
            remedy = "write rules by name or number: docs/who-sees-what.md has all kinds"
            yield Finding(f"{name}.{place}", False, text, remedy)
