"""Addresses, ports and rails of one node. Pure."""

from cluster.checking.check import Check, Seen, fail, ok, skipped, some, warn
from cluster.node_facts import Listener
from cluster.ray_start import AGENT_PORT, DASHBOARD_PORT, FABRIC_KINDS, GCS_PORT

#: Ray's own choice for its workers.
WORKER_PORTS = range(10_002, 20_000)
CLIENT_PORT = 10_001
#: Whoever reaches these can run code.
NEVER_OPEN = (DASHBOARD_PORT, CLIENT_PORT)
RAYS_OPEN = (GCS_PORT, *NEVER_OPEN)
#: Where replicas of Ray Serve and ports given by the system are.
FIRST_HIGH_PORT = 30_000
RAYS_PROGRAMS = ("gcs_server", "raylet", "ray::")
#: On a 1-Click Cluster it is no rail.
APART = "mlx5_0"
RAIL_GIGABITS = 400.0


def address(seen: Seen) -> Check:
    """Whether this is the machine that the inventory means, on an interface that is there."""
    network = seen.need("network", seen.facts.network)
    wanted = seen.machine.address
    if not network.has_address:
        here = some([each for link in network.interfaces for each in link.addresses])
        fix = "write its private address in the inventory"
        return fail("address", f"{wanted} is none of its addresses ({here})", fix)
    named = seen.inventory.interface_of(seen.machine)
    if named and named not in [link.name for link in network.interfaces]:
        there = some([link.name for link in network.interfaces])
        fix = "correct `interface`, or leave it out to have it found"
        return fail("address", f"there is no interface {named} (there are {there})", fix)
    carrier = network.interface_with(wanted)
    return ok("address", f"{wanted} on {carrier.name}" if carrier else wanted)


def route(seen: Seen) -> Check:
    """Whether the head is reached by the interface that has the node's address."""
    network = seen.need("network", seen.facts.network)
    carrier = network.interface_with(seen.machine.address)
    if seen.is_head or network.to_head is None or carrier is None:
        return skipped("route", "it is the head" if seen.is_head else "unknown")
    if carrier.name != network.to_head:
        text = f"the head is reached by {network.to_head}, its address is on {carrier.name}"
        return warn("route", text, "write the addresses of one network in the inventory")
    return ok("route", f"to the head by {network.to_head}")


def ports(seen: Seen) -> Check:
    """Whether the fixed ports are free, where no Ray of ours has them."""
    needed = {AGENT_PORT, seen.wanted.gateway_port}
    if seen.is_head:
        needed |= {GCS_PORT, DASHBOARD_PORT}
    listeners = seen.need("listeners", seen.facts.listeners)
    foreign = [each for each in listeners if not each.ours]
    taken = [each for each in foreign if each.port in needed]
    if taken:
        return fail("ports", f"in use: {_listed(taken)}", _stop(taken))
    within = [each for each in foreign if each.port in WORKER_PORTS]
    if within:
        text = f"in use: {_listed(within)}, of the 10002 to 19999 that Ray gives to its workers"
        return warn("ports", text, _stop(within))
    return ok("ports", "ours" if seen.facts.runs_ours else "free")


def _stop(taken: list[Listener]) -> str:
    if any(each.program.startswith(RAYS_PROGRAMS) for each in taken):
        return "a Ray that Flotilla did not start: `ray stop` on it"
    return "stop what has them (`sudo ss -ltnp` on it shows who)"


def _listed(listeners: list[Listener]) -> str:
    return some(list(dict.fromkeys(map(str, listeners))))


def given_ports(seen: Seen) -> Check:
    """Whether the kernel gives to connections what Ray gives to workers."""
    found = seen.need("network", seen.facts.network).given_ports
    if len(found) != 2:
        return skipped("given ports", "unknown")
    text = f"{found[0]} to {found[1]}"
    if found[0] < WORKER_PORTS.stop and found[1] >= WORKER_PORTS.start:
        fix = '`sudo sysctl -w net.ipv4.ip_local_port_range="32768 60999"` on it'
        why = "the kernel gives connections ports that Ray gives workers, 10002 to 19999"
        return warn("given ports", f"{text}: {why}", fix)
    return ok("given ports", text)


def listeners(seen: Seen) -> Check:
    """What other machines reach, and should not."""
    found = [each for each in seen.need("listeners", seen.facts.listeners) if each.is_open]
    ours = [each for each in found if each.ours]
    bare = [each for each in ours if each.port in NEVER_OPEN]
    if bare:
        fix = "`flotilla down` and `up` start it on loopback"
        return fail("listeners", f"Ray's own {_listed(bare)} is open to the network", fix)
    strange = [each for each in found if not each.ours]
    rays = [each for each in strange if each.port in RAYS_OPEN]
    if rays:
        return fail("listeners", f"{_listed(rays)} is open to the network", _stop(rays))
    high = [each for each in strange if each.port >= FIRST_HIGH_PORT]
    if high:
        fix = "stop what should not be there, or fence it: `flotilla up --firewall`"
        return warn("listeners", f"open to the network and not ours: {_listed(high)}", fix)
    return ok("listeners", f"ours, open: {_listed(ours)}" if ours else "none of concern")


def rails(seen: Seen) -> Check:
    """InfiniBand, where the inventory promises GPUs that come with it."""
    promised = seen.accelerators
    if promised is None or promised.kind not in FABRIC_KINDS or len(seen.inventory.nodes) == 1:
        return skipped("rails", "nothing here would use them")
    found = [each for each in seen.need("rails", seen.facts.rails) if each.name != APART]
    if not found:
        fix = "expected of on-demand machines; on a 1-Click Cluster tell Lambda"
        return warn("rails", "no InfiniBand: stages on several nodes speak TCP", fix)
    down = [each.name for each in found if not each.active]
    if down or len(found) < promised.count:
        what = f"{some(down)} not active" if down else f"{len(found)} for {promised.count} GPUs"
        return fail("rails", what, "`ibstat` on it says more; tell Lambda")
    slow = [each.name for each in found if each.gigabits_per_s < RAIL_GIGABITS]
    if slow:
        return warn("rails", f"{some(slow)} below {RAIL_GIGABITS:.0f} Gb/s", "tell Lambda")
    return ok("rails", f"{len(found)} active at {found[0].gigabits_per_s:.0f} Gb/s")
