"""How far the app's journal has been read."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("apps", sa.Column("journal_offset", sa.String))
    op.add_column("apps", sa.Column("journal_at", sa.Float))
