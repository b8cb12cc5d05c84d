"""An inventory that is wrong says where and what would be right, all at once."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.inventory import Inventory
from deployments.errors import InventoryInvalid
from deployments.inventory_file import load_inventory, parse_inventory

NODE = "  - {name: n1, address: 10.0.0.1}\n"
WHOLE = "name: c\naccelerators: {kind: h100-sxm-80gb, count: 8}\nnodes:\n" + NODE


def inventory(text: str) -> Inventory:
    return parse_inventory(text.encode(), "nodes.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(InventoryInvalid) as caught:
        inventory(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_node_has_what_the_inventory_says_for_all_unless_it_says_otherwise() -> None:
    made = inventory(
        WHOLE
        + "  - {name: n2, address: 10.0.0.2, accelerators: {kind: a10-24gb, count: 1},\n"
        + "     storage: {local: /fast}, labels: {pool: small}}\n"
    )
    first, second = made.nodes
    assert made.accelerators_of(first).count == 8
    assert (made.accelerators_of(second).kind, made.accelerators_of(second).count) == (
        "a10-24gb",
        1,
    )
    assert made.storage_of(first).roots() == ()
    assert made.storage_of(second).roots() == ("/fast",)


def test_a_head_of_the_list_is_no_worker_and_still_holds_replicas() -> None:
    made = inventory(WHOLE + "  - {name: n2, address: 10.0.0.2}\nhead: n1\n")
    assert made.head_machine() == made.nodes[0]
    assert [node.name for node in made.workers()] == ["n2"]
    assert made.accelerators_of(made.nodes[0]).count == 8


def test_a_head_of_its_own_holds_nothing_and_all_nodes_are_workers() -> None:
    made = inventory(WHOLE + "head: {name: h, address: 10.0.0.9, ssh: {user: root}}\n")
    head = made.head_machine()
    assert head is not None
    assert (head.address, made.ssh_of(head).user) == ("10.0.0.9", "root")
    assert made.workers() == made.nodes


def test_what_a_node_leaves_out_of_its_login_it_has_from_the_inventory() -> None:
    made = inventory(
        WHOLE
        + "  - {name: n2, address: 10.0.0.2, ssh: {port: 2222}, interface: eno1}\n"
        + "ssh: {user: admin, key: ~/.ssh/1cc}\ninterface: enp5s0\n"
    )
    first, second = (made.ssh_of(node) for node in made.nodes)
    assert (first.user, first.key, first.port) == ("admin", "~/.ssh/1cc", 22)
    assert (second.user, second.key, second.port) == ("admin", "~/.ssh/1cc", 2222)
    assert [made.interface_of(node) for node in made.nodes] == ["enp5s0", "eno1"]
    assert inventory(WHOLE).head_machine() is None


def test_a_stated_amount_of_memory_is_believed_before_the_table() -> None:
    made = inventory(WHOLE.replace("count: 8", "count: 8, memory_gib: 64"))
    each = made.accelerators_of(made.nodes[0]).each()
    assert each is not None
    assert each.memory_bytes == 64 << 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "nodes.yaml:1: is not an inventory: it lists `nodes:`"),
        ("name: c\nnodes: []\n", "nodes.yaml:2: nodes: "),
        (WHOLE.replace("count: 8", "count: 0"), "nodes.yaml:2: accelerators.count: "),
        (WHOLE + NODE, "nodes.yaml:5: nodes.1.name: `n1` is the name of nodes.0 already"),
        (
            WHOLE + NODE.replace("n1", "n2"),
            "nodes.yaml:5: nodes.1.address: `10.0.0.1` is the address of nodes.0 already",
        ),
        (
            WHOLE.replace("h100-sxm-80gb", "h100-sxm-80g"),
            "nodes.yaml:2: accelerators.kind: `h100-sxm-80g` is unknown; "
            "did you mean `h100-sxm-80gb`?, or say what one has with `memory_gib`",
        ),
        (
            WHOLE.replace("h100-sxm-80gb", "cpu"),
            "nodes.yaml:2: accelerators: a CPU slot has the memory you give it: add `memory_gib`",
        ),
        (
            "name: c\nnodes:\n" + NODE,
            "nodes.yaml:3: nodes.0: has no `accelerators`, and the inventory names none for all",
        ),
        (
            WHOLE.replace("name: n1", "nane: n1"),
            "nodes.yaml:4: nodes.0.nane: is unknown; did you mean `name`?",
        ),
        (
            WHOLE + "  - {name: n 2, address: 10.0.0.2}\n",
            "nodes.yaml:5: nodes.1.name: `n 2` is not",
        ),
        (
            WHOLE + "  - {name: n2, address: 'fe80::1'}\n",
            "nodes.yaml:5: nodes.1.address: `fe80::1`",
        ),
        (WHOLE.replace("count: 8", "count: 8.5"), "nodes.yaml:2: accelerators.count: "),
        (WHOLE + "storage: {local: models}\n", "nodes.yaml:5: storage.local: "),
        (
            WHOLE + "head: n2\n",
            "nodes.yaml:5: head: `n2` is no node of the list; one without "
            "accelerators is `head: {name: ..., address: ...}`",
        ),
        (
            WHOLE + "head: {name: h, address: 10.0.0.1}\n",
            "nodes.yaml:5: head.address: `10.0.0.1` is the address of nodes.0 already: a head "
            "that is a node of the list is `head: n1`",
        ),
        (
            WHOLE + "head: {name: h, adress: 10.0.0.9}\n",
            "nodes.yaml:5: head.adress: is unknown; did you mean `address`?",
        ),
        (WHOLE + "head: [n1]\n", "nodes.yaml:5: head: should be a valid string"),
        (
            WHOLE + "ssh: {key: ~/.ssh/1cc.pub}\n",
            "nodes.yaml:5: ssh.key: `~/.ssh/1cc.pub` is the public half",
        ),
        (WHOLE + "ssh: {key: 1cc}\n", "nodes.yaml:5: ssh.key: '1cc' is no path of a key"),
        (
            WHOLE + "ssh: {key: '-----BEGIN OPENSSH PRIVATE KEY-----'}\n",
            "nodes.yaml:5: ssh.key: holds a key instead of its path",
        ),
        (WHOLE + "ssh: {user: -oProxy}\n", "nodes.yaml:5: ssh.user: "),
        (WHOLE + "ssh: {port: 0}\n", "nodes.yaml:5: ssh.port: "),
        (WHOLE + "interface: 'a b'\n", "nodes.yaml:5: interface: "),
        (
            WHOLE + "  - {name: n2, address: 10.0.0.2, ssh: {key: ~/.ssh/b}}\n",
            "nodes.yaml:5: nodes.1.ssh.key: is the same for all nodes",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, said: str) -> None:
    assert any(line.startswith(said) for line in problems(text)), problems(text)


def test_several_mistakes_are_reported_together_in_the_order_of_the_file() -> None:
    text = (
        "name: c\naccelerators: {kind: h1000, count: 8}\nnodes:\n"
        + NODE
        + "  - {name: n1, address: 10.0.0.2, accelerators: {kind: a10-24gb, count: 0}}\n"
        + "  - {name: n3, address: 10.0.0.1}\n"
        + "  - {name: n1, address: 10.0.0.4}\n"
    )
    found = problems(text)
    assert [line.split(": ")[0] for line in found] == [f"nodes.yaml:{at}" for at in (2, 5, 6, 7)]


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InventoryInvalid, match="no such file"):
        load_inventory(tmp_path / "nodes.yaml")


@given(st.binary(max_size=300))
def test_any_bytes_are_an_inventory_or_a_list_of_problems(raw: bytes) -> None:
    with suppress(InventoryInvalid):
        assert parse_inventory(raw, "nodes.yaml").nodes
