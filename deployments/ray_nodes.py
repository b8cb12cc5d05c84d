"""Ray's nodes and the gateways that wait for one, as a process of the cluster sees them."""

import contextlib
import functools
import threading
import time

import ray
from ray.util.state import list_actors

from cluster.label import ADDRESS_LABEL
from deployments.node_watch import NodeWatch
from serving.snapshot import GATEWAY_DEPLOYMENT, INGRESS_APPLICATION

SERVE_NAMESPACE = "serve"
GATEWAY_CLASS = f"ServeReplica:{INGRESS_APPLICATION}:{GATEWAY_DEPLOYMENT}"
#: No process of it has begun.
WAITS = "PENDING_CREATION"
LIST_LIMIT = 10_000
LIST_DEADLINE_S = 10


class RayNodes:
    """Calls of Ray's that may hang."""

    def live_nodes(self) -> tuple[str, ...]:
        """A node that was not brought up by us goes by Ray's own address of it."""
        return tuple(
            node["Labels"].get(ADDRESS_LABEL) or node["NodeManagerAddress"]
            for node in ray.nodes()
            if node["Alive"]
        )

    def dismiss_waiting(self) -> None:
        filters = [("class_name", "=", GATEWAY_CLASS), ("state", "=", WAITS)]
        for actor in list_actors(filters=filters, limit=LIST_LIMIT, timeout=LIST_DEADLINE_S):
            with contextlib.suppress(ValueError):  # it has gone by itself
                ray.kill(ray.get_actor(actor.name, namespace=SERVE_NAMESPACE))


def this_address() -> str:
    """Of the node that this process runs on, as others reach it."""
    return str(ray.util.get_node_ip_address())


@functools.cache
def node_watch() -> NodeWatch:
    """The watch of this process; the first call starts it."""
    nodes = NodeWatch(RayNodes(), time.monotonic)
    threading.Thread(target=nodes.watch, name="node-watch", daemon=True).start()
    return nodes
