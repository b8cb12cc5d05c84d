"""Commands and files on one machine of the inventory, over the system's own ssh and rsync: `ray up`
needs both, and they read the user's agent, `known_hosts` and ssh config as everybody expects.

Rules
1. Nothing asks: a password, a passphrase or an unknown host key is a failure with a fix.
2. Every call has a deadline, and its process is gone when the call ends, however it ends.
3. What ssh itself says is turned into NodeUnreachable; what the command says is the caller's.
4. Secrets travel on stdin or as files, never as words of a command.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import NodeUnreachable, PrerequisiteMissing
from cluster.inventory import Inventory, Machine
from cluster.login import Ssh

CONNECT_DEADLINE_S = 10
#: A peer that is silent for three of these is gone.
ALIVE_PERIOD_S = 5
#: ssh's own status for "not connected"; a command may use it too, so its words are looked at.
SSH_FAILED = 255
#: Nothing that we run says more; the rest is dropped.
MAX_OUTPUT_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 16
#: ssh's words for a cause, in lower case, and what to do. It warns of a key before it connects, so
#: what is wrong with the connection is looked for first.
CAUSES = (
    ("could not resolve", "has no address", "check `address` of the inventory"),
    ("connection refused", "has no ssh on this port", "is sshd running, is `ssh.port` right?"),
    ("no route to host", "is not reachable", "is it up, and is this machine on its network?"),
    ("network is unreachable", "is not reachable", "is this machine on its network?"),
    ("timed out", "does not answer", "is it up, and does a firewall let port {port} in?"),
    ("host key verification failed", "has another host key than before", "if it was set up anew, "
     "`ssh-keygen -R {address}` forgets the old one"),
    ("unprotected private key", "did not get the key", "the key's file is open to others: "
     "`chmod 600` it"),
    ("not accessible: no such file", "did not get the key", "`ssh.key` names no file here"),
    ("too many authentication failures", "refused the login", "name the key with `ssh.key`"),
    ("permission denied", "refused the login", "check `ssh.user` and `ssh.key` of the inventory"),
    ("connection closed", "closed the connection", "look at sshd's log on it"),
    ("connection reset", "closed the connection", "look at sshd's log on it"),
    ("broken pipe", "went away", "is it up?"),
    ("not responding", "went away", "is it up?"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command said, and its exit status."""

    status: int
    stdout: str
    stderr: str

    def cause(self) -> str:
        """The last line that it said, which is where programs put the reason."""
        lines = [line for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else f"exit status {self.status}"


@dataclass(frozen=True, slots=True)
class Remote:
    """One machine and the login to it."""

    name: str
    address: str
    ssh: Ssh

    @classmethod
    def of(cls, inventory: Inventory, machine: Machine) -> "Remote":
        return cls(machine.name, machine.address, inventory.ssh_of(machine))

    async def run(
        self,
        command: str,
        *,
        timeout_s: float,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
    ) -> Outcome:
        """Runs a line of shell there; `on_line` hears its stdout as it comes. Raises
        NodeUnreachable, also when time is up.
        """
        words = [*self._ssh_words(), f"{self.ssh.user}@{self.address}", "--", command]
        return await self._finished(words, stdin, timeout_s, on_line)

    async def copy_in(
        self, sources: Sequence[Path], target: str, *, timeout_s: float, options: Sequence[str] = ()
    ) -> Outcome:
        """Brings files or folders there by rsync, whose rules on trailing slashes hold. Raises
        NodeUnreachable.
        """
        over = shlex.join(self._ssh_words())
        there = f"{self.ssh.user}@{self.address}:{target}"
        words = [_program("rsync"), "--archive", *options, "--rsh", over, "--"]
        return await self._finished([*words, *map(str, sources), there], b"", timeout_s, None)

    def _ssh_words(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": CONNECT_DEADLINE_S,
            "ServerAliveInterval": ALIVE_PERIOD_S,
            "ServerAliveCountMax": 3,
            "StrictHostKeyChecking": "accept-new",
            "LogLevel": "ERROR",
        }
        key = []
        if self.ssh.key:
            options["IdentitiesOnly"] = "yes"
            key = ["-i", str(Path(self.ssh.key).expanduser())]
        named = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return [_program("ssh"), "-T", *named, *key, "-p", str(self.ssh.port)]

    async def _finished(
        self,
        words: Sequence[str],
        stdin: bytes,
        timeout_s: float,
        on_line: Callable[[str], None] | None,
    ) -> Outcome:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                outcome = await _spoken_with(process, stdin, on_line)
        except TimeoutError as late:
            raise self._unreachable(f"took longer than {timeout_s:.0f} s", "") from late
        finally:
            await _ended(process)
        if outcome.status == SSH_FAILED or (words[0].endswith("rsync") and outcome.status):
            self._raise_known(outcome)
        return outcome

    def _raise_known(self, outcome: Outcome) -> None:
        said = outcome.stderr.lower()
        for words, cause, fix in CAUSES:
            if words in said:
                fix = fix.format(address=self.address, port=self.ssh.port)
                raise self._unreachable(cause, fix)
        if outcome.status == SSH_FAILED:
            raise self._unreachable(f"cannot be reached: {outcome.cause()}", "")

    def _unreachable(self, cause: str, fix: str) -> NodeUnreachable:
        login = f"{self.ssh.user}@{self.address}"
        return NodeUnreachable(self.name, f"{login} {cause}", fix)


async def _spoken_with(
    process: asyncio.subprocess.Process, stdin: bytes, on_line: Callable[[str], None] | None
) -> Outcome:
    # The stream objects are there because all three were asked for as pipes.
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise PrerequisiteMissing("a process without pipes")
    _, stdout, stderr = await asyncio.gather(
        _feed(process.stdin, stdin),
        _read(process.stdout, on_line),
        _read(process.stderr, None),
    )
    return Outcome(await process.wait(), stdout, stderr)


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    """A command that does not read to the end has its reasons."""
    with contextlib.suppress(ConnectionError):
        stream.write(data)
        await stream.drain()
    stream.close()
    with contextlib.suppress(ConnectionError):
        await stream.wait_closed()


async def _read(stream: asyncio.StreamReader, on_line: Callable[[str], None] | None) -> str:
    kept = bytearray()
    while chunk := await _line(stream):
        if on_line is not None:
            on_line(chunk.decode(errors="replace").rstrip("\r\n"))
        if len(kept) < MAX_OUTPUT_BYTES:
            kept += chunk
    return kept.decode(errors="replace")


async def _line(stream: asyncio.StreamReader) -> bytes:
    """A line, or as much of one as the limit allows; empty at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as long:
        return await stream.readexactly(max(1, long.consumed))


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Ends rsync and its ssh together; what they started there sees its pipes close."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PrerequisiteMissing(f"no `{name}` here: on Debian and Ubuntu, apt-get install {name}")
    return found
