"""How many replicas a model's demand is worth, and the arithmetic. Pure.

The load of a model is counted in replicas: 1.7 fills one and seven tenths of another. It is the
largest of what its requests take of the KV cache, what they take of the engine's batch, and what
their wait for the first token says; a rise of arrivals is added beforehand, since a new replica
takes its time. What takes most decides: replicas that are short of one thing are short.
"""

from dataclasses import dataclass
from math import ceil

from deployments.demand import Demand
from deployments.terms import Terms

#: Of a full cache or batch; beyond it engines begin to preempt, and requests to wait for others.
FULL_SHARE = 0.8
#: A replica is surplus only when the others would be filled to no more than this: between the two
#: is the band in which nothing changes.
SPARE_SHARE = 0.7
#: One look at the first token asks for twice the replicas at most: the next one sees the effect.
MOST_AT_ONCE = 2.0
#: A tenth of a thousandth of a replica is an error of rounding.
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Size:
    """What a demand is worth."""

    #: In replicas.
    load: float
    #: To carry it; within the fleet's limits.
    wanted: int
    #: With any more there is a replica too many; never below `wanted`.
    enough: int
    why: str


def size(demand: Demand, terms: Terms, rise: float = 1.0) -> Size:
    """The replicas that a sound demand is worth; `rise` is what arrivals will have grown by."""
    parts = _parts(demand, terms)
    load = max(parts.values()) * rise
    shown = [f"{name} {part:.2f}" for name, part in parts.items() if part]
    rising = [f"arrivals rising {rise:.2f}x"] if rise > 1 else []
    needed = _replicas(load, demand)
    wanted, enough = terms.clipped(needed), terms.clipped(_replicas(load / SPARE_SHARE, demand))
    why = f"{', '.join(shown + rising) or 'idle'} -> load {load:.2f}, {needed} wanted"
    if wanted != needed:
        why += f", {wanted} allowed"
    return Size(load, wanted, enough, why)


def _replicas(load: float, demand: Demand) -> int:
    """Any demand at all takes one."""
    return max(ceil(load - _ROUNDING), 0 if demand.is_idle else 1)


def _parts(demand: Demand, terms: Terms) -> dict[str, float]:
    return {
        "cache": _cache(demand, terms),
        "batch": demand.requests / (terms.sequences * FULL_SHARE),
        "first token": _first_token(demand, terms),
    }


def _cache(demand: Demand, terms: Terms) -> float:
    """Those that wait will take as much as those that run; where none runs their tokens count."""
    if demand.ready and demand.running:
        in_use = demand.kv_use * demand.ready
        return in_use * demand.requests / demand.running / FULL_SHARE
    return (
        demand.tokens_in_flight / (terms.cache_tokens * FULL_SHARE) if terms.cache_tokens else 0.0
    )


def _first_token(demand: Demand, terms: Terms) -> float:
    """In proportion to the target. Requests that have a replica for themselves would not be faster
    with more of them.
    """
    if demand.first_token_s is None or demand.requests <= demand.ready:
        return 0.0
    return demand.ready * min(demand.first_token_s / terms.first_token_s, MOST_AT_ONCE)
