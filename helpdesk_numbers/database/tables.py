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

installs = Table(
    "installs",
    METADATA,
    Column("portal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("client_id", String, nullable=False),  # of the app
    Column("state", String, nullable=False),  # installed or gone
    Column("access_token", Text),  # encrypted, as the next
    Column("refresh_token", Text),
    Column("expires_at", Float, nullable=False),  # seconds since 1970, as all times here
    Column("refresh_at", Float),  # or for how long somebody else is at it; NULL: never
    Column("region", String, nullable=False),  # the portal's data centre; may be empty
    Column("user_id", BigInteger),  # who installed it
    Column("installed_at", Float, nullable=False),
    Column("gone_at", Float),
    Index("installs_due", "refresh_at"),
)
"""Portals where the app is installed, whether they are in the directory or not."""

apps = Table(
    "apps",
    METADATA,
    Column("client_id", String, primary_key=True),
    Column("refused", Text),  # why HubSpot refuses the app; NULL: it does not
    Column("retry_at", Float, nullable=False),
    Column("journal_offset", String),  # how far HubSpot's journal has been read, and when
    Column("journal_at", Float),
)
"""What holds for our app as a whole."""

used_states = Table(
    "used_states",
    METADATA,
    Column("digest", String, primary_key=True),
    Column("at", Float, nullable=False),
)
"""States of installs that have come back: each does once."""
