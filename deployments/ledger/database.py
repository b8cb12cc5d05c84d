"""The connection: which database, how it is opened, and its failures in our words.

SQLite: one file in Flotilla's home, 0600, WAL, synced with every commit. Nothing else in this
process may open that file: POSIX drops all of a process's locks on a file when any descriptor of it
is closed. Whoever closes the database next then takes himself for the last, and removes the log
into which this process goes on to write. PostgreSQL: where
`ledger_dsn` in the same folder says so; it may hold a password, so it must be 0600 too.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from deployments.ledger.errors import LedgerError, LedgerUnreachable, LedgerUnusable

FILE = "ledger.sqlite"
DSN_FILE = "ledger_dsn"
#: For a lock that somebody else holds, a backup for instance.
BUSY_S = 5
#: Of one statement; a batch of usage takes a few hundredths of this.
STATEMENT_S = 20
CONNECT_S = 5
#: That SQLite keeps prepared. Batches of each size are statements of their own; the driver would
#: keep 128, and is no quicker with them.
KEPT_STATEMENTS = 16
#: In one statement; a batch of 600 in one takes MiBs to make, and is no quicker.
INSERTED_ROWS = 50

#: What SQLite says of a file that waiting does not mend.
_DAMAGED = ("malformed", "not a database", "readonly", "unable to open")


def url_of(home: Path) -> URL:
    """Where the ledger is. Raises LedgerUnusable."""
    path = home / DSN_FILE
    if not path.exists():
        return URL.create("sqlite", database=str(home / FILE))
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise LedgerUnusable(f"{path} can be read by others: `chmod 600 {path}`")
    return parse_dsn(path.read_text(encoding="utf-8", errors="replace").strip())


def parse_dsn(text: str) -> URL:
    """Raises LedgerUnusable without the text, which may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise LedgerUnusable(_NO_DSN) from None
    if url.get_backend_name() != "postgresql" or not url.database:
        raise LedgerUnusable(_NO_DSN)
    return url.set(drivername="postgresql+psycopg")


_NO_DSN = f"{DSN_FILE} does not hold postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def open_engine(url: URL) -> Engine:
    """Connects with first use."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    options = {
        "connect_timeout": CONNECT_S,
        "options": f"-c statement_timeout={STATEMENT_S}s -c lock_timeout={BUSY_S}s",
        "application_name": "flotilla",
        # A server that vanished without a word is noticed within these.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": STATEMENT_S * 1000,
    }
    return create_engine(
        url, connect_args=options, pool_size=1, max_overflow=0, pool_timeout=0, pool_pre_ping=True
    )


def _sqlite(url: URL) -> Engine:
    _create(Path(str(url.database)))
    # One connection, made and used by the ledger's one thread.
    options = {"timeout": BUSY_S, "cached_statements": KEPT_STATEMENTS}
    engine = create_engine(
        url,
        connect_args=options,
        poolclass=StaticPool,
        insertmanyvalues_page_size=INSERTED_ROWS,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # else the driver commits before it changes a table
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _began(connection: Connection) -> None:
        # At once with the right to write: a transaction that first reads could not get it later.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _create(path: Path) -> None:
    """SQLite would leave its mode to the umask. One that is there is not touched."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """All or nothing. Raises LedgerUnreachable, LedgerUnusable."""
    try:
        with engine.begin() as connection:
            yield connection
    except LedgerError:
        raise
    except PoolTimeout as error:
        raise LedgerUnreachable("the ledger is busy") from error
    except DBAPIError as error:
        is_passing = isinstance(error, OperationalError) or error.connection_invalidated
        raise _translated(error.orig, is_passing=is_passing) from error
    except sqlite3.Error as error:  # while it connects nobody wraps it
        is_passing = isinstance(error, sqlite3.OperationalError)
        raise _translated(error, is_passing=is_passing) from error


def _translated(error: BaseException | None, *, is_passing: bool) -> LedgerError:
    """The driver's first line holds no password, and no value of a statement."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if any(word in said for word in _DAMAGED):
        return LedgerUnusable(f"the ledger cannot be used: {said}")
    if is_passing:
        return LedgerUnreachable(f"the ledger does not answer: {said}")
    return LedgerError(f"the ledger refused: {said}")
