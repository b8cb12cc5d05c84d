"""The text is what Prometheus's own parser reads, value for value."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from serving import histogram
from serving.counts import Times
from serving.metrics import families
from serving.metrics.exposition import Histogram, Reading, Readings, by_value, exposition


def parsed(*readings: Reading) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Values by name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    text = exposition(Readings(lambda: readings)).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_counters_and_gauges_keep_their_labels_and_values() -> None:
    found = parsed(
        Reading(families.REQUESTS, 3, ("a", "complete")),
        Reading(families.REQUESTS, 1, ("b", "cut")),
        Reading(families.KEYS, 7),
    )
    assert found["flotilla_requests_total"] == {
        (("model", "a"), ("outcome", "complete")): 3.0,
        (("model", "b"), ("outcome", "cut")): 1.0,
    }
    assert found["flotilla_keys"] == {(): 7.0}


def test_a_model_with_an_odd_name_is_one_label_value() -> None:
    [labels] = parsed(*by_value(families.QUEUED, {'a"b\\c\nd': 1.0}))["flotilla_queued_requests"]
    assert labels == (("model", 'a"b\\c\nd'),)


@given(st.lists(st.floats(0.001, 300), max_size=30))
def test_a_histogram_says_how_many_were_within_each_of_its_ends(times_s: list[float]) -> None:
    counts = [0] * histogram.BUCKETS
    for each in times_s:
        counts[histogram.bucket(each)] += 1
    times = Times(tuple(counts), sum(times_s))
    found = parsed(Reading(families.DURATION, Histogram(times, histogram.BOUNDS_S), ("m",)))
    name = families.DURATION.name
    assert set(families.DURATION.exposed) == set(found)
    for labels, value in found[f"{name}_bucket"].items():
        assert value == sum(each <= float(dict(labels)["le"]) for each in times_s)
    assert list(found[f"{name}_count"].values()) == [len(times_s)]
    assert found[f"{name}_sum"][("model", "m"),] == times.sum_s
