"""`/api/v1/portals`: accounts, users' and teams' rules, and what each user sees."""

from flask import Response

from helpdesk_numbers.database.editing import Reader, Stored, StoredRule
from helpdesk_numbers.directory.model import Directory
from helpdesk_numbers.explain import describe
from helpdesk_numbers.users.people import People
from hubspot.errors import LookupFailed
from hubspot.schema import MAX_ID
from hubspot.users import UnknownCursor
from providers.base.provider import Deadline

from .call import LIVE_S, APIError, Call, as_json, as_page, not_found
from .operations import listed, operation, results, schema

PORTAL, RULE = schema("Portal"), schema("Rule")
ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID - 1}
PATH = "/portals/{portalId}"
KINDS = {"users": "user", "teams": "team"}
"""Rules in a path, and in a directory file."""


def named(portal_id: int, stored: Stored | None) -> Stored:
    """Return the portal; APIError if there is none."""
    if stored is None:
        raise not_found(f"The portal {portal_id}")
    return stored


@operation(
    "GET",
    "/portals",
    {200: listed("Portal", portalId=ID)},
    query={"limit": schema("Limit"), "after": ID},
)
def list_portals(call: Call) -> Response:
    """List portals by id."""
    limit, after = call.limit(), call.whole_number("after", 1, MAX_ID - 1)
    with call.reading() as reader:
        found = reader.portals_after(after or 0, limit)
    shown = [
        {"portalId": portal_id, "etag": f'"{stored.revision}"', "portal": stored.table}
        for portal_id, stored in found.items()
    ]
    return call.page(shown, limit, [0, *found][-1])


@operation("GET", PATH, {200: PORTAL})
def get_portal(call: Call, portal_id: int) -> Response:
    """Show a portal's accounts and rules, its token as ***."""
    stored = _portal(call, portal_id)
    return call.tagged(stored, stored.table)


@operation("PUT", PATH, {200: PORTAL, 201: PORTAL}, body=PORTAL)
def put_portal(call: Call, portal_id: int) -> Response:
    """Make a portal what the body says, its rules included: *** keeps its token."""
    table = call.table()
    with call.editing() as editor:
        before = editor.portal(portal_id)
        call.check_conditions(before)
        editor.put_portal(portal_id, table)
        stored = named(portal_id, editor.shown.portal(portal_id))
    return call.tagged(stored, stored.table, 200 if before else 201)


@operation("DELETE", PATH, {204: None})
def delete_portal(call: Call, portal_id: int) -> Response:
    """Remove a portal with its rules: its users see no number."""
    with call.editing() as editor:
        call.check_conditions(named(portal_id, editor.portal(portal_id)))
        editor.remove_portal(portal_id)
    return Response(status=204)


def _rules(kind: str, of: str) -> None:
    """Add the operations for the rules of users or of teams."""
    path, what = f"{PATH}/rules/{kind}/{{{of}}}", KINDS[kind]

    def found(reader: Reader, portal_id: int, asked: str) -> StoredRule:
        stored = reader.rule(portal_id, what, asked)
        if stored is None:
            raise not_found(f"The portal {portal_id}")
        return stored

    def there(stored: StoredRule) -> Stored:
        if stored.table is None:
            raise not_found(f"A rule for this {what}")
        return Stored(stored.table, stored.revision)

    def get(call: Call, portal_id: int, **parts: str) -> Response:
        with call.reading() as reader:
            stored = there(found(reader, portal_id, parts[of]))
        return call.tagged(stored, stored.table)

    def put(call: Call, portal_id: int, **parts: str) -> Response:
        table = call.table()
        with call.editing() as editor:
            before = found(editor, portal_id, parts[of])
            call.check_conditions(before)
            editor.put_rule(portal_id, what, before.key, table)
            stored = there(found(editor, portal_id, before.key))
        return call.tagged(stored, stored.table, 201 if before.table is None else 200)

    def delete(call: Call, portal_id: int, **parts: str) -> Response:
        with call.editing() as editor:
            before = found(editor, portal_id, parts[of])
            call.check_conditions(before)
            there(before)
            editor.remove_rule(portal_id, what, before.key)
        return Response(status=204)

    for view, verb in ((get, "Show"), (put, "Write"), (delete, "Remove")):
        view.__name__ = f"{view.__name__}_{what}_rule"
        view.__doc__ = f"{verb} a {what}'s rule. The ETag is the portal's."
    operation("GET", path, {200: RULE})(get)
    operation("PUT", path, {200: RULE, 201: RULE}, body=RULE)(put)
    operation("DELETE", path, {204: None})(delete)


_rules("users", "user")
_rules("teams", "team")


@operation(
    "GET",
    f"{PATH}/numbers",
    {200: schema("Preview")},
    query={"userId": ID, "email": {"type": "string"}},
    fails=(409, 422, 502),
    live=True,
)
def preview(call: Call, portal_id: int) -> Response:
    """Show what a user sees now, and for every other number why not. Name one: userId or email."""
    email = call.request.args.get("email")
    user_id = call.whole_number("userId", 1, MAX_ID - 1)
    if (user_id is None) == (email is None):
        raise APIError(422, "VALIDATION_ERROR", "Give userId or email, and not both.")
    directory = _directory(call, portal_id)
    if user_id is None:
        found = _people(call, directory, portal_id).find_by_email(email or "")
        if found is None:
            raise not_found("An active user of the portal with this address")
        user_id = found.id
    result = call.service.lookup.look_up(portal_id, user_id, full=True)
    return as_json(describe(result, portal_id, user_id, left_out=True))


@operation(
    "GET",
    f"{PATH}/users",
    {200: results(schema("User"), schema("Paging"))},
    query={"limit": schema("Limit"), "after": {"type": "string"}},
    fails=(409, 422, 502),
    live=True,
)
def list_users(call: Call, portal_id: int) -> Response:
    """List the portal's users in HubSpot, and the rule that holds for each."""
    directory = _directory(call, portal_id)
    people = _people(call, directory, portal_id)
    try:
        users, after = people.page(call.request.args.get("after", ""), call.limit())
    except UnknownCursor:
        message = "after must be what paging.next.after said."
        raise APIError(422, "VALIDATION_ERROR", message) from None
    shown = []
    for user in users:
        try:
            _, rule = directory.grants(portal_id, user.id, user)
        except LookupFailed as error:
            rule = str(error)
        shown.append(
            {
                "userId": user.id,
                "name": user.name,
                "emails": user.emails,
                "teams": [team.name or team.id for team in user.teams],
                "rule": rule,
            }
        )
    return as_page(shown, after)


def _people(call: Call, directory: Directory, portal_id: int) -> People:
    return People(call.service.settings, directory, portal_id, Deadline(LIVE_S))


def _portal(call: Call, portal_id: int) -> Stored:
    with call.reading() as reader:
        return named(portal_id, reader.portal(portal_id))


def _directory(call: Call, portal_id: int) -> Directory:
    """The portal's directory as it is now."""
    source = call.service.database_directory
    source.forget(portal_id)
    directory = source.of(portal_id)
    if portal_id not in directory.portals:
        raise not_found(f"The portal {portal_id}")
    return directory
