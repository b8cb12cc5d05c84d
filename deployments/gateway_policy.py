"""What Serve's own controller calls, in its process and between all that it does: it must neither
wait nor raise.

Serve ships this module's text to it and imports the others there, so it holds no state.
"""

from typing import Any, Protocol

from deployments.gateways import gateways
from deployments.ray_nodes import node_watch


class Context(Protocol):
    """What is used of Serve's AutoscalingContext."""

    current_num_replicas: int
    target_num_replicas: int


def two_on_every_node(context: Context) -> tuple[int, dict[str, Any]]:
    """The number of gateways to aim at, and nothing to remember."""
    watch, target = node_watch(), context.target_num_replicas
    number = gateways(watch.live_nodes(), context.current_num_replicas, target)
    if number < target:
        watch.dismiss_waiting()
    return number, {}
