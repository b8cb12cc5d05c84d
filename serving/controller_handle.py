"""How gateways, replicas and the dashboard call the Controller, from whatever node.

Serve can bring an answer back in two ways. As objects of Ray's, which is its default: the callee's
event loop stands still until the caller has acknowledged them, and of a caller on a node whose
raylet is gone Ray says so only when it gives the node up. That was 14 s in which a Controller heard
and answered nobody. Over gRPC an answer that reaches nobody is dropped, and holds up nobody.
"""

from typing import Any


def over_grpc(handle: Any) -> Any:
    """A Serve handle whose callers may die at any moment at no cost to who is called."""
    return handle.options(_by_reference=False)
