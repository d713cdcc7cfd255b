"""What Alembic runs: migrations on the connection that `schema.py` hands over."""

from alembic import context

from helpdesk_numbers.database.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
context.run_migrations()
