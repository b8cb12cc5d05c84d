"""A fence on real packets: raised over ssh around two machines, tried from a third."""

import contextlib
import re
import select
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from cluster.errors import FenceFailed
from cluster.fence import Fence, read_fence
from cluster.node_fence import FILE, UNIT, lower_fence, raise_fence, standing_fence
from tests.cluster.fence_rig import (
    OTHER_SSH_PORT,
    PATIENCE_S,
    Host,
    can_reach,
    connect,
    echoes,
    hosts,
    listening,
    missing,
    reached,
)
from tests.cluster.tcp_packet import DISGUISES, fragments, segment

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is all it needs")

GCS, WORKER, RANK, GATEWAY, OWN = 6379, 10002, 45000, 8000, 80
DASHBOARD, RAY_DASHBOARD = 8001, 8265
PORTS = (GCS, WORKER, RANK, DASHBOARD, RAY_DASHBOARD, GATEWAY, OWN)
PUBLIC = [GATEWAY, OWN]
REPLACEMENTS = 40
KNOCKS_AT_ONCE = 100
OTHER_TABLE = (
    "table inet filter { chain input { type filter hook input priority 0; policy accept; "
    "tcp dport 8000 drop; }; }"
)


@pytest.fixture(autouse=True)
def known_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh that keeps the machines' keys out of the user's files."""
    shim = tmp_path / "bin" / "ssh"
    shim.parent.mkdir()
    forget = f"-F none -o UserKnownHostsFile={tmp_path}/known_hosts"
    shim.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {forget} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent), prepend=":")


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[list[Host]]:
    """Two of the inventory, the first of which listens, and a stranger."""
    with hosts(3, tmp_path) as made, listening(made[0], PORTS):
        yield made


def around(*members: Host) -> Fence:
    addresses = frozenset(IPv4Address(member.address) for member in members)
    return Fence(addresses, frozenset({GATEWAY}))


def stand(node: Host, *members: Host) -> None:
    """Puts a fence around the members on the node, without ssh."""
    file = node.home / "fence.nft"
    file.write_text(around(*members).ruleset())
    node.run("nft", "-f", str(file))


async def test_62_only_the_inventory_reaches_inner_ports_until_the_fence_is_lowered(
    trio: list[Host],
) -> None:
    node, other, stranger = trio
    await raise_fence(node.remote(), around(node, other))
    assert reached(other, node.address, PORTS) == list(PORTS)
    assert reached(node, node.address, PORTS) == list(PORTS)
    assert reached(node, "127.0.0.1", PORTS) == list(PORTS)
    assert reached(node, "::1", PORTS) == list(PORTS)
    assert reached(stranger, node.address, PORTS) == PUBLIC
    assert reached(stranger, node.address_6, PORTS) == PUBLIC
    assert can_reach(stranger, node.address, 22)
    assert await lower_fence(node.remote())
    assert reached(stranger, node.address, PORTS) == list(PORTS)
    assert reached(stranger, node.address_6, PORTS) == list(PORTS)
    assert not await lower_fence(node.remote())


def test_connections_that_stand_go_on_in_both_directions(trio: list[Host]) -> None:
    node, other, stranger = trio
    with (
        listening(stranger, [RANK]),
        connect(stranger, node.address, RANK) as inwards,
        connect(node, stranger.address, RANK) as outwards,
    ):
        stand(node, node, other)
        assert not can_reach(stranger, node.address, RANK)
        assert echoes(inwards)
        assert echoes(outwards)
        with connect(node, stranger.address, RANK) as later:
            assert echoes(later)


def test_what_is_not_tcp_is_not_touched(trio: list[Host]) -> None:
    node, other, stranger = trio
    stand(node, node, other)
    udp = (socket.AF_INET, socket.SOCK_DGRAM)
    with node.socket(*udp) as here, stranger.socket(*udp) as there:
        here.bind(("", RANK))
        here.settimeout(PATIENCE_S)
        there.sendto(b"word", (node.address, RANK))
        assert here.recv(4) == b"word"


def test_a_first_packet_in_disguise_is_refused_too(trio: list[Host]) -> None:
    node, other, stranger = trio
    stand(node, node, other)
    raw = (socket.AF_INET, socket.SOCK_RAW)
    with stranger.socket(*raw, socket.IPPROTO_TCP) as odd:
        for flags in DISGUISES:
            odd.sendto(segment(stranger.address, (node.address, RANK), flags), (node.address, 0))
    with stranger.socket(*raw, socket.IPPROTO_RAW) as cut:
        for packet in fragments(stranger.address, (node.address, RANK)):
            cut.sendto(packet, (node.address, 0))
    standing = read_fence(node.run("nft", "-j", "list", "table", "inet", "flotilla"))
    assert standing.refused_packets == len(DISGUISES) + 1


async def test_the_port_that_took_the_login_stays_open_to_everybody(trio: list[Host]) -> None:
    node, other, stranger = trio
    raised = await raise_fence(node.remote(OTHER_SSH_PORT), around(node, other))
    assert raised.public_ports == {GATEWAY, OTHER_SSH_PORT}
    assert reached(stranger, node.address, [22, OTHER_SSH_PORT, RANK]) == [22, OTHER_SSH_PORT]
    await raise_fence(node.remote(), around(node, other))
    assert reached(stranger, node.address, [22, OTHER_SSH_PORT, RANK]) == [22]


async def test_raising_it_again_changes_nothing_and_what_it_refused_can_be_read(
    trio: list[Host],
) -> None:
    node, other, stranger = trio
    assert await standing_fence(node.remote()) is None
    raised = await raise_fence(node.remote(), around(node, other))
    once = node.nft_ruleset()
    assert await raise_fence(node.remote(), around(other, node)) == raised
    assert node.nft_ruleset() == once
    assert not can_reach(stranger, node.address, GCS)
    standing = await standing_fence(node.remote())
    assert standing is not None
    assert standing.fence == raised
    assert standing.refused_packets >= 1
    assert node.written(FILE) is None, "without systemd nothing reads it"
    assert node.written(UNIT) is None


def test_a_node_is_let_in_by_a_new_fence_and_shut_out_by_the_next(trio: list[Host]) -> None:
    node, other, joining = trio
    for members, let_in in (((node, other), False), (trio, True), ((node, other), False)):
        stand(node, *members)
        assert can_reach(joining, node.address, GCS) is let_in


def test_there_is_no_moment_without_a_fence_while_it_is_replaced(trio: list[Host]) -> None:
    node, other, stranger = trio
    stand(node, node, other)
    with ThreadPoolExecutor(1) as pool:
        is_over = threading.Event()
        got_in = pool.submit(knock, stranger, (node.address, RANK), is_over)
        for _ in range(REPLACEMENTS):
            stand(node, node, other)
        is_over.set()
    knocks, inside = got_in.result()
    assert knocks > REPLACEMENTS
    assert inside == 0
    assert can_reach(other, node.address, RANK)


def knock(host: Host, target: tuple[str, int], is_over: threading.Event) -> tuple[int, int]:
    """Sends first packets until it is over; answers with how many, and how many got in."""
    knocks = inside = 0
    while not is_over.is_set():
        with contextlib.ExitStack() as stack:
            doors = [
                stack.enter_context(host.socket(socket.AF_INET, socket.SOCK_STREAM))
                for _ in range(KNOCKS_AT_ONCE)
            ]
            for door in doors:
                door.setblocking(False)
                door.connect_ex(target)
            knocks += len(doors)
            _, opened, _ = select.select([], doors, [], 0)
            inside += len(opened)
    return knocks, inside


async def test_a_ruleset_that_nft_refuses_leaves_the_old_fence(trio: list[Host]) -> None:
    node, other, _ = trio
    await raise_fence(node.remote(), around(node, other))
    before = node.nft_ruleset()
    with pytest.raises(FenceFailed, match=r"ftf1: its fence did not come about: .*Error: "):
        await raise_fence(node.remote(), around(node).with_port(70000))
    assert node.nft_ruleset() == before


async def test_a_fence_that_would_shut_the_node_itself_out_is_not_raised(trio: list[Host]) -> None:
    node, other, _ = trio
    with pytest.raises(FenceFailed, match=r"ftf1: it reaches the others from 10\.76\.0\.1, where"):
        await raise_fence(node.remote(), around(other))
    nowhere = Fence(around(node, other).addresses | {IPv4Address("10.99.0.1")}, frozenset())
    with pytest.raises(FenceFailed, match="no route to all of the inventory: RTNETLINK answers"):
        await raise_fence(node.remote(), nowhere)
    assert await standing_fence(node.remote()) is None


async def test_other_tables_stand_and_what_they_close_stays_closed(trio: list[Host]) -> None:
    node, other, stranger = trio
    node.run("nft", OTHER_TABLE)
    before = node.nft_ruleset()
    await raise_fence(node.remote(), around(node, other))
    assert reached(stranger, node.address, PORTS) == [OWN]
    assert await lower_fence(node.remote())
    assert node.nft_ruleset() == before


async def test_a_table_of_our_name_that_is_no_fence_is_named_and_replaced(trio: list[Host]) -> None:
    node, other, _ = trio
    node.run("nft", "add table inet flotilla")
    with pytest.raises(FenceFailed, match="ftf1: the table has no chain"):
        await standing_fence(node.remote())
    await raise_fence(node.remote(), around(node, other))
    assert await standing_fence(node.remote()) is not None


async def test_under_systemd_it_stands_again_after_a_boot_until_it_is_lowered(
    tmp_path: Path,
) -> None:
    with hosts(1, tmp_path, has_systemd=True) as (node,):
        raised = await raise_fence(node.remote(), around(node))
        node.run("nft", "flush ruleset")
        (start,) = re.findall(r"^ExecStart=(.*)$", node.written(UNIT) or "", re.MULTILINE)
        assert await on(node, start) == ""
        standing = await standing_fence(node.remote())
        assert standing is not None
        assert standing.fence == raised
        with pytest.raises(FenceFailed):
            await raise_fence(node.remote(), around(node).with_port(70000))
        assert node.written(FILE) == raised.ruleset()
        assert await on(node, "ls /etc/flotilla") == "fence.nft\n"
        assert await lower_fence(node.remote())
        assert await on(node, f"ls -d /etc/flotilla {UNIT} || true") == ""
        assert (node.home / "systemctl.log").read_text().split("\n") == [
            "--quiet enable flotilla-fence.service",
            "--quiet disable flotilla-fence.service",
            "",
        ]


async def on(node: Host, command: str) -> str:
    """What the command says on the node, which sees its own /etc."""
    return (await node.remote().run(command, timeout_s=10)).stdout
