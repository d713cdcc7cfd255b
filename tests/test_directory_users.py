"""Rules for users by who they are at HubSpot: which one holds, and every fault by its place."""

from typing import Any

import pytest

from helpdesk_numbers.directory.model import Directory, Rule
from helpdesk_numbers.directory.toml import parse
from helpdesk_numbers.lookup.lookup import Lookup
from helpdesk_numbers.lookup.result import Who
from hubspot.errors import HubSpotRefused
from hubspot.users import HubSpotUser, Team
from providers.base.options import Faults
from tests.support.accounts import Fixed

ANNA, BEN, SHARED, OTHER = "+12025550143", "+12025550144", "+12025550145", "+12025550146"
DESK = f"""
[accounts.desk]
provider = "static"
numbers = [
    {{ number = "{ANNA}", name = "Anna", owners = ["u-1", "Anna@Acme.example"] }},
    {{ number = "{BEN}", name = "Ben", owners = ["ben@acme.example"] }},
    {{ number = "{SHARED}", name = "Main line" }},
]
[accounts.other]
provider = "static"
numbers = [{{ number = "{OTHER}", name = "Other", owners = ["anna@acme.example"] }}]
[portals.1]
accounts = ["desk", "other"]
"""
SUPPORT, SALES = Team("10", "Support"), Team("20", "Sales (EU)")


class Known:
    """A HubSpot that knows one user, and counts how often it is asked."""

    def __init__(self, user: HubSpotUser | None) -> None:
        self.user, self.asked = user, 0

    def remembered(self, *_: object) -> Who | None:
        return None

    def resolve(self, *_: object) -> Who:
        self.asked += 1
        return Who("hubspot" if self.user else "unknown", 1.0, self.user)


def user(*emails: str, teams: tuple[Team, ...] = ()) -> HubSpotUser:
    return HubSpotUser(7, emails or ("anna@acme.example",), teams=teams)


def seen(text: str, who: HubSpotUser | None, user_id: int = 7) -> tuple[list[str], int]:
    """What the user sees, and how often HubSpot was asked."""
    known = Known(who)
    lookup = Lookup(Fixed(parse(DESK + text, {})), 10, users=lambda _: known)
    result = lookup.look_up(1, user_id)
    return [number.e164 for number in result.numbers], known.asked


RULE_OF_ANNA = f'[portals.1.user."ANNA@acme.example"]\nnumbers = ["{SHARED}"]\n'
RULE_OF_SUPPORT = '[portals.1.team." support"]\nnames = ["Ben"]\n'
RULE_OF_SALES = '[portals.1.team."Sales (EU)"]\naccounts = ["other"]\n'


@pytest.mark.parametrize(
    ("text", "who", "expected"),
    [
        ('users = "own"', user(), [ANNA, OTHER]),
        ('users = "own"', user("BEN@acme.example"), [BEN]),
        ('users = "own"', user("x@acme.example", "ben@acme.example"), [BEN]),
        ('users = "own"', user("stranger@acme.example"), []),
        ('users = "own"', HubSpotUser(7), []),
        ('users = "own"', None, []),
        ('users = { owner = "me", unowned = true }', user(), [ANNA, SHARED, OTHER]),
        ('users = { owner = "me", unowned = true }', HubSpotUser(7), [SHARED]),
        ('users = { owner = "me", unowned = true }', None, [SHARED]),
        ('users = { owner = "me", accounts = ["desk"] }', user(), [ANNA]),
        ('users = { owner = "Me" }', user(), [ANNA, OTHER]),
        ('users = { owner = "me", names = ["Ben"] }', user(), []),
        ('users = "none"\n' + RULE_OF_ANNA, user(), [SHARED]),
        ('users = "none"\n' + RULE_OF_ANNA, user("ben@acme.example"), []),
        ('users = "none"\n' + RULE_OF_ANNA, None, []),
        (RULE_OF_ANNA, user("ben@acme.example"), [ANNA, BEN, SHARED, OTHER]),
        ('users = "none"\n' + RULE_OF_SUPPORT, user(teams=(SUPPORT,)), [BEN]),
        ('users = "none"\n' + RULE_OF_SUPPORT, user(teams=(SALES,)), []),
        # the union of all teams' that match
        (RULE_OF_SUPPORT + RULE_OF_SALES, user(teams=(SALES, SUPPORT)), [BEN, OTHER]),
        # the address before the teams
        (RULE_OF_SUPPORT + RULE_OF_ANNA, user(teams=(SUPPORT,)), [SHARED]),
        # by the team's id
        ('users = "none"\n[portals.1.team.10]\nnames = ["M*"]', user(teams=(SUPPORT,)), [SHARED]),
        # a team that allows nothing beside one that does
        (RULE_OF_SUPPORT + "[portals.1.team.20]\nnames = []", user(teams=(SALES, SUPPORT)), [BEN]),
        ("[portals.1.team.20]\nnumbers = []", user(teams=(SALES,)), []),
        ('[portals.1.team.10]\nowner = "me"', user(teams=(SUPPORT,)), [ANNA, OTHER]),
        ('[portals.1.user.7]\nowner = "me"', user(), [ANNA, OTHER]),
        ('[portals.1.user."anna@acme.example"]\nowner = "me"\nunowned = true', user(),
         [ANNA, SHARED, OTHER]),
    ],
)  # fmt: skip
def test_which_rule_holds(text: str, who: HubSpotUser | None, expected: list[str]) -> None:
    assert seen(text, who) == (expected, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [ANNA, BEN, SHARED, OTHER]),
        ('users = "none"', []),
        ("users = { unowned = true }", [SHARED]),
        ('users = { names = ["Main*"] }', [SHARED]),
        ('users = { owner = "ben@acme.example" }', [BEN]),
        (f'[portals.1.user.7]\nnumbers = ["{BEN}"]', [BEN]),
        # the id before everything else: HubSpot need not be asked
        (f'users = "own"\n[portals.1.user.7]\nnumbers = ["{BEN}"]\n{RULE_OF_ANNA}', [BEN]),
        ('[portals.1.user.8]\nowner = "me"', [ANNA, BEN, SHARED, OTHER]),
        ('users = "own"\n[portals.1.user.7]\n', [ANNA, BEN, SHARED, OTHER]),
    ],
)
def test_hubspot_is_not_asked_where_no_rule_needs_it(text: str, expected: list[str]) -> None:
    assert seen(text, user()) == (expected, 0)


