"""Whom Prometheus asks: every process of ours with metrics, as its file service discovery reads
them. Pure.

An `instance` is what an operator calls it: a replica's application, which a restart keeps, so that
its series go on. A gateway has no name but its id.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from serving.snapshot import GatewayReport, ReplicaReport


@dataclass(frozen=True, slots=True)
class Target:
    #: `host:port`
    address: str
    part: str
    node: str
    instance: str
    #: Of a replica; empty for others.
    model: str = ""

    def to_group(self) -> dict[str, Any]:
        """As JSON values, in Prometheus's words."""
        labels = {"part": self.part, "node": self.node, "instance": self.instance}
        if self.model:
            labels["model"] = self.model
        return {"targets": [self.address], "labels": labels}


Targets = tuple[Target, ...]


def targets(replicas: Iterable[ReplicaReport], gateways: Iterable[GatewayReport]) -> Targets:
    """Of all that listen; one whose port is not open yet is none."""
    of_replicas = (
        Target(each.address, "replica", each.node, each.application, each.replica_set)
        for each in replicas
        if each.address
    )
    of_gateways = (
        Target(each.metrics_address, "gateway", each.node, each.gateway_id)
        for each in gateways
        if each.metrics_address
    )
    return (*of_replicas, *of_gateways)
