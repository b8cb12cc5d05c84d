"""Machines on a bridge, for the fence: each a network namespace with an sshd of its own that sees
its own /etc and /run. The test itself is on the bridge, as an operator outside the inventory. Needs
root.
"""

import contextlib
import ctypes
import os
import re
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster.login import Ssh
from cluster.remote import Remote

BRIDGE = "ftfbr"
NETWORK, NETWORK_6 = "10.76.0.", "fd00:76::"
OPERATOR = 254
SSH_PORT = 22
#: Among those that are fenced, and in no inventory.
OTHER_SSH_PORT = 2022
READY_DEADLINE_S = 10
#: On a bridge an answer takes less than a millisecond; what is dropped never comes.
PATIENCE_S = 0.4
CLONE_NEWNET = 0x40000000
TOOLS = ("ip", "nft", "sudo", "ssh", "sshd", "ssh-keygen", "unshare", "mount")
#: Killing the first of its processes ends them all.
UNSHARED = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
#: A disk of its own for what the fence writes, and a systemctl that only takes notes.
INIT = """\
exec 2> {home}/init.log
set -e
mount --make-rprivate /
mkdir {home}/upper {home}/work
mount -t overlay overlay -o lowerdir=/etc,upperdir={home}/upper,workdir={home}/work /etc
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd {booted}
printf '#!/bin/sh\\necho "$@" >> {home}/systemctl.log\\n' > {home}/systemctl
chmod 755 {home}/systemctl
! [ -e /usr/bin/systemctl ] || mount --bind {home}/systemctl /usr/bin/systemctl
exec /usr/sbin/sshd -D -f {home}/sshd_config -E {home}/sshd.log
"""


def missing() -> str:
    """Why there can be no machines here; empty when there can."""
    if os.geteuid() != 0:
        return "not root: network namespaces cannot be made"
    for tool in TOOLS:
        if shutil.which(tool) is None:
            return f"no `{tool}`: install iproute2, nftables, sudo and openssh-server"
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    return f"no nf_tables: {listed.stderr.strip()}" if listed.returncode else ""


class Host:
    """One machine, `10.76.0.<number>`."""

    def __init__(self, number: int, folder: Path, has_systemd: bool) -> None:
        self.name = f"ftf{number}"
        self.address = f"{NETWORK}{number}"
        self.address_6 = f"{NETWORK_6}{number}"
        self.home = folder / self.name
        self.key = folder / "key"
        self.has_systemd = has_systemd
        self.sshd: subprocess.Popen[bytes] | None = None

    def remote(self, port: int = SSH_PORT) -> Remote:
        return Remote(self.name, self.address, Ssh(user="root", key=str(self.key), port=port))

    def start(self) -> None:
        """Starts sshd and waits for it."""
        self.home.mkdir()
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.home / "host_key"))
        (self.home / "sshd_config").write_text(
            f"Port {SSH_PORT}\nPort {OTHER_SSH_PORT}\nHostKey {self.home}/host_key\n"
            f"AuthorizedKeysFile {self.key}.pub\nPermitRootLogin yes\nStrictModes no\nUsePAM no\n"
        )
        booted = "/run/systemd/system" if self.has_systemd else ""
        init = INIT.format(home=self.home, booted=booted)
        self.sshd = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", *UNSHARED, "sh", "-c", init],
            stdin=subprocess.DEVNULL,
        )
        end_s = time.monotonic() + READY_DEADLINE_S
        while not can_reach(self, "127.0.0.1", SSH_PORT):
            if self.sshd.poll() is not None or time.monotonic() > end_s:
                raise AssertionError((self.home / "init.log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        if self.sshd is not None:
            self.sshd.kill()
            self.sshd.wait()

    def run(self, *words: str, check: bool = True) -> str:
        """Runs a command on its network."""
        return run("ip", "netns", "exec", self.name, *words, check=check)

    def nft_ruleset(self) -> str:
        """All tables, without what was counted."""
        return re.sub(r"packets \d+ bytes \d+", "", self.run("nft", "list", "ruleset"))

    def written(self, path: str) -> str | None:
        """What it has under /etc and was not there before; None when there is no such file."""
        file = self.home / "upper" / path.removeprefix("/etc/")
        return file.read_text() if file.is_file() else None

    def socket(
        self, family: socket.AddressFamily, kind: socket.SocketKind, protocol: int = 0
    ) -> socket.socket:
        """A socket on its network, made by a thread that goes there for that."""
        made: list[socket.socket] = []

        def make() -> None:
            with open(f"/run/netns/{self.name}") as there:
                if ctypes.CDLL(None).setns(there.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.socket(family, kind, protocol))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]


@contextlib.contextmanager
def hosts(count: int, folder: Path, *, has_systemd: bool = False) -> Iterator[list[Host]]:
    """That many machines, each with its sshd."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
    made = [Host(number, folder, has_systemd) for number in range(1, count + 1)]
    try:
        _remove_network(made)
        _make_network(made)
        for host in made:
            host.start()
        yield made
    finally:
        for host in made:
            host.stop()
        _remove_network(made)


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while heard := self.request.recv(64):
                self.request.sendall(heard)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: Host, port: int) -> None:
        super().__init__(("::", port), _Echo, bind_and_activate=False)
        self.socket.close()
        self.socket = host.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(self.server_address)
        self.server_activate()


@contextlib.contextmanager
def listening(host: Host, ports: Sequence[int]) -> Iterator[None]:
    """Servers on these ports, for both families, that send back what they hear."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            server = stack.enter_context(_Server(host, port))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield


def connect(host: Host, address: str, port: int) -> socket.socket:
    """A connection from the host. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = host.socket(family, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_S)
    try:
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def can_reach(host: Host, address: str, port: int) -> bool:
    try:
        connect(host, address, port).close()
    except OSError:
        return False
    return True


def reached(host: Host, address: str, ports: Sequence[int]) -> list[int]:
    """Those of the ports that the host can open a connection to; tried all at once."""
    with ThreadPoolExecutor(len(ports)) as pool:
        tried = list(pool.map(lambda port: can_reach(host, address, port), ports))
    return [port for port, is_open in zip(ports, tried, strict=True) if is_open]


def echoes(connection: socket.socket) -> bool:
    """Whether the connection carries a word there and back."""
    connection.sendall(b"word")
    return connection.recv(4) == b"word"


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def _make_network(made: list[Host]) -> None:
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "addr", "add", f"{NETWORK}{OPERATOR}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for host in made:
        name, link = host.name, f"{host.name}ve"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eno1", "netns", name)
        run("ip", "link", "set", link, "master", BRIDGE, "up")
        host.run("ip", "addr", "add", f"{host.address}/24", "dev", "eno1")
        host.run("ip", "addr", "add", f"{host.address_6}/64", "dev", "eno1", "nodad")
        host.run("ip", "link", "set", "eno1", "up")
        host.run("ip", "link", "set", "lo", "up")


def _remove_network(made: list[Host]) -> None:
    for host in made:
        # A namespace goes when its last socket does, and its end of the cable with it.
        run("ip", "link", "del", f"{host.name}ve", check=False)
        run("ip", "netns", "del", host.name, check=False)
    run("ip", "link", "del", BRIDGE, check=False)
