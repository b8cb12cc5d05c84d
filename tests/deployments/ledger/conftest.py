"""Every test of the ledger runs on SQLite and on PostgreSQL, both for real."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from deployments.ledger.database import DSN_FILE, open_engine, transaction, url_of
from deployments.ledger.migrate import migrate
from deployments.ledger.tenants import ensure_default
from tests.postgresql import Server, postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Flotilla's folder of a ledger that is not made yet."""
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("server")
        path = tmp_path / DSN_FILE
        path.touch(mode=0o600)
        path.write_text(server.new_database())
    return tmp_path


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    """A ledger with its tables and the default tenant."""
    made = open_engine(url_of(home))
    with transaction(made) as connection:
        migrate(connection)
        ensure_default(connection, 0)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with transaction(engine) as running:
        yield running
