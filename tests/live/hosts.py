"""Hosts on one Linux machine: a network namespace each, joined by a bridge. Needs root."""

import os
import shutil
import subprocess
from collections.abc import Mapping

BRIDGE = "fltbr"
NETWORK = "10.77.0"


def missing() -> str:
    """Why there can be no hosts here; empty when there can."""
    if os.geteuid() != 0:
        return "not root: network namespaces cannot be made"
    if shutil.which("ip") is None:
        return "no `ip` command: install iproute2"
    return ""


class Hosts:
    """`count` hosts with addresses 10.77.0.1 and up; the test itself is on the bridge."""

    def __init__(self, count: int) -> None:
        self.numbers = range(1, count + 1)

    def __enter__(self) -> "Hosts":
        self._remove()
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.254/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for number in self.numbers:
            self._add(number)
        return self

    def __exit__(self, *exc: object) -> None:
        self._remove()

    def address(self, number: int) -> str:
        return f"{NETWORK}.{number}"

    def start(
        self, number: int, command: list[str], environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        """Starts a command on a host, in a session of its own."""
        return subprocess.Popen(
            ["ip", "netns", "exec", _name(number), *command],
            env=dict(environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(
        self, number: int, command: list[str], environment: Mapping[str, str], timeout_s: float
    ) -> str:
        """Runs a command on a host; answers with its stdout."""
        done = subprocess.run(
            ["ip", "netns", "exec", _name(number), *command],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"
        return done.stdout

    def _add(self, number: int) -> None:
        name, link = _name(number), f"fltve{number}"
        _ip("netns", "add", name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", link, "master", BRIDGE, "up")
        _ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "default", "via", f"{NETWORK}.254")

    def _remove(self) -> None:
        for number in self.numbers:
            _ip("netns", "del", _name(number), check=False)
        _ip("link", "del", BRIDGE, check=False)


def _name(number: int) -> str:
    return f"flthost{number}"


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True)