def test_rules_by_name_are_not_guessed_where_hubspot_gives_ids_of_teams_alone() -> None:
    nameless = user(teams=(Team("10", None),))
    with pytest.raises(HubSpotRefused, match="ids of the user's teams"):
        seen(RULE_OF_SUPPORT, nameless)
    assert seen("[portals.1.team.10]\nnumbers = []", nameless) == ([], 1)
    by_ids = '[portals.1.team.20]\nnumbers = []\n[portals.1.team.10]\nnames = ["Ben"]'
    assert seen(by_ids, nameless) == ([BEN], 1)
    assert len(seen("[portals.1.team.20]\nnumbers = []", nameless)[0]) == 4
    assert seen('users = "own"', nameless) == ([ANNA, OTHER], 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('users = "own"', "user without a rule: own numbers"),
        (RULE_OF_ANNA, "rule of the user's address"),
        (RULE_OF_SUPPORT, 'rule of the team "support"'),
        (RULE_OF_SUPPORT + RULE_OF_SALES, 'rules of the teams "support", "sales (eu)"'),
        ('users = { names = ["*"] }\n' + RULE_OF_SALES, "user without a rule: the rule of `users`"),
    ],
)
def test_the_reason_names_the_rule_and_nobody(text: str, why: str) -> None:
    anna = user(teams=(SUPPORT, SALES) if "eu" in why.lower() else (SUPPORT,))
    directory: Directory = parse(DESK + text, {})
    assert directory.grants(1, 7, anna)[1] == why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('users = "mine"', ["users: expected one of all, none, own"]),
        ("users = 7", ['users: expected one of all, none, own, or a rule: users = { names']),
        ('users = { nmes = ["x"] }', ["users.nmes: no such option (did you mean 'names'?)"]),
        ('users = { numbers = ["x"] }', ["users.numbers[0]: not a phone number"]),
        ('users = { accounts = ["desks"] }', ["users.accounts[0]: no account 'desks' (did you"]),
        ("users = { unowned = 7 }", ["users.unowned: expected true or false"]),
        ("users = { 7 = {} }", ["users: a user's rule is [portals.ID.user.ID] (did you mean"]),
        ('[portals.1.user."a@b.c"]\nnumbers = ["x"]', ['user."a@b.c".numbers[0]: not a phone']),
        ('[portals.1.user]\n"a@b.c" = 7', ['user."a@b.c": not a table']),
        ('[portals.1.user."a@b.c"]\n[portals.1.user."A@b.c "]', ['user."A@b.c ": there is anothe']),
        ('[portals.1.team."S T"]\nowner = 7', ['team."S T".owner: expected text']),
        ("[portals.1.team.S]\n[portals.1.team.s]", ["team.s: there is another rule for the same"]),
        ('[portals.1.team." "]', ['team." ": it has no name']),
        ('[portals.1.teams.S]', ["teams: no such option (did you mean 'team'?)"]),
        ('[portals.1."a@b.c"]', ['"a@b.c": a user\'s rule is [portals.ID.user.ID] (did you mean']),
        ('[portals.1.user."@"]', ['user."@": not an id or an e-mail address']),
        ("token = 7", ["token: expected text"]),
        ('token = "env:NONE"', ["token: the environment variable NONE is not set"]),
    ],
)  # fmt: skip
def test_every_fault_has_its_place(text: str, expected: list[str]) -> None:
    with pytest.raises(Faults) as raised:
        parse(DESK + text, {})
    faults = raised.value.faults
    assert len(faults) == len(expected), faults
    for fault, beginning in zip(faults, expected, strict=True):
        assert fault.startswith(f"portals.1.{beginning}"), fault


def test_a_token_is_a_secret() -> None:
    directory = parse(DESK + 'token = "env:T"', {"T": "pat-na1-x"})
    assert directory.portals[1].token == "pat-na1-x"
    assert "pat-na1-x" not in repr(directory.portals[1])


def test_all_rules_have_their_places() -> None:
    text = 'users = "own"\n[portals.1.user.7]\n' + RULE_OF_ANNA + RULE_OF_SALES
    rules: dict[str, Any] = dict(parse(DESK + text, {}).portals[1].rules_by_place())
    assert list(rules) == ["user.7", 'user."anna@acme.example"', 'team."sales (eu)"', "users"]
    assert rules["users"] == Rule(owner="me")
