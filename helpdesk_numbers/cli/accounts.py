"""`flask accounts`: the accounts in the database."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
from sqlalchemy import Connection, func, select
from tabulate import tabulate

from helpdesk_numbers.database import rows
from helpdesk_numbers.database.editing import InUse
from helpdesk_numbers.database.encryption import Encryption
from helpdesk_numbers.database.hiding import hide_secrets
from helpdesk_numbers.database.rows import Table, Undeciphered
from helpdesk_numbers.database.tables import accounts as accounts_table
from helpdesk_numbers.database.tables import portal_accounts
from helpdesk_numbers.directory.toml import build
from helpdesk_numbers.lookup.judge import count_usable
from helpdesk_numbers.remedies import in_words
from helpdesk_numbers.service import current_service
from providers import ProviderError, load
from providers.base.options import Faults, Problems, fields_of, is_secret

from .database import DatabaseGroup, edit
from .listing import list_with_timeout
from .output import as_json, ask, count, emit, example, with_remedy

accounts = DatabaseGroup("accounts", help="The accounts in the database, with their credentials.")

TEST_S = 60.0
"""What a test gets."""


def named(connection: Connection, encryption: Encryption | None, name: str) -> Table:
    """Return the account's table, see `rows.all_accounts`; ClickException if there is none of that
    name."""
    table = rows.all_accounts(connection, encryption, [name]).get(name)
    if table is None:
        raise click.ClickException(f"there is no account {name} in the database")
    return table


@accounts.command("list", epilog=example("accounts list"))
@as_json
def list_() -> None:
    """List all accounts, and how many portals each serves."""
    database = current_service().database

    with database.engine.connect() as connection:
        used = func.count(portal_accounts.c.portal_id)
        asked = (
            select(accounts_table.c.name, accounts_table.c.provider, used)
            .outerjoin(portal_accounts, portal_accounts.c.account == accounts_table.c.name)
            .group_by(accounts_table.c.name, accounts_table.c.provider)
            .order_by(accounts_table.c.name)
        )
        found = [
            {"name": name, "provider": provider, "portals": portals}
            for name, provider, portals in connection.execute(asked)
        ]
    table = tabulate([[*one.values()] for one in found], ["account", "provider", "portals"])
    emit(found, [table if found else "There are none: flask accounts set NAME --provider PROVIDER"])


@accounts.command(epilog=example("accounts show acme-us"))
@click.argument("name")
@as_json
def show(name: str) -> None:
    """Show an account's options, its secrets as ***."""
    database = current_service().database
    with database.engine.connect() as connection:
        shown = {"name": name, **named(connection, None, name)}
    emit(shown, (f"{key} = {value!r}" for key, value in shown.items()))


@accounts.command("set", epilog=example("accounts set acme-us --provider twilio account_sid=AC…"))
@click.argument("name")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
@click.option("--provider", help="Which provider; needed for a new account.")
@click.option(
    "--secret-file",
    "files",
    multiple=True,
    metavar="OPTION=FILE",
    help="Read a secret option from a file; - is standard input.",
)
@click.option("--ask", "asked", multiple=True, metavar="OPTION", help="Ask for a secret anew.")
@as_json
def set_(
    name: str,
    options: tuple[str, ...],
    provider: str | None,
    files: tuple[str, ...],
    asked: tuple[str, ...],
) -> None:
    """Add an account, or change some of its options.

    Secret options are asked for where they are needed, or read from files: they are never
    arguments, which other programs can see. An empty value removes an option.
    """
    database = current_service().database
    with database.engine.connect() as connection:
        before = rows.all_accounts(connection, database.encryption, [name]).get(name, {})
    provider = provider or before.get("provider")
    if provider is None:
        raise click.UsageError(f"there is no account {name} yet: give --provider")
    try:
        known = fields_of(load(provider).Options)
    except (LookupError, ImportError) as error:
        raise click.UsageError(str(error.args[0])) from None
    secret = [option for option, info in known.items() if is_secret(info)]
    given = dict(_given(secret, options, files))
    for option in secret:
        missing = known[option].required and option not in {**before, **given}
        if option in asked or missing:
            unanswered = click.UsageError(f"nobody is there to ask: --secret-file {option}=FILE")
            given[option] = ask(partial(click.prompt, hide_input=True), unanswered, option)
    with edit() as editor:  # when all is answered, for nobody else can change anything meanwhile
        stored = editor.account(name)
        table = {**(stored.table if stored else {}), "provider": provider, **given}
        table = {option: value for option, value in table.items() if value != ""}
        try:
            editor.put_account(name, table)
        except Faults as error:
            wanted = [o for o in secret if any(f".{o}:" in fault for fault in error.faults)]
            hints = [f"to be asked for it: --ask {option}" for option in wanted]
            raise Faults([*error.faults, *hints]) from None
    shown = {"name": name, **hide_secrets(table)}
    emit(shown, [f"Account {name} is set. Try it: flask accounts test {name}"])


def _given(
    secret: list[str], options: tuple[str, ...], files: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    """The options that are given, with the contents of the files."""
    for option, value in map(_pair, options):
        if option in secret:
            raise click.UsageError(
                f"{option} is a secret, which is no argument: leave it out to be asked,"
                f" or --secret-file {option}=FILE"
            )
        try:
            yield option, json.loads(value) if value[:1] in ("[", "{") else value
        except ValueError as error:
            raise click.UsageError(f"{option} is not JSON: {error}") from None
    for option, path in map(_pair, files):
        with click.open_file(path, encoding="utf-8") as file:
            yield option, file.read().strip()


def _pair(text: str) -> tuple[str, str]:
    option, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text}: write OPTION=VALUE")
    return option.strip().lower().replace("-", "_"), value


@accounts.command(epilog=example("accounts test acme-us"))
@click.argument("name")
@as_json
def test(name: str) -> None:
    """List an account's numbers live. Exits with 1 if the carrier does not give them."""
    database = current_service().database
    with database.engine.connect() as connection:
        table = named(connection, database.encryption, name)
    if isinstance(table, Undeciphered):
        raise click.ClickException(
            f"the secrets of {name} cannot be decrypted with any of ENCRYPTION_KEYS"
        )
    problems = Problems()
    account = build({"accounts": {name: table}}, None, None, problems).accounts.get(name)
    if account is None:
        raise click.ClickException("\n".join(problems.lines))
    try:
        numbers = list_with_timeout(account, TEST_S)
    except ProviderError as error:
        raise click.ClickException(with_remedy(*in_words(error))) from None
    usable = count_usable(numbers, account.options.country)
    text = f"{name}: {count(len(numbers), 'number')}, {usable:,} can take calls"
    emit({"name": name, "numbers": len(numbers), "usable": usable}, [text])


@accounts.command(epilog=example("accounts remove acme-us"))
@click.argument("name")
@as_json
def remove(name: str) -> None:
    """Remove an account that no portal uses."""
    try:
        with edit() as editor:
            removed = editor.remove_account(name)
    except InUse as error:
        raise click.ClickException(str(error)) from None
    if not removed:
        raise click.ClickException(f"there is no account {name} in the database")
    emit({"removed": name}, [f"Account {name} is removed."])
