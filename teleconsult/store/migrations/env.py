"""Alembic's entry: runs migrations on the URL that `store.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

from teleconsult.store import tables
from teleconsult.store.engine import Store

assert tables  # the import fills SQLModel.metadata

store = Store(context.config.attributes["url"])
with store.engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
store.close()
