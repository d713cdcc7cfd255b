"""`flask directory`: the whole directory between TOML and database."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from helpdesk_numbers.database.editing import LOCK
from helpdesk_numbers.database.engine import locked, snapshot
from helpdesk_numbers.database.transfer import (
    Change,
    Tables,
    apply,
    as_toml,
    changes,
    check_storable,
    read,
    stored,
)
from helpdesk_numbers.directory import toml
from helpdesk_numbers.directory.text import read_file
from helpdesk_numbers.service import current_service
from providers.base.options import Faults, Problems

from . import progress
from .database import DatabaseGroup, whoami
from .output import as_json, count, emit, example

SHOWN = 50
"""So many changes are shown one by one."""

directory = DatabaseGroup(
    "directory", help="The whole directory, between a TOML file and the database."
)
_file = click.argument("file", type=click.Path(path_type=Path))


def _read(path: Path) -> Tables:
    problems = Problems()
    try:
        tables = toml.read(read_file(path), str(path), problems)
        if tables is not None:
            return read(tables, current_service().environ)
        faults: tuple[str, ...] = tuple(problems.lines)
    except Faults as error:
        faults = error.faults
    raise click.ClickException("\n".join(["nothing was changed:", *(f"  {f}" for f in faults)]))


@directory.command(epilog=example("directory check directory.toml"))
@_file
@as_json
def check(file: Path) -> None:
    """Check a directory file, and print every fault by its place. It needs no database."""
    tables = _read(file)
    portals, accounts = len(tables.portals), len(tables.accounts)
    text = f"{count(portals, 'portal')}, {count(accounts, 'account')}: no faults."
    emit({"portals": portals, "accounts": accounts}, [text])


@directory.command("import", epilog=example("directory import directory.toml --apply"))
@_file
@click.option(
    "--apply", "really", is_flag=True, help="Do it: else it only shows what would change."
)
@as_json
def import_(file: Path, really: bool) -> None:
    """Make the database say what a directory file says, all of it or nothing.

    What is not in the file is removed. Values of `env:` variables are stored, secret ones
    encrypted. Without --apply it shows what would change.
    """
    after, database = _read(file), current_service().database
    check_storable(after)
    begin = locked(database.engine, LOCK) if really else snapshot(database.engine)
    with progress.line() as show, begin as connection:
        show("reading the database")
        before = stored(connection, database.encryption)
        todo = changes(before, after)
        if really and todo:
            show(f"writing {count(len(todo), 'change')}")
            apply(connection, database.encryption, before, after, todo, whoami())
    emit([change._asdict() for change in todo], _lines(todo, really))


def _lines(todo: list[Change], really: bool) -> Iterator[str]:
    marks = {"add": "+", "change": "~", "remove": "-"}
    for change in todo[:SHOWN]:
        yield f"{marks[change.what]} {change.kind} {change.name}"
    if len(todo) > SHOWN:
        yield f"  and {len(todo) - SHOWN:,} more"
    by_kind = Counter((change.what, change.kind) for change in todo)
    told = ", ".join(f"{what} {count(n, kind)}" for (what, kind), n in by_kind.items())
    if not todo:
        yield "Nothing to change."
    else:
        yield f"Done: {told}." if really else f"Would {told}. Nothing was changed: add --apply."


@directory.command(epilog=example("directory export"))
@click.option("--with-secrets", is_flag=True, help="Secrets too: keep the file safe.")
def export(with_secrets: bool) -> None:
    """Print the directory as a file: `flask directory import` takes it.

    Without --with-secrets, each secret is to come from a variable that is named for it.
    """
    database = current_service().database
    with snapshot(database.engine) as connection:
        tables = stored(connection, database.encryption if with_secrets else None)
    click.echo(as_toml(tables, with_secrets=with_secrets), nl=False)
