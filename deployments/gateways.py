"""How many gateways there should be: two on every live node, and nobody counts them. Pure.

Serve asks ten times a second and knows by itself on which nodes there is room, so the number is all
that is decided here.

Rules
1. Every live node counts, the head too: Serve may put a gateway wherever Ray runs.
2. Nobody knows how many nodes live: the number stays as it is.
3. It grows only once the first two serve. Serve calls an application that grows by itself running,
   so the failure of a first deploy would pass unseen.
4. It shrinks only when no more serve than are wanted. What goes then has waited for room on a node
   that died; before Serve has noticed the death it would choose among the living.
"""

from cluster.inventory import MAX_NODES

#: Two share a node's port, so that one serves while the other is replaced.
GATEWAYS_PER_NODE = 2
MAX_GATEWAYS = GATEWAYS_PER_NODE * MAX_NODES


def gateways(live_nodes: int | None, serving: int, target: int) -> int:
    """The number to aim at, where `target` was aimed at and `serving` serve."""
    if not live_nodes:
        return target
    wanted = GATEWAYS_PER_NODE * live_nodes
    may_change = serving >= GATEWAYS_PER_NODE if wanted > target else serving <= wanted
    return wanted if may_change else target
