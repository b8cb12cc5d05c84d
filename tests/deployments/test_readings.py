"""The fleet as Prometheus sees it: a model without replicas has none, rather than nothing."""

from dataclasses import replace

from deployments.observation import Reports
from deployments.readings import Keys, readings
from serving.metrics.exposition import Readings, exposition
from serving.snapshot import GatewayReport, KeyNews, Phase
from tests.serving.reports import replica

KEYS = Keys(count=3, news=KeyNews.CURRENT, quarantined=1)


def text_of(reports: Reports, wanted: dict[str, int], keys: Keys = KEYS) -> str:
    return exposition(Readings(lambda: readings(reports, wanted, ["10.0.0.2"], keys))).decode()


def test_replicas_are_told_by_phase_beside_those_that_are_wanted() -> None:
    starting = replace(replica("m.1", phase=Phase.STARTING), replica_set="m")
    gateway = GatewayReport("gateway.1", "n", 1, "127.0.0.1:8000")
    reports = Reports((replica(), starting), (gateway,), frozenset({"m.1#1"}))
    text = text_of(reports, {"m": 2, "cold": 0})
    for line in (
        'flotilla_replicas{model="m",phase="ready"} 1.0',
        'flotilla_replicas{model="m",phase="starting"} 1.0',
        'flotilla_replicas{model="m",phase="draining"} 0.0',
        'flotilla_replicas{model="cold",phase="ready"} 0.0',
        'flotilla_replicas_wanted{model="m"} 2.0',
        'flotilla_replicas_silent{model="m"} 1.0',
        'flotilla_replicas_silent{model="cold"} 0.0',
        'flotilla_node_suspect{address="10.0.0.2"} 1.0',
        "flotilla_gateways 1.0",
        "flotilla_keys 3.0",
        "flotilla_keys_current 1.0",
        "flotilla_quarantined_requests 1.0",
    ):
        assert f"\n{line}\n" in text


def test_keys_that_nobody_could_read_are_not_current() -> None:
    lost = replace(KEYS, news=KeyNews.LOST)
    assert "\nflotilla_keys_current 0.0\n" in text_of(Reports((), ()), {}, lost)
