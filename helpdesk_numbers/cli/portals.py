"""`flask portals`: the portals in the database, and their users' and teams' rules."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from tabulate import tabulate

from helpdesk_numbers.database import rows
from helpdesk_numbers.database.engine import snapshot
from helpdesk_numbers.database.hiding import hide_secrets
from helpdesk_numbers.database.rows import Table
from helpdesk_numbers.database.tables import installs
from helpdesk_numbers.database.tables import portals as portals_table
from helpdesk_numbers.directory.text import read_file
from helpdesk_numbers.service import current_service
from providers.base.options import Faults

from .database import DatabaseGroup, edit
from .disconnecting import disconnect
from .options import as_id
from .output import as_json, emit, example
from .syncing import sync

portals = DatabaseGroup(
    "portals", help="The portals in the database: accounts, users' and teams' rules."
)
portals.add_command(disconnect)
portals.add_command(sync)
_id = click.argument("portal_id", type=as_id, metavar="ID")

PAGE = 1_000


def _shown(portal_id: int, table: Table) -> dict[str, Any]:
    return {"portalId": portal_id, **hide_secrets(table)}


@portals.command("list", epilog=example("portals list"))
@click.option("--after", type=as_id, metavar="ID", help="Begin after this portal.")
@as_json
def list_(after: int | None) -> None:
    """List portals by id, a thousand at most."""
    database = current_service().database

    with database.engine.connect() as connection:
        asked = (
            select(portals_table.c.id, portals_table.c.state, installs.c.state.label("install"))
            .outerjoin(installs, installs.c.portal_id == portals_table.c.id)
            .where(portals_table.c.id > (after or 0))
            .order_by(portals_table.c.id)
            .limit(PAGE)
        )
        found = [
            {"portalId": portal_id, "state": state, "install": install}
            for portal_id, state, install in connection.execute(asked)
        ]
    lines = [tabulate([[*one.values()] for one in found], ["portal", "state", "app"])]
    if len(found) == PAGE:
        lines.append(f"More: flask portals list --after {found[-1]['portalId']}")
    emit(found, lines if found else ["There are none: flask portals set ID --account NAME"])


@portals.command(epilog=example("portals show 62515"))
@_id
@as_json
def show(portal_id: int) -> None:
    """Show a portal's accounts and rules, its token as ***, and since when it has the app."""
    with snapshot(current_service().database.engine) as connection:
        found = rows.all_portals(connection, None, [portal_id]).get(portal_id)
        asked = select(installs).where(installs.c.portal_id == portal_id)
        install = connection.execute(asked).one_or_none()
    if found is None:
        raise click.ClickException(f"portal {portal_id} is not in the database")
    shown = _shown(portal_id, found)
    if install:
        times = {
            name: at and datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
            for name, at in (
                ("installedAt", install.installed_at),
                ("goneAt", install.gone_at),
                ("tokenExpiresAt", install.expires_at),
            )
        }
        about = {"state": install.state, "region": install.region, "userId": install.user_id}
        shown["install"] = {**about, **times}
    lines = [f"{key} = {value!r}" for key, value in shown.items()]
    if not found["accounts"]:
        lines.append(f"No account is connected: flask portals set {portal_id} --account NAME")
    emit(shown, lines)


@portals.command("set", epilog=example("portals set 62515 --account acme-us --users own"))
@_id
@click.option("--account", "names", multiple=True, help="An account; of several, give each.")
@click.option("--users", help="What users without a rule see: all, none or own.")
@click.option(
    "--token-file", metavar="FILE", help="Read the portal's token from a file; - is standard input."
)
@click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path),
    help="Take the portal's whole table, rules and all, from a directory file's [portals.ID].",
)
@as_json
def set_(
    portal_id: int,
    names: tuple[str, ...],
    users: str | None,
    token_file: str | None,
    file: Path | None,
) -> None:
    """Add a portal, or change it. Its rules come from a file: --from."""
    whole = _table_of(file, portal_id) if file else None
    given: Table = {"accounts": list(names)} if names else {}
    if users:
        given["users"] = users
    if token_file:
        with click.open_file(token_file, encoding="utf-8") as opened:
            given["token"] = opened.read().strip()
    with edit() as editor:
        found = editor.portal(portal_id)
        table = {**(whole or (found.table if found else {})), **given}
        editor.put_portal(portal_id, table)
    shown = _shown(portal_id, table)
    see = f"flask numbers --portal-id {portal_id} --user-id USER --explain"
    emit(
        shown, [f"Portal {portal_id} is set, in force within five seconds. What a user sees: {see}"]
    )


def _table_of(file: Path, portal_id: int) -> Table:
    try:
        table: Table = tomllib.loads(read_file(file))["portals"][str(portal_id)]
    except Faults as error:
        raise click.ClickException("\n".join(error.faults)) from None
    except (KeyError, TypeError, ValueError):
        raise click.ClickException(f"{file} has no table [portals.{portal_id}]") from None
    return table


@portals.command(epilog=example("portals remove 62515"))
@_id
@as_json
def remove(portal_id: int) -> None:
    """Remove a portal with its rules: from then on its users see no number."""
    with edit() as editor:
        removed = editor.remove_portal(portal_id)
    if not removed:
        raise click.ClickException(f"portal {portal_id} is not in the database")
    emit({"removed": portal_id}, [f"Portal {portal_id} is removed."])
