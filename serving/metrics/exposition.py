"""Readings become the text that Prometheus reads. Pure; the text is prometheus_client's."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from serving.counts import Times
from serving.metrics.families import Family, Kind

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
#: Of our buckets every second one is told: each is then twice as wide as the one before, and a
#: histogram is 17 series rather than 31.
_TOLD = 2


@dataclass(frozen=True, slots=True)
class Histogram:
    times: Times
    #: The upper ends of all buckets but the last.
    bounds_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one metric, with a value for each of its labels, in their order."""

    family: Family
    value: float | Histogram
    labels: tuple[str, ...] = ()


class Readings(Collector):
    """Readings as prometheus_client wants them; `take` is called with every scrape."""

    def __init__(self, take: Callable[[], Iterable[Reading]]) -> None:
        self._take = take

    def collect(self) -> Iterator[Metric]:
        by_family: dict[Family, list[Reading]] = {}
        for reading in self._take():
            by_family.setdefault(reading.family, []).append(reading)
        for family, readings in by_family.items():
            yield _metric(family, readings)


def exposition(*collectors: Collector) -> bytes:
    """The whole text of what they collect."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


def _metric(family: Family, readings: Sequence[Reading]) -> Metric:
    match family.kind:
        case Kind.COUNTER:
            return _filled(
                CounterMetricFamily(family.name, family.help, labels=family.labels), readings
            )
        case Kind.GAUGE:
            return _filled(
                GaugeMetricFamily(family.name, family.help, labels=family.labels), readings
            )
        case Kind.HISTOGRAM:
            return _histogram(family, readings)


def _filled(metric: CounterMetricFamily | GaugeMetricFamily, readings: Sequence[Reading]) -> Metric:
    for reading in readings:
        if not isinstance(reading.value, Histogram):
            metric.add_metric(reading.labels, reading.value)
    return metric


def _histogram(family: Family, readings: Sequence[Reading]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for reading in readings:
        if isinstance(reading.value, Histogram):
            buckets = _buckets(reading.value)
            metric.add_metric(reading.labels, buckets, reading.value.times.sum_s)
    return metric


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """The number of times up to each end."""
    reached = list(accumulate(histogram.times.counts))
    told = zip(histogram.bounds_s[::_TOLD], reached[::_TOLD], strict=False)
    return [*((str(end_s), count) for end_s, count in told), ("+Inf", reached[-1])]


def by_value(family: Family, values: Mapping[str, float]) -> Iterator[Reading]:
    """A metric with one label, from its values."""
    return (Reading(family, value, (label,)) for label, value in sorted(values.items()))
