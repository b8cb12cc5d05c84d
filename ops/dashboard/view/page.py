"""Everything that is on the page at one moment. Pure."""

from dataclasses import dataclass

from ops.dashboard.facts import Facts
from ops.dashboard.view.cluster import ClusterView, cluster
from ops.dashboard.view.event import EventView, events
from ops.dashboard.view.in_flight import InFlightView, in_flight
from ops.dashboard.view.model import ModelView, models
from ops.dashboard.view.replica import ReplicaView, replicas
from ops.dashboard.view.request import RequestView, requests
from ops.dashboard.view.tenant import TenantView, names_of, tenants
from ops.dashboard.view.verdict import Verdict, verdict


@dataclass(frozen=True, slots=True)
class Page:
    at_s: float
    verdict: Verdict
    cluster: ClusterView
    models: tuple[ModelView, ...]
    replicas: tuple[ReplicaView, ...]
    tenants: tuple[TenantView, ...]
    in_flight: InFlightView
    requests: tuple[RequestView, ...]
    events: tuple[EventView, ...]
    #: Whether somebody keeps the number of replicas, and may be told another.
    is_kept: bool


def page(facts: Facts) -> Page:
    """What these facts look like."""
    every = replicas(facts)
    shown = cluster(facts, every)
    served = models(facts, every)
    names = names_of(facts.books)
    return Page(
        at_s=facts.at_s,
        verdict=verdict(facts, shown, served, every),
        cluster=shown,
        models=served,
        replicas=every,
        tenants=tenants(facts),
        in_flight=in_flight(facts.in_flight, names),
        requests=requests(facts.recent, names),
        events=events(facts),
        is_kept=bool(facts.controller.get("scaling")),
    )
