"""Alembic's environment: the engine and the tables are the program's (alembic_smoke.py)."""
from alembic import context

config = context.config
with config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=config.attributes["metadata"], compare_type=True,
                      include_name=lambda name, kind, parents: kind != "table" or name.startswith("alembic_"),
                      transaction_per_migration=config.attributes.get("transaction_per_migration", False))
    with context.begin_transaction():
        context.run_migrations()
