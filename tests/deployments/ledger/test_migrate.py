"""The tables a database ends up with are those of the code, and nobody else's are touched."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from deployments.ledger import keys, reports
from deployments.ledger.database import open_engine, transaction, url_of
from deployments.ledger.errors import LedgerUnusable
from deployments.ledger.migrate import config_of, migrate
from deployments.ledger.questions import SumUsage
from deployments.ledger.schema import METADATA
from deployments.ledger.usage import record_usage
from serving.limits.terms import NO_LIMITS, Limits
from serving.money import Price
from tests.deployments.ledger.records import NOON_S, lines, usage


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


def test_a_database_of_the_version_before_keeps_all_it_had(home: Path) -> None:
    engine = open_engine(url_of(home))
    with transaction(engine) as connection:
        command.upgrade(config_of(connection), "0001")
        for statement in _OF_0001:
            connection.execute(text(statement))
    with transaction(engine) as connection:
        migrate(connection)
    with transaction(engine) as connection:
        (key,) = keys.records(connection, 0)
        assert (key.name, key.limits) == ("bob", Limits(concurrent=3))
        assert (key.weight, key.tenant_limits) == (2, NO_LIMITS)
        assert key.may_ignore_eos is False
        assert record_usage(connection, lines(usage("b", price=Price(1, 1, 1))), NOON_S) == 1
        (row,) = reports.usage(connection, SumUsage("2026-11-27", "2026-11-27", ()))
        assert (row.requests, row.prompt_tokens, row.cost_nanos) == (2, 20, 15)
    engine.dispose()


_OF_0001 = (
    "INSERT INTO tenants VALUES ('lab', 0, 2, 1)",
    "INSERT INTO keys (id, name, tenant, digest, created_s, concurrent)"
    " VALUES ('k', 'bob', 'lab', '00', 0, 3)",
    "INSERT INTO usage_daily VALUES ('2026-11-27', 'lab', 'k', 'small', 1, 10, 0, 5, 0.5)",
    "INSERT INTO usage VALUES ('a', '2026-11-27', 'lab', 'k', 'small', 'small', 'r', 10, 0, 5,"
    " 0.5, 'complete', 'reply', 1795780800, 0.5, 1)",
)


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
