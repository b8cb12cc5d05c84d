"""What an operator may tell a running fleet, besides making it another one. Pure.

Rules
1. An order says what its giver saw: the number of replicas, or the start of the replica. When that
   has changed meanwhile, it was given for another situation and is refused.
2. A number stays within the model's `min` and `max`. What demand makes of it afterwards is
   autoscaling's business.
3. Nothing that is drained or restarted is cut: what stops finishes what it has.
"""

from collections.abc import Mapping
from dataclasses import replace

from deployments.fleet import Fleet
from deployments.ledger.acts import DrainReplica, Order, RestartReplica, ScaleModel
from deployments.reconcile import Memory
from serving.snapshot import ReplicaReport


def refusal(
    order: Order, fleet: Fleet, memory: Memory, reports: tuple[ReplicaReport, ...]
) -> str | None:
    """Why it cannot be obeyed, for its giver; None when it can."""
    counts = memory.scaling.counts()
    match order:
        case ScaleModel():
            return _scaling_refusal(order, fleet, counts)
        case DrainReplica():
            return _gone(order, reports) or _least_refusal(order, fleet, counts)
        case RestartReplica():
            return _gone(order, reports)


def remembered(order: Order, memory: Memory, now_s: float) -> Memory:
    """What the next look goes by; for an order that was not refused."""
    match order:
        case ScaleModel():
            return _with_count(memory, order.model, order.count, now_s)
        case DrainReplica():
            fewer = memory.scaling.counts()[order.model] - 1
            left = _with_count(memory, order.model, fewer, now_s)
            return replace(left, leaving=memory.leaving | {order.replica})
        case RestartReplica():
            return memory


def _with_count(memory: Memory, model: str, count: int, now_s: float) -> Memory:
    return replace(memory, scaling=memory.scaling.with_counts({model: count}, now_s))


def _scaling_refusal(order: ScaleModel, fleet: Fleet, counts: Mapping[str, int]) -> str | None:
    model, now = fleet.served().get(order.model), counts.get(order.model)
    if model is None or now is None:
        return f"there is no {order.model} with replicas of its own any more"
    if now != order.seen:
        return f"{order.model} is to have {now} replicas by now, not {order.seen}: look again"
    least, most = model.replicas.min, model.replicas.max
    if not least <= order.count <= most:
        return f"{order.model} has {least} to {most} replicas by its fleet file"
    return None


def _least_refusal(order: DrainReplica, fleet: Fleet, counts: Mapping[str, int]) -> str | None:
    model, now = fleet.served().get(order.model), counts.get(order.model)
    if model is None or now is None:
        return f"there is no {order.model} with replicas of its own any more"
    if now <= model.replicas.min:
        return f"{order.model} keeps at least {model.replicas.min} by its fleet file: restart it"
    return None


def _gone(order: RestartReplica | DrainReplica, reports: tuple[ReplicaReport, ...]) -> str | None:
    starts = {each.application: each.replica_id for each in reports}
    if order.replica not in starts:
        return f"{order.replica} is not there any more"
    if starts[order.replica] != order.replica_id:
        return f"{order.replica} has been started anew meanwhile: look again"
    return None
