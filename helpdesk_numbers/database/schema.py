"""Is the schema that of this version? Brought up to date by whichever process comes first."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from .engine import locked

LOCK = 5_721_377_294_117
"""The advisory lock's number, which is ours alone."""


class NewerSchema(Exception):
    """The database has been brought up to date by a newer version."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database's schema ({revision}) is newer than this version knows ({newest()}):"
            " deploy the version that brought it up to date, or a later one"
        )


def newest() -> str:
    """Return the revision of this version's schema."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def status(engine: Engine) -> str | None:
    """Return the revision of the database's schema, None if there is none yet."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> bool:
    """Bring the schema up to date; return whether that needed anything.

    Raises:
        NewerSchema: it is newer than this version.
    """
    if _is_up_to_date(status(engine)):
        return False
    with locked(engine, LOCK) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if _is_up_to_date(current):
            return False
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def _is_up_to_date(revision: str | None) -> bool:
    if revision is None:
        return False
    scripts = ScriptDirectory.from_config(_config())
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        raise NewerSchema(revision)
    return revision == scripts.get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "helpdesk_numbers.database:migrations")
    return config
