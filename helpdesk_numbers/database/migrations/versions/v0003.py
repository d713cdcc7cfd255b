"""Installs of the app, with their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "installs",
        sa.Column("portal_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("client_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("access_token", sa.Text),
        sa.Column("refresh_token", sa.Text),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("refresh_at", sa.Float),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("user_id", sa.BigInteger),
        sa.Column("installed_at", sa.Float, nullable=False),
        sa.Column("gone_at", sa.Float),
    )
    op.create_index("installs_due", "installs", ["refresh_at"])
    op.create_table(
        "apps",
        sa.Column("client_id", sa.String, primary_key=True),
        sa.Column("refused", sa.Text),
        sa.Column("retry_at", sa.Float, nullable=False),
    )
    op.create_table(
        "used_states",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
    )
