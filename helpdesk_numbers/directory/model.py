"""Which accounts serve a portal, and which of their numbers each user may see."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from providers.base.options import Secret
from providers.base.provider import Provider

if TYPE_CHECKING:
    from hubspot.users import HubSpotUser


class DirectoryRefused(Exception):
    """The directory file has so many faults, and no earlier directory may stand in."""

    def __init__(self, faults: int) -> None:
        super().__init__(
            f"The directory file has {faults} fault(s). Until it has none, nobody sees a number."
            " The log line directory_refused names them."
        )


class DirectoryUnavailable(Exception):
    """The database is away, and what it says of the portal is not known, or too old."""

    def __init__(self) -> None:
        super().__init__("The directory's database cannot be reached now.")


ME = "me"
"""As a rule's `owner`: the asking user, by the e-mail addresses that HubSpot has."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user may see. None means no limit; all limits given must hold.

    With `unowned`, numbers that belong to nobody are allowed beside the owner's, or alone if there
    is no `owner`.
    """

    numbers: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    owner: str | None = None
    accounts: tuple[str, ...] | None = None
    unowned: bool = False

    @property
    def is_own(self) -> bool:
        """Return whether it depends on who the asking user is."""
        return self.owner == ME

    @property
    def by_address(self) -> bool:
        """Return whether it needs the e-mail addresses of numbers' owners."""
        return self.is_own or "@" in (self.owner or "")

    @property
    def limits_numbers(self) -> bool:
        """Return whether there is a number of its accounts that it might not allow."""
        by_list = self.numbers is not None or self.names is not None
        return by_list or self.owner is not None or self.unowned

    @property
    def allows_nothing(self) -> bool:
        """Return whether a list in it is empty."""
        return self.numbers == () or self.names == () or self.accounts == ()


OWN = Rule(owner=ME)


class Grant(msgspec.Struct, frozen=True):
    """One account, under the rules of which one is enough."""

    account: Provider
    rules: tuple[Rule, ...]


class Install(NamedTuple):
    """The app in a portal, by OAuth: its access token, and until when that is good (seconds since
    1970). It is `gone` once HubSpot says that it is no longer installed."""

    token: Secret | None
    expires_at: float
    gone: bool = False


class Portal(msgspec.Struct, frozen=True):
    """A portal's accounts in order, and what its users see.

    `rules` are by user id, `addresses` by e-mail address and `teams` by name or id, both in lower
    case; `users` is for all others. `token`, or else that of the app's `install`, is what HubSpot
    is asked with who a user is.
    """

    accounts: tuple[str, ...]
    users: Literal["all", "none"] | Rule = "all"
    rules: Mapping[int, Rule] = {}
    addresses: Mapping[str, Rule] = {}
    teams: Mapping[str, Rule] = {}
    token: Secret | None = None
    install: Install | None = None

    def asks_who(self, user_id: int) -> bool:
        """Return whether what the user may see depends on who that is by HubSpot."""
        rule: Rule | str | None = self.rules.get(user_id)
        if rule is None:
            if self.addresses or self.teams:
                return True
            rule = self.users
        return isinstance(rule, Rule) and rule.is_own

    @property
    def asks(self) -> bool:
        """Return whether what any user may see depends on who that is by HubSpot."""
        mine = (rule.is_own for _, rule in self.rules_by_place())
        return bool(self.addresses or self.teams) or any(mine)

    def rules_by_place(self) -> Iterator[tuple[str, Rule]]:
        """Yield all rules, each with its place below the portal."""
        for user_id, rule in self.rules.items():
            yield f"user.{user_id}", rule
        for kind, rules in (("user", self.addresses), ("team", self.teams)):
            for key, rule in rules.items():
                yield f'{kind}."{key}"', rule
        if isinstance(self.users, Rule):
            yield "users", self.users

    def possible_rules(self, user_id: int) -> list[Rule]:
        """Return the rules of which one will hold for a user, whoever it is by HubSpot."""
        if user_id in self.rules:
            return [self.rules[user_id]]
        others = [self.users] if isinstance(self.users, Rule) else []
        everybody = [Rule()] if self.users == "all" else []
        return [*self.addresses.values(), *self.teams.values(), *others, *everybody]

    def rules_for(self, user_id: int, user: "HubSpotUser | None") -> tuple[list[Rule], str]:
        """Return the rules of which one is enough, and in words which they are.

        Raises:
            HubSpotRefused: HubSpot gives the ids of the user's teams alone, and rules their names.
        """
        if rule := self.rules.get(user_id):
            return [rule], "user's rule"
        for email in user.emails if user else ():
            if rule := self.addresses.get(email.casefold()):
                return [rule], "rule of the user's address"
        if user and user.teams and (found := self._rules_of_teams(user)):
            names = ", ".join(f'"{name}"' for name in found)
            plural = "s" if len(found) > 1 else ""
            return [*found.values()], f"rule{plural} of the team{plural} {names}"
        unknown = "" if user or not self.asks_who(user_id) else ", whom HubSpot does not know"
        if isinstance(self.users, Rule):
            what = "own numbers" if self.users == OWN else "the rule of `users`"
            return [self.users], f"user without a rule{unknown}: {what}"
        if self.users == "none":
            return [], f'user without a rule{unknown}, and users = "none"'
        return [Rule()], f"user without a rule{unknown}: all numbers"

    def _rules_of_teams(self, user: "HubSpotUser") -> dict[str, Rule]:
        """The rules of the user's teams, by the keys in the directory."""
        if not self.teams:
            return {}
        keys = {team.id for team in user.teams}
        keys |= {team.name.strip().casefold() for team in user.teams if team.name}
        nameless = any(team.name is None and team.id not in self.teams for team in user.teams)
        if nameless and not all(key.isdecimal() for key in self.teams):
            from hubspot.errors import HubSpotRefused

            remedy = "give the app the scope settings.users.teams.read, or name teams by their ids"
            told = f"HubSpot gives the ids of the user's teams alone: {remedy}"
            raise HubSpotRefused(told, remedy, ("settings.users.teams.read",))
        return {key: rule for key, rule in self.teams.items() if key in keys}


