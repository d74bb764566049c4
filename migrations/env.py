"""Runs the revisions on a connection or a URL that the caller put into the configuration's attributes.

`service.database.migrate` gives the connection, and so do the tests. Called by hand (`alembic upgrade head`), the
URL comes from GRADSWEEP_DATABASE_URL.
"""

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from service.database.tables import metadata


def run(connection: Connection) -> None:
    """Run the revisions in one transaction; SQLite changes tables by copying them (batch)."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = create_engine(os.environ["GRADSWEEP_DATABASE_URL"])
    with engine.begin() as opened:
        run(opened)
