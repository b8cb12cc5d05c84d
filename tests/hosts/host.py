"""Hosts on one Linux machine, each like a machine of its own: address, hostname, processes, `/tmp`,
`/dev/shm`, `/home`, a user with sudo and an sshd that lets one key in. Needs root.

What they share is the kernel, the file system outside of that, and the clock.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: That `.venv` was made from.
PYTHON = Path(sys.base_prefix)
INIT = Path(__file__).parent / "init.sh"
BRIDGE = "flthbr"
NETWORK = "10.77.1"
USER = "ubuntu"
USER_ID = 7001
READY_DEADLINE_S = 20.0
PROGRAMS = {
    "ip": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "rsync": "rsync",
    "sudo": "sudo",
    "unshare": "util-linux",
}


def missing() -> str:
    """Why there can be no hosts here; empty when there can."""
    if os.geteuid() != 0:
        return "not root: hosts are made of namespaces"
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if lacking:
        return f"needs {', '.join(lacking)}"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False)
    return "namespaces cannot be made here" if tried.returncode else ""


@dataclass
class Host:
    """One of them; `number` is the end of its address."""

    number: int
    folder: Path
    key: Path
    init: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def name(self) -> str:
        return f"flthost{self.number}"

    @property
    def node(self) -> str:
        """Its name in an inventory."""
        return "head-1" if self.number == 1 else f"node-{self.number - 1}"

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.number}"

    @property
    def home(self) -> Path:
        """Where the test finds the user's files."""
        return self.folder / "home" / USER

    def start(self) -> None:
        """Switches it on."""
        (self.folder / "ready").unlink(missing_ok=True)
        namespaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        command = ["unshare", *namespaces, "--mount-proc", "bash", str(INIT)]
        where = ["ip", "netns", "exec", self.name]
        with (self.folder / "init.log").open("wb") as output:
            self.init = subprocess.Popen(
                [*where, *command, self.name, self.folder, USER, ROOT, PYTHON],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end_s = time.monotonic() + READY_DEADLINE_S
        while not (self.folder / "ready").exists():
            if self.init.poll() is not None or time.monotonic() > end_s:
                raise AssertionError((self.folder / "init.log").read_text())
            time.sleep(0.02)

    def cut_power(self) -> None:
        """Ends everything on it at once; its disk stays."""
        if self.init is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.init.pid, signal.SIGKILL)
            self.init.wait()
            self.init = None

    def set_link(self, state: str) -> None:
        """`up` or `down`: the cable."""
        _ip("link", "set", f"flthve{self.number}", state)

    def ssh_words(self) -> list[str]:
        quiet = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        return ["ssh", "-q", *quiet, "-o", "BatchMode=yes", "-i", str(self.key)]

    def run(
        self, command: str, *, timeout_s: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a line of shell as the user, over ssh."""
        done = subprocess.run(
            [*self.ssh_words(), f"{USER}@{self.address}", "--", command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode:
            said = f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
            raise AssertionError(f"{self.name}: {command}: {done.returncode}\n{said}")
        return done

    def processes(self) -> list[str]:
        """The commands of all that runs on it, but for ssh and what asks."""
        listed = self.run("ps -eo args --no-headers").stdout.splitlines()
        system = ("bash " + str(INIT), "sleep 1000", "sshd:", "/usr/sbin/sshd", "ps -eo")
        return [line for line in listed if not line.startswith(system) and "<defunct>" not in line]


@contextlib.contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """That many hosts, 10.77.1.1 and up; the test itself is 10.77.1.254."""
    folder = Path(tempfile.mkdtemp(prefix="flthosts"))
    folder.chmod(0o755)
    key = folder / "key"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    made = [Host(number, folder / str(number), key) for number in range(1, count + 1)]
    try:
        _remove_network(made)
        _make_network(made)
        for host in made:
            _furnish(host, made)
            host.start()
        yield made
    finally:
        for host in made:
            host.cut_power()
        _remove_network(made)
        shutil.rmtree(folder)


def _make_network(made: list[Host]) -> None:
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{NETWORK}.254/24", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    for host in made:
        link = f"flthve{host.number}"
        _ip("netns", "add", host.name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eno1", "netns", host.name)
        _ip("link", "set", link, "master", BRIDGE, "up")
        _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eno1")
        _ip("-n", host.name, "link", "set", "eno1", "up")
        _ip("-n", host.name, "link", "set", "lo", "up")


def _remove_network(made: list[Host]) -> None:
    for host in made:
        # A name space lives on until its last process is gone; its cable goes now.
        _ip("link", "del", f"flthve{host.number}", check=False)
        _ip("netns", "del", host.name, check=False)
    _ip("link", "del", BRIDGE, check=False)


def _furnish(host: Host, made: list[Host]) -> None:
    """Its disk: the files of `/etc` that differ, the user's home, sshd's own files."""
    etc = host.folder / "etc"
    (etc / "sudoers.d").mkdir(parents=True)
    for file in ("passwd", "group", "shadow"):
        shutil.copy(Path("/etc") / file, etc / file)
    _append(etc / "passwd", f"{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/bash\n")
    _append(etc / "group", f"{USER}:x:{USER_ID}:\n")
    _append(etc / "shadow", f"{USER}:*:19000:0:99999:7:::\n")
    names = "".join(f"{each.address} {each.name}\n" for each in made)
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
    (etc / "hostname").write_text(f"{host.name}\n")
    rights = etc / "sudoers.d" / USER
    rights.write_text(f"{USER} ALL=(ALL) NOPASSWD:ALL\n")
    rights.chmod(0o440)
    _furnish_home(host)
    host_key = host.folder / "host_key"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key))
    (host.folder / "sshd_config").write_text(
        "HostKey /mnt/host/host_key\nUsePAM no\nPasswordAuthentication no\nStrictModes yes\n"
        "PidFile /run/sshd.pid\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
    )


def _furnish_home(host: Host) -> None:
    """The key lets in on every host, and is on every host, as on a 1-Click Cluster."""
    ssh = host.home / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    shutil.copy(host.key.with_suffix(".pub"), ssh / "authorized_keys")
    shutil.copy(host.key, ssh / "1cc")
    for folder in (host.home, *host.home.rglob("*")):
        shutil.chown(folder, USER_ID, USER_ID)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line)


def _ip(*arguments: str, check: bool = True) -> None:
    _run("ip", *arguments, check=check)


def _run(*command: str, check: bool = True) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
