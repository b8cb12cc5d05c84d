"""Brings a database to this version's tables. Steps go forwards only: a newer one is refused."""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from deployments.ledger.errors import LedgerUnusable

#: Two Controllers that start at once: the second waits for the first. The number is arbitrary.
_POSTGRESQL_LOCK = text("SELECT pg_advisory_xact_lock(748159302)")


def migrate(connection: Connection) -> None:
    """In the caller's transaction: a step that fails leaves the database as it was. Raises
    LedgerUnusable.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_POSTGRESQL_LOCK)
    config = config_of(connection)
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise LedgerUnusable(
            f"the ledger was written by a newer Flotilla (version {current} of its tables): "
            "install that one"
        )
    if current is None and inspect(connection).get_table_names():
        raise LedgerUnusable(
            "the database belongs to another program: it has tables and none of ours; "
            "give Flotilla an empty one"
        )
    command.upgrade(config, "head")


def config_of(connection: Connection) -> Config:
    """What alembic's commands want; they stay in the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", "deployments.ledger:migrations")
    config.attributes["connection"] = connection
    return config
