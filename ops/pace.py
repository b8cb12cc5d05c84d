"""How fast a fleet goes: two looks at it and the time between them become rates and times to the
first token. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serving import histogram

View = Mapping[str, Any]
"""What `fleet_status` gives."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one replica set, or of all together."""

    running: int = 0
    waiting: int = 0
    #: At the gateways, for a first replica or for a place.
    queued: int = 0
    tokens_per_s: float = 0.0
    #: The fullest replica's share of its KV cache.
    kv_use: float = 0.0
    requests_per_s: float = 0.0
    #: None where no stream began in between.
    first_token_p50_s: float | None = None
    first_token_p99_s: float | None = None


def pace_of(replica_set: str | None, before: View | None, now: View, elapsed_s: float) -> Pace:
    """Of `replica_set`; of all for None. Without a look before there are no rates yet."""
    loads = list(_loads(replica_set, now))
    came = list(_came(replica_set, before, now)) if before else []
    tokens = histogram.total(tokens for _, tokens in came)
    return Pace(
        running=sum(load["running"] for load in loads),
        waiting=sum(load["waiting"] for load in loads),
        queued=sum(each["queued"] for _, each in _demands(replica_set, now)),
        tokens_per_s=sum(load["tokens_per_s"] for load in loads),
        kv_use=max((load["kv_use"] for load in loads), default=0.0),
        requests_per_s=sum(count for count, _ in came) / elapsed_s if elapsed_s > 0 else 0.0,
        first_token_p50_s=histogram.percentile(tokens, 0.5),
        first_token_p99_s=histogram.percentile(tokens, 0.99),
    )


def _loads(replica_set: str | None, view: View) -> Iterator[Mapping[str, Any]]:
    for replica in view["replicas"]:
        is_of_it = replica_set in (None, replica["application"].rpartition(".")[0])
        if is_of_it and replica["load"]:
            yield replica["load"]


def _demands(replica_set: str | None, view: View) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for gateway in view["gateways"]:
        for demand in gateway["demands"]:
            if replica_set in (None, demand["replica_set"]):
                yield gateway["gateway_id"], demand


def _came(replica_set: str | None, before: View, now: View) -> Iterator[tuple[int, list[int]]]:
    """Requests and first tokens in between, of each gateway that is in both looks."""
    old = {(name, each["replica_set"]): each for name, each in _demands(replica_set, before)}
    for name, demand in _demands(replica_set, now):
        earlier = old.get((name, demand["replica_set"]))
        if earlier is not None:
            pairs = zip(demand["first_tokens"], earlier["first_tokens"], strict=False)
            yield demand["arrivals"] - earlier["arrivals"], [late - early for late, early in pairs]
