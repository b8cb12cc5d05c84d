"""A PostgreSQL server of the test's own: Debian's binaries in a temporary folder, reached over a
socket in it. PostgreSQL does not run as root, so as root it runs as the user that its package made.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

_VERSIONS = Path("/usr/lib/postgresql")
#: A test's data need not survive a power cut.
_QUICK = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=20")


@dataclass
class Server:
    folder: Path
    binaries: Path
    _names: Iterator[int] = field(default_factory=count)

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= {' '.join(_QUICK)}"
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """At once, as a machine that is switched off."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def new_database(self) -> str:
        """The DSN of an empty one."""
        name = f"ledger{next(self._names)}"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn(name)

    def dsn(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def make(self) -> None:
        self._run("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")

    def _run(self, program: str, *args: str) -> None:
        command = [str(self.binaries / program), "-D", str(self.folder / "data"), *args]
        user = "postgres" if os.getuid() == 0 else None
        done = subprocess.run(
            command, user=user, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


@contextmanager
def postgresql() -> Iterator[Server]:
    """A running server; skips where there are no binaries."""
    found = sorted(_VERSIONS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL's server is missing: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="flotilla-pg-"))
    try:
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server = Server(folder, found[-1].parent)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
