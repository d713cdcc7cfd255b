"""`flask database` and `flask keys`: the schema, and the keys that secrets are encrypted with."""

import getpass
from contextlib import AbstractContextManager
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from helpdesk_numbers.database import schema
from helpdesk_numbers.database.editing import Editor, editing
from helpdesk_numbers.database.encryption import new_key
from helpdesk_numbers.database.opening import Database, open_without_upgrade, why
from helpdesk_numbers.database.rotation import rotate as rotate_rows
from helpdesk_numbers.service import current_service
from providers.base.options import Faults

from . import progress
from .output import Group, as_json, count, emit, example


class DatabaseGroup(Group):
    """Commands that use the database. If it does not do something, nothing is changed."""

    def run(self, ctx: click.Context) -> Any:
        """Run the command, and say why the database did not do it."""
        try:
            return super().run(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(why(error)) from None
        except schema.NewerSchema as error:
            raise click.ClickException(str(error)) from None
        except Faults as error:
            raise click.ClickException("\n".join(["nothing was changed:", *error.faults])) from None


database = DatabaseGroup("database", help="The database that DATABASE_URL names: its schema.")
keys = DatabaseGroup("keys", help="The keys that secrets in the database are encrypted with.")


def whoami() -> str:
    """Return who runs the command, for the audit."""
    try:
        return f"command of {getpass.getuser()}"
    except (KeyError, OSError, ImportError):  # a container's user need have no name
        return "command"


def edit() -> AbstractContextManager[Editor]:
    """Return the database to be changed by the command; else Faults says why nothing was."""
    service = current_service()
    return editing(service.database, whoami(), service.environ)


def opened() -> Database:
    """Return the database as it is; ConfigurationError if the settings for it are not good."""
    database = open_without_upgrade(current_service().settings)
    click.get_current_context().call_on_close(database.engine.dispose)
    return database


@database.command(epilog=example("database status"))
@as_json
def status() -> None:
    """Say whether the schema is this version's. Exits with 1 if it is not."""
    current = schema.status(opened().engine)
    newest = schema.newest()
    text = {newest: f"up to date ({newest})", None: "there is none: flask database upgrade"}
    other = f"{current}, and this version's is {newest}: flask database upgrade"
    emit({"schema": current, "newest": newest}, [text.get(current, other)])
    if current != newest:
        raise click.exceptions.Exit(1)


@database.command(epilog=example("database upgrade"))
@as_json
def upgrade() -> None:
    """Bring the schema up to date, as every start of the service does.

    Without DATABASE_URL there is nothing to do, so the Procfile's release process always does it.
    """
    if not current_service().settings.database_url:
        emit({"schema": None, "upgraded": False}, ["DATABASE_URL is not set: nothing to do."])
        return
    done = schema.upgrade(opened().engine)
    text = "Brought up to" if done else "It is at"
    emit({"schema": schema.newest(), "upgraded": done}, [f"{text} {schema.newest()}."])


@keys.command(epilog=example("keys new"))
def new() -> None:
    """Print a new key for ENCRYPTION_KEYS.

    Put it before the others there, restart, and encrypt what there is with it: flask keys rotate.
    """
    click.echo(new_key())


@keys.command(epilog=example("keys rotate"))
@as_json
def rotate() -> None:
    """Encrypt everything with the first of ENCRYPTION_KEYS, row by row, while the service runs.

    It may be broken off and begun again. Exits with 1 if something cannot be decrypted.
    """
    database, done, failed = opened(), 0, 0
    with progress.line() as show:
        for done, failed in rotate_rows(database):  # noqa: B007 - the last counts
            show(f"{count(done, 'secret')} encrypted anew")
    text = [f"{count(done, 'secret')} encrypted with the newest key."]
    if failed:
        text.append(f"{count(failed, 'secret')} cannot be decrypted with any of ENCRYPTION_KEYS.")
    emit({"rotated": done, "undecipherable": failed}, text)
    if failed:
        raise click.exceptions.Exit(1)
