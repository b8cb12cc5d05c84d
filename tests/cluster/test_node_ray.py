"""What a worker says of a head that it cannot reach, and what Ray inherits."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster import node_ray
from cluster.errors import RayFailed
from cluster.inventory import Accelerators, Inventory, Node
from cluster.node_ray import NodeRay, require_answer
from cluster.ray_start import Place

LOOPBACK = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """One place in its queue, which nobody empties."""
    with socket.create_server((LOOPBACK, 0), backlog=0) as made:
        yield made


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def test_a_head_that_answers_is_all_that_a_worker_needs(listener: socket.socket) -> None:
    require_answer(LOOPBACK, port_of(listener))
    listener.settimeout(5)
    listener.accept()[0].close()


def test_a_head_without_ray_is_named(listener: socket.socket) -> None:
    port = port_of(listener)
    listener.close()
    with pytest.raises(
        RayFailed, match=f"no Ray on the head, {LOOPBACK}:{port}: Connection refused"
    ):
        require_answer(LOOPBACK, port)


def test_silence_may_be_a_fence_and_the_fix_is_named(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a fence, nobody answers the first packet: the queue is full."""
    monkeypatch.setattr(node_ray, "CONNECT_DEADLINE_S", 0.2)
    with ExitStack() as stack:
        stack.enter_context(socket.create_connection((LOOPBACK, port_of(listener)), 5))
        with pytest.raises(RayFailed, match="A fence lets a new machine in with `flotilla up"):
            require_answer(LOOPBACK, port_of(listener))


def test_ray_of_a_machine_inherits_neither_tokens_nor_what_ray_up_left_in_the_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_TOKEN", "LAMBDA_API_KEY", "OMP_NUM_THREADS", "HF_HOME"):
        monkeypatch.setenv(name, "given")
    node = Node(name="n1", address="172.26.0.11")
    cpu = Accelerators(kind="cpu", count=1, memory_gib=2.5)
    inventory = Inventory(name="c", head="n1", accelerators=cpu, nodes=(node,))
    place = Place(ray="ray", home=str(tmp_path), interface="lo")
    given = NodeRay(inventory, node, place).environment()
    assert [name for name, value in given.items() if value == "given"] == ["HF_HOME"]
