"""Alembic's entry point: migrates on the connection, and in the transaction, that ``SqlStore.open`` passes in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
