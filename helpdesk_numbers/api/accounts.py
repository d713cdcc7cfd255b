"""`/api/v1/accounts`: credentials, written but never read."""

from flask import Response

from helpdesk_numbers.database import rows
from helpdesk_numbers.database.editing import InUse, Stored
from helpdesk_numbers.database.rows import Undeciphered
from helpdesk_numbers.directory.toml import build
from helpdesk_numbers.listing import list_with_timeout
from helpdesk_numbers.lookup.judge import count_usable
from helpdesk_numbers.remedies import in_words
from providers import ProviderError
from providers.base.options import Problems

from .call import LIVE_S, APIError, Call, as_json, not_found
from .operations import listed, operation, schema

ACCOUNT = schema("Account")
NAME = {"type": "string"}


def named(name: str, stored: Stored | None) -> Stored:
    """Return the account; APIError if there is none."""
    if stored is None:
        raise not_found(f"The account {name}")
    return stored


@operation(
    "GET",
    "/accounts",
    {200: listed("Account", name=NAME)},
    query={"limit": schema("Limit"), "after": {"type": "string"}},
)
def list_accounts(call: Call) -> Response:
    """List accounts by name."""
    limit, after = call.limit(), call.request.args.get("after", "").replace("\0", "")
    with call.reading() as reader:
        found = reader.accounts_after(after, limit)
    results = [
        {"name": name, "etag": f'"{stored.revision}"', "account": stored.table}
        for name, stored in found.items()
    ]
    return call.page(results, limit, ["", *found][-1])


@operation("GET", "/accounts/{name}", {200: ACCOUNT})
def get_account(call: Call, name: str) -> Response:
    """Show an account, *** for each secret."""
    with call.reading() as reader:
        stored = named(name, reader.account(name))
    return call.tagged(stored, stored.table)


@operation("PUT", "/accounts/{name}", {200: ACCOUNT, 201: ACCOUNT}, body=ACCOUNT)
def put_account(call: Call, name: str) -> Response:
    """Make an account what the body says: *** keeps a secret."""
    table = call.table()
    with call.editing() as editor:
        before = editor.account(name)
        call.check_conditions(before)
        editor.put_account(name, table)
        stored = named(name, editor.shown.account(name))
    return call.tagged(stored, stored.table, 200 if before else 201)


@operation("DELETE", "/accounts/{name}", {204: None}, fails=(409,))
def delete_account(call: Call, name: str) -> Response:
    """Remove an account that no portal uses."""
    with call.editing() as editor:
        call.check_conditions(named(name, editor.account(name)))
        try:
            editor.remove_account(name)
        except InUse as error:
            raise APIError(409, "CONFLICT", str(error)) from None
    return Response(status=204)


@operation("POST", "/accounts/{name}/test", {200: schema("AccountTest")}, live=True)
def test_account(call: Call, name: str) -> Response:
    """List an account's numbers live, and say how many there are or what went wrong."""
    database, problems = call.service.database, Problems()
    with database.engine.connect() as connection:
        table = rows.all_accounts(connection, database.encryption, [name]).get(name)
    if table is None:
        raise not_found(f"The account {name}")
    account = build({"accounts": {name: table}}, None, None, problems).accounts.get(name)
    anew = "write the account anew, with its secrets"
    if isinstance(table, Undeciphered):
        return _tested("refused", "its secrets cannot be decrypted", anew)
    if account is None:
        return _tested("refused", problems.lines[0], anew)
    try:
        numbers = list_with_timeout(account, LIVE_S)
    except ProviderError as error:
        return _tested(error.outcome, *in_words(error))
    usable = count_usable(numbers, account.options.country)
    return as_json({"outcome": "ok", "numbers": len(numbers), "usable": usable})


def _tested(outcome: str, reason: str, remedy: str) -> Response:
    return as_json({"outcome": outcome, "reason": reason, "remedy": remedy})
