"""The tables a database ends up with are those of the code, and nobody else's are touched."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from deployments.ledger.database import open_engine, transaction, url_of
from deployments.ledger.errors import LedgerUnusable
from deployments.ledger.migrate import migrate
from deployments.ledger.schema import METADATA


def test_the_migrations_make_the_tables_of_the_code(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, METADATA) == []


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    with transaction(engine) as connection:
        migrate(connection)


def test_a_newer_database_is_refused(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with (
        pytest.raises(LedgerUnusable, match="newer Flotilla"),
        transaction(engine) as connection,
    ):
        migrate(connection)


def test_another_programs_database_is_refused_and_left_alone(home: Path) -> None:
    engine = open_engine(url_of(home))
    with transaction(engine) as connection:
        connection.execute(text("CREATE TABLE theirs (a INTEGER)"))
    with (
        pytest.raises(LedgerUnusable, match="another program"),
        transaction(engine) as connection,
    ):
        migrate(connection)
    with transaction(engine) as connection:
        assert inspect(connection).get_table_names() == ["theirs"]
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deployments.ledger.migrations.versions import v0001_tables

    engine = open_engine(url_of(home))
    monkeypatch.setattr("alembic.op.create_index", _fails)
    assert v0001_tables.revision == "0001"
    with pytest.raises(RuntimeError, match="no index"), transaction(engine) as connection:
        migrate(connection)
    with transaction(engine) as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()


def _fails(*args: object, **kwargs: object) -> None:
    raise RuntimeError("no index")
