"""Figures of a model are those of the last minute, over all gateways; of a set, of this moment."""

from dataclasses import replace

import pytest

from deployments.figures import STEP_S, WINDOW_S, Traffic, of_sets
from serving.gateway.counting import ModelCounters
from serving.snapshot import DemandReport, GatewayReport, Load, Phase
from serving.usage import Outcome
from tests.deployments.ledger.records import usage
from tests.serving.reports import replica

GATEWAY = GatewayReport("gateway.1", "n", 1, "127.0.0.1:8000")


class Gateway:
    def __init__(self, name: str) -> None:
        self.name = name
        self.counters = ModelCounters()

    def report(self) -> GatewayReport:
        return replace(GATEWAY, gateway_id=self.name, counts=self.counters.counts())


def test_what_two_gateways_saw_is_one_figure() -> None:
    traffic, gateways = Traffic(), [Gateway("a"), Gateway("b")]
    for gateway in gateways:
        traffic.add(gateway.report(), 0.0)
    gateways[0].counters.add(usage(duration_s=2.5), first_token_s=0.5)
    gateways[1].counters.add(usage(outcome=Outcome.CUT), first_token_s=None)
    for gateway in gateways:
        traffic.add(gateway.report(), 10.0)
    [found] = traffic.figures(10.0)
    assert (found.model, found.requests, found.errors, found.left) == ("small", 2, 1, 0)
    assert found.tokens_per_s == pytest.approx(10 / 10.0)
    assert found.first_token_p50_s == found.first_token_p99_s == pytest.approx(0.5, rel=0.42)
    assert found.between_tokens_p50_s == pytest.approx(0.5, rel=0.42)


def test_a_quiet_minute_later_nothing_is_left_of_it_but_the_model() -> None:
    traffic, gateway = Traffic(), Gateway("a")
    traffic.add(gateway.report(), 0.0)
    gateway.counters.add(usage(), first_token_s=0.5)
    at_s = STEP_S
    while at_s < 2 * WINDOW_S + 2 * STEP_S:
        traffic.add(gateway.report(), at_s)
        at_s += STEP_S
    [found] = traffic.figures(at_s)
    assert (found.requests, found.first_token_p50_s) == (0, None)
    assert WINDOW_S <= found.window_s <= WINDOW_S + 2 * STEP_S


def test_before_anybody_was_heard_there_are_no_figures() -> None:
    assert Traffic().figures(0.0) == ()


def test_a_set_has_the_sum_of_its_ready_replicas_and_what_waits_in_gateways() -> None:
    load = Load(waiting=1, running=2, kv_use=0.5, tokens_per_s=10.0)
    replicas = [
        replace(replica(), load=load),
        replace(replica(), load=replace(load, kv_use=1.0)),
        replace(replica(), phase=Phase.STARTING, load=load),
    ]
    gateways = [
        replace(GATEWAY, demands=(DemandReport("m", queued=3), DemandReport("cold", queued=2))),
        replace(GATEWAY, demands=(DemandReport("m", queued=1),)),
    ]
    cold, m = of_sets(replicas, gateways)
    assert (cold.replica_set, cold.replicas, cold.queued) == ("cold", 0, 2)
    assert (m.replicas, m.ready, m.running, m.waiting, m.queued) == (3, 2, 4, 2, 4)
    assert (m.kv_use, m.tokens_per_s) == (0.75, 20.0)