MOST_KEPT = 1_000
"""How many viewers' grants a directory keeps."""

Viewer = tuple[int | None, int | None]
"""Portal and user, as far as a directory knows them."""


class Directory:
    """Accounts by name and portals by id, all of them good."""

    def __init__(self, accounts: Mapping[str, Provider], portals: Mapping[int, Portal]) -> None:
        self.accounts = accounts
        self.portals = portals
        self.kept: dict[Viewer, Any] = {}
        """What a lookup keeps as long as this directory is in force."""
        self._granted: dict[Viewer, tuple[list[Grant], str]] = {}

    def viewer(self, portal_id: int, user_id: int) -> Viewer | None:
        """Return portal and user as far as the directory knows them: equal viewers see the same.

        None if that depends on who the user is by HubSpot.
        """
        portal = self.portals.get(portal_id)
        if portal is None:
            return None, None
        if portal.accounts and portal.asks_who(user_id):
            return None
        return portal_id, user_id if user_id in portal.rules else None

    def granted(self, viewer: Viewer, portal_id: int, user_id: int) -> tuple[list[Grant], str]:
        """Return what `grants` does for this viewer, whom nobody need know, and keep it."""
        granted = self._granted.get(viewer)
        if granted is None:
            granted = self.grants(portal_id, user_id)
            if len(self._granted) < MOST_KEPT:
                self._granted[viewer] = granted
        return granted

    def grants(
        self, portal_id: int, user_id: int, user: "HubSpotUser | None" = None
    ) -> tuple[list[Grant], str]:
        """Return what the user may see, in the portal's order, and why in words.

        `user` is who that is by HubSpot, None if it does not know or need not be asked.

        Raises:
            HubSpotRefused: as `Portal.rules_for` does.
        """
        portal = self.portals.get(portal_id)
        if portal is None:
            return [], "portal not in the directory"
        if not portal.accounts and portal.users != "none":
            installed = "installed, " if portal.install and not portal.install.gone else ""
            return [], f"{installed}no account connected yet"
        rules, why = portal.rules_for(user_id, user)
        mine = [one for rule in rules for one in _of_user(rule, user)]
        if rules and not mine:
            return [], f"{why}, and HubSpot has no address of this user" if user else why
        allowing = [rule for rule in mine if not rule.allows_nothing]
        if mine and not allowing:
            return [], "user's rule allows no number"
        grants = [
            Grant(self.accounts[name], granted)
            for name in portal.accounts
            if (
                granted := tuple(
                    rule for rule in allowing if rule.accounts is None or name in rule.accounts
                )
            )
        ]
        return grants, why


def _of_user(rule: Rule, user: "HubSpotUser | None") -> list[Rule]:
    """The rule with the user's own addresses for ME, of which one is enough."""
    if not rule.is_own:
        return [rule]
    owners: list[str | None] = [*user.emails] if user else []
    if not owners and rule.unowned:
        owners = [None]
    return [msgspec.structs.replace(rule, owner=owner) for owner in owners]
