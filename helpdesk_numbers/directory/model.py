"""Which accounts serve a portal, and which of their numbers each user may see."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from providers.base.provider import Provider


class DirectoryRefused(Exception):
    """The directory file has so many faults, and no earlier directory may stand in."""

    def __init__(self, faults: int) -> None:
        super().__init__(
            f"The directory file has {faults} fault(s). Until it has none, nobody sees a number."
            " The log line directory_refused names them."
        )


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user may see. None means no limit; all limits given must hold."""

    numbers: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    owner: str | None = None
    accounts: tuple[str, ...] | None = None


class Grant(msgspec.Struct, frozen=True):
    """One account, under one rule."""

    account: Provider
    rule: Rule


class Portal(msgspec.Struct, frozen=True):
    """A portal's accounts in order, its users' rules, and whether the other users see all."""

    accounts: tuple[str, ...]
    users: Literal["all", "none"] = "all"
    rules: Mapping[int, Rule] = {}


Viewer = tuple[int | None, int | None]
"""Portal and user, as far as a directory knows them."""


class Directory:
    """Accounts by name and portals by id, all of them good."""

    def __init__(self, accounts: Mapping[str, Provider], portals: Mapping[int, Portal]) -> None:
        self.accounts = accounts
        self.portals = portals

    def viewer(self, portal_id: int, user_id: int) -> Viewer:
        """Return portal and user as far as the directory knows them: equal viewers see the same."""
        portal = self.portals.get(portal_id)
        if portal is None:
            return None, None
        return portal_id, user_id if user_id in portal.rules else None

    def grants(self, portal_id: int, user_id: int) -> tuple[list[Grant], str]:
        """Return what the user may see, in the portal's order, and why in words."""
        portal = self.portals.get(portal_id)
        if portal is None:
            return [], "portal not in the directory"
        rule = portal.rules.get(user_id)
        if rule is None and portal.users == "none":
            return [], 'user without a rule, and users = "none"'
        why = "user's rule" if rule else "user without a rule: all numbers"
        rule = rule or Rule()
        if rule.numbers == () or rule.names == ():
            return [], "user's rule allows no number"
        grants = [
            Grant(self.accounts[name], rule)
            for name in portal.accounts
            if rule.accounts is None or name in rule.accounts
        ]
        return grants, why
