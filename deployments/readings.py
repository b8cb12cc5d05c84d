"""The Controller's metrics: the fleet as it stands. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from deployments.observation import Reports
from serving.metrics import families
from serving.metrics.exposition import Reading, by_value
from serving.snapshot import KeyNews, Phase


@dataclass(frozen=True, slots=True)
class Keys:
    """What gateways are told of keys."""

    count: int
    news: KeyNews
    #: Requests that nobody sends to a replica any more.
    quarantined: int


def readings(
    reports: Reports, wanted: Mapping[str, int], suspects: Iterable[str], keys: Keys
) -> Iterator[Reading]:
    """`wanted` are the replicas of each model, as demand asks for them or as the fleet does;
    `suspects` the addresses of nodes.
    """
    yield Reading(families.GATEWAYS, len(reports.gateways))
    yield from _replicas(reports, wanted)
    yield from by_value(families.REPLICAS_WANTED, wanted)
    yield from by_value(families.NODE_SUSPECT, dict.fromkeys(suspects, 1))
    yield Reading(families.KEYS, keys.count)
    yield Reading(families.KEYS_CURRENT, keys.news is KeyNews.CURRENT)
    yield Reading(families.QUARANTINED, keys.quarantined)


def _replicas(reports: Reports, wanted: Mapping[str, int]) -> Iterator[Reading]:
    """Every phase of every model, so that a model without replicas has none rather than nothing."""
    there = Counter((each.replica_set, each.phase) for each in reports.replicas)
    silent = reports.silent_sets
    for model in sorted({*wanted, *(model for model, _ in there)}):
        for phase in Phase:
            yield Reading(families.REPLICAS, there[model, phase], (model, phase))
        yield Reading(families.REPLICAS_SILENT, model in silent, (model,))
