"""The tables. A change here needs a file in migrations/versions."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

BIG = BigInteger().with_variant(Integer, "sqlite")
"""Which counts by itself in both."""

accounts = Table(
    "accounts",
    METADATA,
    Column("name", String, primary_key=True),
    Column("provider", String, nullable=False),
    Column("options", Text, nullable=False),  # JSON, the secret ones aside
    Column("secrets", Text),  # encrypted JSON
    Column("revision", BIG, nullable=False),
)

portals = Table(
    "portals",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("users", Text, nullable=False),  # JSON: "all", "none", "own" or a rule
    Column("token", Text),  # encrypted
    Column("state", String, nullable=False, server_default="active"),
    Column("revision", BIG, nullable=False),
)

portal_accounts = Table(
    "portal_accounts",
    METADATA,
    Column("portal_id", ForeignKey("portals.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("account", ForeignKey("accounts.name"), nullable=False),
    Index("portal_accounts_account", "account"),
)

rules = Table(
    "rules",
    METADATA,
    Column("portal_id", ForeignKey("portals.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, primary_key=True),  # user or team, as in the directory file
    Column("key", String, primary_key=True),
    Column("rule", Text, nullable=False),  # JSON
)

revisions = Table(
    "revisions",
    METADATA,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
)
"""Counts changes: each writes its number to what it changes."""

audit = Table(
    "audit",
    METADATA,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),  # seconds since 1970
    Column("who", String, nullable=False),
    Column("kind", String, nullable=False),  # account or portal
    Column("name", String, nullable=False),
    Column("before", Text),  # JSON without secrets; NULL if there was none
    Column("after", Text),
    Index("audit_of", "kind", "name", "id"),
)
