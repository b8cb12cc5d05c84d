"""A real sshd on loopback that lets the user of the tests in, and nobody else.

While one runs, `ssh` on PATH keeps known hosts in the server's folder, so that the user's own file
is neither read nor written.
"""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from cluster.login import Ssh

READY_DEADLINE_S = 10.0
STOP_DEADLINE_S = 5.0
PROGRAMS = {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}
#: sshd is not on the PATH of every user.
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def missing() -> str:
    """Why there can be no sshd here; empty when there can."""
    lacking = {
        package for program, package in PROGRAMS.items() if not shutil.which(program, path=SEARCHED)
    }
    return f"needs {', '.join(sorted(lacking))}" if lacking else ""


class Sshd:
    """A server at `address`, in place of a node; with `key`, it lets in who another one lets in.

    With `instead`, a script that runs in place of each command; it finds that in
    `$SSH_ORIGINAL_COMMAND`, and the server's folder in `$SSHD_FOLDER`.
    """

    def __init__(
        self, address: str = "127.0.0.1", *, key: Path | None = None, instead: str = ""
    ) -> None:
        self.address = address
        self._given_key = key
        self._instead = instead
        self._process: subprocess.Popen[bytes] | None = None
        self._path = ""

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="flotilla-sshd-"))
        self.port = _free_port(self.address)
        self.key = self._given_key or _keygen(self.folder / "key")
        shutil.copy(self.key.with_suffix(".pub"), self.folder / "authorized_keys")
        self._configure()
        self.set_host_key()
        self._path = os.environ["PATH"]
        self._wrap_ssh()
        return self

    def __exit__(self, *exc: object) -> None:
        os.environ["PATH"] = self._path
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def ssh(self) -> Ssh:
        """The login."""
        return Ssh(user=getpass.getuser(), key=str(self.key), port=self.port)

    def set_host_key(self) -> None:
        """Gives the server a new host key, as a machine that was set up anew has."""
        self.stop()
        key = self.folder / "host_key"
        key.unlink(missing_ok=True)
        _keygen(key)
        self._start()

    def _configure(self) -> None:
        lines = [
            f"ListenAddress {self.address}",
            f"Port {self.port}",
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"PidFile {self.folder}/pid",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "StrictModes no",
            "UsePAM no",
            "MaxStartups 100",
            # An rsync and a shell of the tests' own environment: the same Python as here.
            f"SetEnv PATH={os.environ['PATH']} SSHD_FOLDER={self.folder}",
        ]
        if self._instead:
            script = self.folder / "instead"
            script.write_text(f"#!/bin/sh\n{self._instead}\n")
            script.chmod(0o700)
            lines.append(f"ForceCommand {script}")
        (self.folder / "config").write_text("\n".join(lines) + "\n")

    def _wrap_ssh(self) -> None:
        folder = self.folder / "bin"
        folder.mkdir()
        wrapper = folder / "ssh"
        known = f"-o UserKnownHostsFile={self.folder}/known_hosts"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {known} "$@"\n')
        wrapper.chmod(0o700)
        os.environ["PATH"] = f"{folder}:{self._path}"

    def _start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        log = self.folder / "log"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                # sshd starts itself anew for each connection, so it wants its own full path.
                [
                    str(shutil.which("sshd", path=SEARCHED)),
                    "-D",
                    "-e",
                    "-f",
                    str(self.folder / "config"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        end_s = time.monotonic() + READY_DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end_s:
                raise AssertionError(f"sshd did not start: {log.read_text()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), 1.0):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        """Nobody answers on the port any more."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_DEADLINE_S)
            self._process = None


def _free_port(address: str) -> int:
    with socket.socket() as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def _keygen(path: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=10
    )
    return path
