"""`/api/v1/audit`: who changed what."""

from flask import Response

from helpdesk_numbers.database.audit import newest
from hubspot.schema import MAX_ID

from .call import APIError, Call
from .operations import operation, results, schema


@operation(
    "GET",
    "/audit",
    {200: results(schema("Change"), schema("Paging"))},
    query={
        "limit": schema("Limit"),
        "after": {"type": "integer", "minimum": 1, "maximum": MAX_ID - 1},
        "account": {"type": "string"},
        "portalId": {"type": "integer", "minimum": 1, "maximum": MAX_ID - 1},
    },
    fails=(422,),
)
def list_changes(call: Call) -> Response:
    """List changes, the newest first; of one account or portal alone if it is named."""
    limit, after = call.limit(), call.whole_number("after", 1, MAX_ID - 1)
    account = call.request.args.get("account")
    portal_id = call.whole_number("portalId", 1, MAX_ID - 1)
    if account is not None and portal_id:
        raise APIError(422, "VALIDATION_ERROR", "Give account or portalId, and not both.")
    of = {"kind": "portal", "name": str(portal_id)} if portal_id else {}
    if account is not None:
        of = {"kind": "account", "name": account.replace("\0", "")}
    with call.service.database.engine.connect() as connection:
        changes = newest(connection, limit, after, **of)
    return call.page(changes, limit, changes[-1]["id"] if changes else 0)
