"""Who may open a connection to a machine of the cluster: the fence of `flotilla up --firewall`, as
a ruleset of nftables. Pure: from an inventory to what nft loads, and back from what nft lists.

Rules
1. The machines of the inventory, its head among them, reach every port of each other, and each
   reaches its own over loopback.
2. Everybody reaches the ports below 1024 and the public ones: a gateway's, and the one that sshd
   took the login on. So no fence shuts out the operator who raises it.
3. Nobody else opens a TCP connection to a port from 1024 up. The system gives out most of the
   ports that Ray, vLLM's ranks and replicas listen on, and a node may be set to give out any.
4. Only opening is refused. A connection that stands is never looked at, so none breaks when the
   fence comes up, and the kernel need not track connections for it.
5. What is not TCP passes: neither Ray nor vLLM nor we listen on UDP, while the tunnel that an
   operator comes through may.
6. The table is our own and is replaced in one transaction, so a changed inventory leaves no moment
   without a fence. It only refuses: what another firewall closes stays closed.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from cluster.inventory import Inventory, Machine
from cluster.problem import Path, Problem

TABLE = "inet flotilla"
FIRST_FENCED_PORT = 1024
#: nft takes 128 bytes.
COMMENT = "Made by Flotilla: who may open connections here. `flotilla down` removes it."
NO_ADDRESS = (
    "is no IPv4 address that a machine can have, and a fence is made of those: write the "
    "private one, since a name may mean another address on each node"
)


@dataclass(frozen=True, slots=True)
class Fence:
    """The same for every machine of an inventory, but for the port of its login."""

    addresses: frozenset[IPv4Address]
    public_ports: frozenset[int]

    def with_port(self, port: int) -> "Fence":
        """This fence with one more port that everybody reaches."""
        return replace(self, public_ports=self.public_ports | {port})

    def ruleset(self) -> str:
        """What `nft -f` loads, all of it or nothing."""
        # `delete` fails where there is no table, so one is added first. The order of the rules is
        # that of the packets: nearly all belong to connections that stand. A SYN that is cut up so
        # that its flags cannot be read falls through to the end.
        return f"""\
# {COMMENT}
add table {TABLE}
delete table {TABLE}
table {TABLE} {{
	comment "{COMMENT}"
	set inventory {{
		type ipv4_addr
		{_elements(self.addresses)}
	}}
	set public {{
		type inet_service
		{_elements(self.public_ports)}
	}}
	counter refused {{
	}}
	chain input {{
		type filter hook input priority filter; policy accept;
		meta l4proto != tcp accept
		tcp flags & (syn | ack) != syn accept
		iif "lo" accept
		ip saddr @inventory accept
		tcp dport @public accept
		tcp dport >= {FIRST_FENCED_PORT} counter name "refused" drop
	}}
}}
"""


@dataclass(frozen=True, slots=True)
class StandingFence:
    """The fence that a machine has, and what it did."""

    fence: Fence
    #: Since it was raised; a client tries several times.
    refused_packets: int


def fence_of(inventory: Inventory, public_ports: Collection[int]) -> Fence:
    """The fence around an inventory. Raises ValueError when `fence_problems` has found any."""
    addresses = [_address(machine.address) for _, machine in _machines(inventory)]
    if None in addresses:
        raise ValueError("an inventory with names for addresses cannot be fenced")
    return Fence(frozenset(filter(None, addresses)), frozenset(public_ports))


def fence_problems(inventory: Inventory) -> Iterator[Problem]:
    """What keeps an inventory from being fenced."""
    for path, machine in _machines(inventory):
        if _address(machine.address) is None:
            yield Problem((*path, "address"), f"`{machine.address}` {NO_ADDRESS}")


def read_fence(listing: str) -> StandingFence:
    """What `nft -j list table inet flotilla` says. Raises ValueError when that is no fence of
    this version.
    """
    try:
        objects = json.loads(listing)["nftables"]
        named = {
            (kind, about.get("name")): about for each in objects for kind, about in each.items()
        }
        if ("chain", "input") not in named:
            raise ValueError("the table has no chain")
        addresses = named["set", "inventory"].get("elem", [])
        ports = named["set", "public"].get("elem", [])
        packets = int(named["counter", "refused"]["packets"])
        fence = Fence(frozenset(map(IPv4Address, addresses)), frozenset(map(int, ports)))
    except (KeyError, TypeError, AttributeError) as other:
        raise ValueError(f"the table is another one: {other!r}") from other
    return StandingFence(fence, packets)


def _machines(inventory: Inventory) -> Iterator[tuple[Path, Machine]]:
    if isinstance(inventory.head, Machine):
        yield ("head",), inventory.head
    for index, node in enumerate(inventory.nodes):
        yield ("nodes", index), node


def _address(text: str) -> IPv4Address | None:
    """None for a name, and for what no other machine can come from."""
    try:
        address = IPv4Address(text)
    except ValueError:
        return None
    unusable = address.is_multicast or address.is_unspecified or address.is_reserved
    return None if unusable or address.is_loopback else address


def _elements(values: Collection[IPv4Address] | Collection[int]) -> str:
    """Sorted, so that the same fence is the same text; nft takes no empty list."""
    listed = ", ".join(str(value) for value in sorted(values))
    return f"elements = {{ {listed} }}" if listed else ""
