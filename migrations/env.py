"""Alembic environment: runs the revisions on the connection that the store hands over.

Only `provenance init` and `provenance migrate` start it; each revision is one transaction.
"""

import duckdb_sqlalchemy.alembic_impl  # noqa: F401  (registers the dialect with Alembic)
from alembic import context

context.configure(
    connection=context.config.attributes["connection"], transactional_ddl=True, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
