"""The directory."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text),
        sa.Column("revision", _BIG, nullable=False),
    )
    op.create_table(
        "portals",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("users", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("state", sa.String, nullable=False, server_default="active"),
        sa.Column("revision", _BIG, nullable=False),
    )
    op.create_table(
        "portal_accounts",
        sa.Column(
            "portal_id",
            sa.BigInteger,
            sa.ForeignKey("portals.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("account", sa.String, sa.ForeignKey("accounts.name"), nullable=False),
    )
    op.create_index("portal_accounts_account", "portal_accounts", ["account"])
    op.create_table(
        "rules",
        sa.Column(
            "portal_id",
            sa.BigInteger,
            sa.ForeignKey("portals.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
    )
    op.create_table(
        "revisions",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
    )
