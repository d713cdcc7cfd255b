"""The database as a process finds it: reached, its schema up to date, with the keys for it."""

from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from helpdesk_numbers.settings import ConfigurationError, Settings

from . import schema
from .encryption import Encryption
from .engine import OutcomeUnknown, connect


class Database(NamedTuple):
    """The database, and what encrypts its secrets."""

    engine: Engine
    encryption: Encryption


def open_without_upgrade(settings: Settings) -> Database:
    """Return the database as it is; ConfigurationError, naming each setting, if one is not good."""
    faults = []
    try:
        engine = connect(settings.database_url or "")
    except ValueError as error:
        faults.append(f"DATABASE_URL: {error}")
    try:
        encryption = Encryption(settings.encryption_keys)
    except ValueError:
        faults.append("ENCRYPTION_KEYS: missing, or not a key: `flask keys new` prints one")
    if faults:
        raise ConfigurationError(faults)
    return Database(engine, encryption)


def open_database(settings: Settings) -> Database:
    """Return the database, its schema brought up to date; ConfigurationError if it cannot be."""
    database = open_without_upgrade(settings)
    try:
        schema.upgrade(database.engine)
    except schema.NewerSchema as error:
        raise ConfigurationError((f"DATABASE_URL: {error}",)) from None
    except SQLAlchemyError as error:
        raise ConfigurationError((f"DATABASE_URL: {why(error)}",)) from None
    finally:
        database.engine.dispose()  # no connection outlives a fork
    return database


LOCK_NOT_AVAILABLE = "55P03"
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def why(error: SQLAlchemyError) -> str:
    """Return in words why the database did not do it, without a value of any row."""
    if isinstance(error, OutcomeUnknown):
        return f"it is not known whether the change was made: {error}"
    original: object = getattr(error, "orig", None) or error
    if getattr(original, "sqlstate", "") == LOCK_NOT_AVAILABLE or "is locked" in str(original):
        return "somebody else is changing the directory just now: try again"
    text = type(original).__name__
    if isinstance(error, OperationalError | ProgrammingError):  # others quote what was written
        diagnosis = getattr(original, "diag", None)  # of a connection that was not made: nothing
        text = getattr(diagnosis, "message_primary", None) or str(original).partition("\n")[0]
    return f"the database cannot be used: {text}"
