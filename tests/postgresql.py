"""A PostgreSQL server of the test's own: Debian's binaries in a temporary folder, reached over a
socket in it. PostgreSQL does not run as root, so as root it runs as the user that its package made.
"""

import os
import pwd
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
#: Waits for the end of its input, then leaves nothing. $1 is where the programs are, $2 the folder.
_LEASH = 'cat; "$1/pg_ctl" -D "$2/data" -m immediate stop; rm -rf "$2"'
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

    def leash(self) -> "subprocess.Popen[bytes]":
        """Whoever stops the server and takes the folder away when its input ends: after the tests,
        or when they are killed, which nobody can be told of otherwise.
        """
        command = ["sh", "-c", _LEASH, "leash", str(self.binaries), str(self.folder)]
        out = subprocess.DEVNULL
        return subprocess.Popen(
            command,
            user=_user(),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def _run(self, program: str, *args: str) -> None:
        command = [str(self.binaries / program), "-D", str(self.folder / "data"), *args]
        done = subprocess.run(
            command, user=_user(), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


def _user() -> str | None:
    return "postgres" if os.getuid() == 0 else None


@contextmanager
def postgresql() -> Iterator[Server]:
    """A running server; skips where there are no binaries."""
    found = sorted(_VERSIONS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL's server is missing: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="flotilla-pg-"))
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    server = Server(folder, found[-1].parent)
    with server.leash():
        server.make()
        server.start()
        yield server
