"""Hosts on one Linux machine: a network namespace each, joined by a bridge. Needs root."""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NETWORK = "10.77.0"
#: Of setns(2), which Python has only from 3.12 on.
CLONE_NEWNET = 0x40000000
OWN_NUMBER = 254


def missing() -> str:
    """Why there can be no hosts here; empty when there can."""
    if os.geteuid() != 0:
        return "not root: network namespaces cannot be made"
    if shutil.which("ip") is None:
        return "no `ip` command: install iproute2"
    return ""


class Hosts:
    """`count` hosts, the first with address 1 of the network; the test itself is on the bridge.

    Whatever they are made of has a name that begins with `prefix`.
    """

    def __init__(self, count: int, prefix: str = "flt", network: str = NETWORK) -> None:
        self.numbers = range(1, count + 1)
        self._prefix = prefix
        self._network = network
        self._bridge = f"{prefix}br"

    def __enter__(self) -> "Hosts":
        self._remove()
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.own_address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for number in self.numbers:
            self._add(number)
        return self

    def __exit__(self, *exc: object) -> None:
        self._remove()

    def address(self, number: int) -> str:
        return f"{self._network}.{number}"

    @property
    def own_address(self) -> str:
        """Where the test itself is for the hosts."""
        return self.address(OWN_NUMBER)

    def socket_on(self, number: int) -> socket.socket:
        """A TCP socket on a host's network that this process holds."""
        with ThreadPoolExecutor(1) as thread:  # only a thread moves, and ends there
            return thread.submit(_socket_in, Path("/run/netns") / self._name(number)).result()

    def start(
        self, number: int, command: list[str], environment: Mapping[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """Starts a command on a host, in a session of its own; `log` has what it says."""
        with log.open("wb") as output:
            return subprocess.Popen(
                ["ip", "netns", "exec", self._name(number), *command],
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(
        self, number: int, command: list[str], environment: Mapping[str, str], timeout_s: float
    ) -> str:
        """Runs a command on a host; answers with its stdout."""
        done = self.ran(number, command, environment, timeout_s)
        assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"
        return done.stdout

    def ran(
        self, number: int, command: list[str], environment: Mapping[str, str], timeout_s: float
    ) -> "subprocess.CompletedProcess[str]":
        """The same for a command that may fail."""
        return subprocess.run(
            ["ip", "netns", "exec", self._name(number), *command],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def cut_off(self, number: int) -> None:
        """Nothing reaches a host any more, and nothing comes from it."""
        _ip("link", "set", self._link(number), "down")

    def join(self, number: int) -> None:
        """Undoes `cut_off`."""
        _ip("link", "set", self._link(number), "up")

    def _add(self, number: int) -> None:
        name, link = self._name(number), self._link(number)
        _ip("netns", "add", name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", link, "master", self._bridge, "up")
        _ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "default", "via", self.own_address)

    def _remove(self) -> None:
        for number in self.numbers:
            # By itself a link ends with its namespace, which is some time after its name is gone.
            _ip("link", "del", self._link(number), check=False)
            _ip("netns", "del", self._name(number), check=False)
        _ip("link", "del", self._bridge, check=False)

    def _link(self, number: int) -> str:
        return f"{self._prefix}ve{number}"

    def _name(self, number: int) -> str:
        return f"{self._prefix}host{number}"


def _socket_in(namespace: Path) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)
    with namespace.open("rb") as opened:
        if libc.setns(opened.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    return socket.socket()


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True)
