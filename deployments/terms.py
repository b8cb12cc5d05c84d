"""What a fleet says of each model's scaling, and what one replica of it is worth. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.accelerator import Accelerator
from deployments.engine_batch import OTHER, engine_batch
from deployments.fleet import Fleet
from deployments.model import Served
from deployments.need import Need


@dataclass(frozen=True, slots=True)
class Terms:
    """What a fleet says of a model's scaling, and what one replica of it is worth."""

    min: int
    max: int
    #: Accelerators of one replica.
    accelerators: int
    #: Higher goes first.
    priority: int = 0
    weight: float = 1.0
    #: That the 90th percentile of first tokens should keep to.
    first_token_s: float = 2.0
    #: How long a replica is surplus before it goes.
    idle_s: float = 300.0
    #: What the KV cache of one replica holds; 0 where it is not known.
    cache_tokens: int = 0
    #: Requests that one engine works on at once.
    sequences: int = OTHER.sequences

    def clipped(self, count: int) -> int:
        """The nearest number of replicas that the fleet allows."""
        return min(max(count, self.min), self.max)


def terms_of(fleet: Fleet, needs: Mapping[str, Need]) -> dict[str, Terms]:
    """The terms of every model with replicas of its own."""
    return {name: _terms(model, needs[name]) for name, model in fleet.served().items()}


def _terms(model: Served, need: Need) -> Terms:
    scaling = model.scaling
    return Terms(
        min=model.replicas.min,
        max=model.replicas.max,
        accelerators=need.shape.accelerators,
        priority=scaling.priority,
        weight=scaling.weight,
        first_token_s=scaling.first_token_s,
        idle_s=scaling.idle_s,
        cache_tokens=need.fit.kv_tokens if need.fit else 0,
        sequences=_sequences(model, need),
    )


def _sequences(model: Served, need: Need) -> int:
    """Of an engine on that kind of accelerator where it works on the fewest at once."""
    kinds: list[Accelerator | None] = [*need.fits] or [None]
    return min(engine_batch(model.engine, need.shape, kind).sequences for kind in kinds)
