"""What goes wrong on a machine, and what is said about it: one line with the cause and the fix."""

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from cluster.errors import FenceFailed, NodeFailed, NodeUnreachable
from cluster.fence import Fence
from cluster.login import Ssh
from cluster.node_fence import UNIT_TEXT, lower_fence, raise_fence, standing_fence
from cluster.remote import Outcome, Remote

FENCE = Fence(frozenset({IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")}), frozenset({8000}))
LOGIN = "10.9.9.9 50000 10.0.0.1 22\n"
ROUTES = "local 10.0.0.1 dev lo src 10.0.0.1 uid 0 \\ cache\n10.0.0.2 dev eno1 src 10.0.0.1 uid 0\n"
SEEN = Outcome(0, LOGIN + ROUTES, "")
DONE = Outcome(0, "", "")


@dataclass(frozen=True)
class Scripted(Remote):
    """A machine that answers from a list, and remembers what it was fed."""

    answers: list[Outcome] = field(default_factory=list)
    fed: list[bytes] = field(default_factory=list)

    async def run(
        self,
        command: str,
        *,
        timeout_s: float,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
    ) -> Outcome:
        self.fed.append(stdin)
        if not self.answers:
            raise NodeUnreachable(self.name, "it went away", "is it up?")
        return self.answers.pop(0)


def machine(*answers: Outcome) -> Scripted:
    return Scripted("node-1", "10.0.0.1", Ssh(), list(answers))


def listed(fence: Fence) -> Outcome:
    addresses = [str(each) for each in fence.addresses]
    objects = [
        {"set": {"name": "inventory", "elem": addresses}},
        {"set": {"name": "public", "elem": sorted(fence.public_ports)}},
        {"counter": {"name": "refused", "packets": 0, "bytes": 0}},
        {"chain": {"name": "input"}},
    ]
    return Outcome(0, json.dumps({"nftables": objects}), "")


async def test_what_is_loaded_has_the_port_of_the_login_and_is_read_back() -> None:
    whole = FENCE.with_port(22)
    remote = machine(SEEN, DONE, listed(whole))
    assert await raise_fence(remote, FENCE) == whole
    assert remote.fed[:2] == [
        b"route get 10.0.0.1\nroute get 10.0.0.2\n",
        whole.ruleset().encode(),
    ]


@pytest.mark.parametrize(
    "standing", [listed(FENCE), Outcome(1, "", "Error: No such file or directory")]
)
async def test_a_fence_that_does_not_stand_as_raised_is_a_failure(standing: Outcome) -> None:
    with pytest.raises(FenceFailed, match="node-1: another fence stands than was raised"):
        await raise_fence(machine(SEEN, DONE, standing), FENCE)


async def test_a_machine_that_is_lost_after_raising_is_said_to_have_a_fence() -> None:
    with pytest.raises(FenceFailed, match="its fence is up, but then it went away: on its console"):
        await raise_fence(machine(SEEN, DONE), FENCE)


@pytest.mark.parametrize(
    "said", ["", "\n", "\n" + ROUTES, "a b c d\n", "a 1 b 22 c\n", "a 1 b ²\n"]
)
async def test_a_login_of_unknown_port_is_not_put_at_risk(said: str) -> None:
    remote = machine(Outcome(0, said, ""))
    with pytest.raises(FenceFailed, match="does not say on which port"):
        await raise_fence(remote, FENCE)
    assert len(remote.fed) == 1


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("sudo: a password is required", "sudo asks for a password: let the login use sudo"),
        ("x is not in the sudoers file.", "sudo is refused: let the login use sudo"),
        ("Sorry, user x is not allowed to execute '/bin/sh' as root on h.", "sudo is refused"),
        ("sudo: unable to resolve host h\nsh: 3: nft: not found", "it has no nft: apt-get install"),
        ("bash: line 1: nft: command not found", "it has no nft: apt-get install nftables there"),
        ("sh: 1: sudo: not found", "it has no sudo: apt-get install sudo there"),
        ("Unable to initialize Netlink socket: Protocol not supported", "has no nf_tables"),
        ("Error: Could not process rule: Operation not supported\n^^^", "has no nf_tables"),
        ("netlink: Error: cache initialization failed: Operation not permitted", "CAP_NET_ADMIN"),
        ("cat: write error: No space left on device", "its disk is full: make room under /etc"),
        (
            "/dev/stdin:2:66-66: Error: syntax error\ntable x\n     ^",
            "2:66-66: Error: syntax error",
        ),
        ("", "exit status 1"),
    ],
)
async def test_what_sudo_the_shell_and_nft_say_becomes_a_cause_and_a_fix(
    stderr: str, said: str
) -> None:
    failed = Outcome(1, "", stderr)
    for act in (
        raise_fence(machine(SEEN, failed), FENCE),
        standing_fence(machine(failed)),
        lower_fence(machine(failed)),
    ):
        with pytest.raises(FenceFailed) as caught:
            await act
        assert said in str(caught.value)
        assert str(caught.value).startswith("node-1: ")
        assert "\n" not in str(caught.value)


async def test_a_node_that_fails_names_itself_its_cause_and_its_fix() -> None:
    with pytest.raises(NodeFailed) as caught:
        await lower_fence(machine(Outcome(1, "", "sh: 1: sudo: not found")))
    error = caught.value
    assert (error.node, error.cause) == ("node-1", "it has no sudo")
    assert str(error) == f"{error.node}: {error.cause}: {error.fix}"


async def test_lowering_says_whether_there_was_one() -> None:
    assert await lower_fence(machine(Outcome(0, "lowered\n", "")))
    assert not await lower_fence(machine(DONE))


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="no systemd-analyze: install systemd"
)
async def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "flotilla-fence.service"
    unit.write_text(UNIT_TEXT)
    verify = await asyncio.create_subprocess_exec(
        "systemd-analyze",
        "verify",
        unit,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await verify.communicate()
    assert (said, verify.returncode) == (b"", 0)
