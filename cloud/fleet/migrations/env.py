"""How Alembic reaches the database: through the connection that it is given."""

from alembic import context

from cloud.fleet.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters a table by making it anew
    transactional_ddl=True,
)
# The transaction is the caller's.
context.run_migrations()
