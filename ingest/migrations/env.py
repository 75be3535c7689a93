"""What Alembic runs: the revisions, on the connection and in the transaction that `ingest.migrate` hands over."""

from alembic import context

from ingest.migrate import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
