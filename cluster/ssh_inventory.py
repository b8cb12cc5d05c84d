"""The hosts of an ssh config as an inventory. Pure; what each host is for is the operator's word,
since names of hosts say nothing that can be relied on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from cluster.draft import Draft
from cluster.login import DEFAULT_PORT, DEFAULT_USER
from cluster.problem import Path, Problem, nearest
from cluster.ssh_config import SshHost

MAX_PORT_DIGITS = 5
NO_HOST = "lists no node: a `Host` that is no pattern, has a HostName, and is not left out"


@dataclass(frozen=True, slots=True)
class Roles:
    """What the config does not say."""

    #: Of the inventory.
    name: str
    kind: str
    count: int
    #: A machine without accelerators.
    head: str | None = None
    left_out: tuple[str, ...] = ()


def role_problems(hosts: Sequence[SshHost], roles: Roles, file: str) -> Iterator[Problem]:
    """Names that are no host, and a config that leaves no node."""
    known = [name for host in hosts for name in host.names]
    for name in filter(None, (roles.head, *roles.left_out)):
        if name not in known:
            yield Problem((), f"`{name}` is no host of it{nearest(name, known)}", file)
    if not _nodes(hosts, roles):
        yield Problem((), NO_HOST, file)


def draft_of_ssh(hosts: Sequence[SshHost], roles: Roles) -> Draft:
    """What the config and the operator say together."""
    head = next((host for host in hosts if roles.head in host.names), None)
    nodes = _nodes(hosts, roles)
    all_of_them = [*([head] if head else []), *nodes]
    common = {
        "user": _commonest(_user(host) for host in all_of_them),
        "key": _commonest(host.get("identityfile") for host in all_of_them),
        "port": _commonest(_port(host) for host in all_of_them),
    }
    value = {
        "name": roles.name,
        **({"head": _machine(head, common)} if head else {}),
        "ssh": {key: said for key, said in common.items() if said is not None},
        "accelerators": {"kind": roles.kind, "count": roles.count},
        "nodes": [_machine(host, common) for host in nodes],
    }
    lines = dict(_lines(head, nodes, common))
    return Draft(value, lines, tuple(_notes(hosts, all_of_them, roles, common["key"])))


def _nodes(hosts: Sequence[SshHost], roles: Roles) -> list[SshHost]:
    others = {*_jumps(hosts), *roles.left_out, roles.head}
    return [host for host in hosts if others.isdisjoint(host.names)]


def _jumps(hosts: Iterable[SshHost]) -> set[str]:
    """Names of those that others are reached through, which on a 1-Click Cluster have no
    accelerators.
    """
    chains = (host.get("proxyjump") or "" for host in hosts)
    hops = (hop for chain in chains for hop in chain.split(",") if hop)
    return {hop.removeprefix("ssh://").rsplit("@", 1)[-1].split(":", 1)[0] for hop in hops}


def _user(host: SshHost) -> str:
    return host.get("user") or DEFAULT_USER


def _port(host: SshHost) -> int | str:
    """As a number where it is one; else the rules say what is wrong with it."""
    port = host.get("port") or str(DEFAULT_PORT)
    is_number = port.isascii() and port.isdigit() and len(port) <= MAX_PORT_DIGITS
    return int(port) if is_number else port


def _commonest(values: Iterable[Any]) -> Any:
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None


def _machine(host: SshHost, common: dict[str, Any]) -> dict[str, Any]:
    own = {"user": _user(host), "port": _port(host)}
    differs = {key: said for key, said in own.items() if said != common[key]}
    address = host.settings["hostname"].value
    return {"name": host.name, "address": address, **({"ssh": differs} if differs else {})}


def _lines(
    head: SshHost | None, nodes: Sequence[SshHost], common: dict[str, Any]
) -> Iterator[tuple[Path, int]]:
    """Where the config says what the draft says."""
    places: list[tuple[Path, SshHost]] = [(("nodes", at), host) for at, host in enumerate(nodes)]
    for place, host in [*places, *([(("head",), head)] if head else [])]:
        yield place, host.line
        yield (*place, "address"), host.settings["hostname"].line
        for keyword, key in (("user", "user"), ("port", "port"), ("identityfile", "key")):
            if keyword in host.settings:
                yield (*place, "ssh", key), host.settings[keyword].line
                if str(common[key]) == host.get(keyword):
                    yield ("ssh", key), host.settings[keyword].line


def _notes(
    hosts: Sequence[SshHost], taken: Sequence[SshHost], roles: Roles, key: str | None
) -> Iterator[str]:
    unnamed = _jumps(hosts) - {roles.head, *roles.left_out}
    for host in hosts:
        if not unnamed.isdisjoint(host.names):
            yield f"{host.name} is left out: others are reached through it; see --head"
    if roles.head is None:
        yield "no head yet: name one with --head, or write `head: NAME` for a node of the list"
    for host in taken:
        if _is_public(host.settings["hostname"].value):
            yield f"{host.name} has its public address here: nodes join by the private one"
        if host.get("identityfile") not in (None, key):
            yield f"{host.name} has another key in the config; one key is used for all: {key}"
    if any(host.get("proxyjump") for host in taken):
        yield "ProxyJump is not kept: bring-up goes straight to the addresses, so run it inside"


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False
