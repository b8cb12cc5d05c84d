"""Who a fence lets in, decided by a reader of its ruleset that knows no more than nft's words; what
it does to real packets is in `test_fence_live`.
"""

import json
import re
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.accelerator import CPU_KIND
from cluster.fence import Fence, fence_of, fence_problems, read_fence
from cluster.inventory import Accelerators, Inventory, Machine, Node
from cluster.problem import Problem

#: What a machine can have: no loopback, no multicast, nothing reserved.
ADDRESSES = st.one_of(
    st.integers(1 << 24, (127 << 24) - 1), st.integers(128 << 24, (224 << 24) - 1)
).map(IPv4Address)
PORTS = st.integers(1, 65535)


def inventory(addresses: list[str], head: str | Machine | None = None) -> Inventory:
    nodes = tuple(Node(name=f"node-{at}", address=each) for at, each in enumerate(addresses))
    slots = Accelerators(kind=CPU_KIND, count=1, memory_gib=1)
    return Inventory(name="c", head=head, accelerators=slots, nodes=nodes)


def elements(ruleset: str, name: str) -> set[str]:
    block = ruleset.split(f"set {name} {{")[1].split("\t}")[0]
    found = re.search(r"elements = \{ (.*) \}", block)
    return set(found[1].split(", ")) if found else set()


def rules(ruleset: str) -> list[str]:
    chain = ruleset.split("chain input {\n")[1].split("\t}")[0]
    return [line.strip() for line in chain.splitlines()]


def opens(ruleset: str, source: IPv4Address, port: int) -> bool:
    """Whether a first packet of TCP gets through: rule by rule, as the kernel does it."""
    verdicts = {
        "type filter hook input priority filter; policy accept;": None,
        "meta l4proto != tcp accept": None,
        "tcp flags & (syn | ack) != syn accept": None,
        'iif "lo" accept': None,
        "ip saddr @inventory accept": str(source) in elements(ruleset, "inventory") or None,
        "tcp dport @public accept": str(port) in elements(ruleset, "public") or None,
        'tcp dport >= 1024 counter name "refused" drop': False if port >= 1024 else None,
    }
    said = (verdicts[rule] for rule in rules(ruleset))
    return next((verdict for verdict in said if verdict is not None), True)


@given(st.lists(ADDRESSES, min_size=2, max_size=9, unique=True), ADDRESSES, PORTS, PORTS, PORTS)
def test_a_machine_of_the_inventory_reaches_every_port_and_no_other_reaches_an_inner_one(
    inside: list[IPv4Address], outside: IPv4Address, gateway: int, login: int, port: int
) -> None:
    head = Machine(name="head", address=str(inside[0]))
    fenced = inventory([str(each) for each in inside[1:]], head)
    ruleset = fence_of(fenced, [gateway]).with_port(login).ruleset()
    assert all(opens(ruleset, each, port) for each in inside)
    is_let_in = outside in inside or port < 1024 or port in (gateway, login)
    assert opens(ruleset, outside, port) is is_let_in
    assert opens(ruleset, outside, gateway)
    assert opens(ruleset, outside, login)


@given(st.lists(ADDRESSES, min_size=1, max_size=9, unique=True), st.lists(PORTS, max_size=4))
def test_the_same_inventory_in_another_order_is_the_same_text(
    addresses: list[IPv4Address], ports: list[int]
) -> None:
    there = fence_of(inventory([str(each) for each in addresses]), ports)
    back = fence_of(inventory([str(each) for each in reversed(addresses)]), ports[::-1])
    assert there.ruleset() == back.ruleset()


def test_one_transaction_replaces_the_table_whether_there_was_one_or_not() -> None:
    words = fence_of(inventory(["10.0.0.1"]), [8000]).ruleset().splitlines()
    made = words.index("table inet flotilla {")
    assert words[made - 2 : made] == ["add table inet flotilla", "delete table inet flotilla"]
    assert not any("flush ruleset" in line for line in words)


@pytest.mark.parametrize(
    "address",
    ["node-1", "10.0.0", "10.0.0.256", "010.0.0.1", "0.0.0.0", "127.0.0.1",  # noqa: S104
     "224.0.0.1", "255.255.255.255", "1"],
)  # fmt: skip
def test_what_is_no_address_of_a_machine_is_refused_with_its_place(address: str) -> None:
    beside = inventory(["10.0.0.1", address])
    (problem,) = fence_problems(beside)
    assert problem.path == ("nodes", 1, "address")
    assert problem.message.startswith(f"`{address}` is no IPv4 address that a machine can have")
    with pytest.raises(ValueError, match="cannot be fenced"):
        fence_of(beside, [])


def test_a_head_that_is_no_node_is_fenced_and_checked_like_one() -> None:
    named = inventory(["10.0.0.1"], Machine(name="head", address="head-1"))
    assert [problem.path for problem in fence_problems(named)] == [("head", "address")]
    listed = inventory(["10.0.0.1"], "node-0")
    assert list[Problem](fence_problems(listed)) == []


def listing(**changed: object) -> str:
    parts: dict[str, object] = {
        "table": {"family": "inet", "name": "flotilla", "handle": 2},
        "counter": {"name": "refused", "packets": 7, "bytes": 420},
        "chain": {"name": "input", "policy": "accept"},
        "set": {"name": "inventory", "elem": ["10.0.0.1", "10.0.0.2"]},
    } | changed
    public = {"set": {"name": "public", "elem": [22, 8000]}}
    return json.dumps({"nftables": [public, *({key: value} for key, value in parts.items())]})


def test_what_nft_lists_is_read_back() -> None:
    addresses = frozenset({IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")})
    standing = read_fence(listing())
    assert standing.fence == Fence(addresses, frozenset({22, 8000}))
    assert standing.refused_packets == 7


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"nftables": [1]}', '{"nftables": 1}', listing(chain={"name": "output"}),
     listing(counter={"name": "refused"}), listing(set={"name": "inventory", "elem": ["x"]}),
     listing(set={"name": "inventory", "elem": 1})],
)  # fmt: skip
def test_another_table_of_our_name_is_no_fence(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_fence(text)
