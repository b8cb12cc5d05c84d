"""A fleet that the dashboard looks at: configs as they are rendered, reports as replicas send them,
and everything else by hand.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cluster.inventory import Inventory
from deployments.deployed import Deployed
from deployments.figures import ModelFigures, of_sets
from deployments.fleet import Fleet
from deployments.ledger.acts import Act, CreateKey, Order
from deployments.ledger.lines import UsageLine
from deployments.ledger.questions import AuditRow, KeyRow, Reply, TenantRow, UsageRow
from deployments.node_agents import Measured
from deployments.order import refusal
from deployments.plan import plan
from deployments.reconcile import Memory
from deployments.render import render
from deployments.running import addresses_of
from deployments.scaling_state import ScalingState
from deployments.serve_control import Application, Status
from deployments.steps import applications_of
from ops.dashboard.facts import Books, Facts
from ops.errors import NoSuchReplica
from serving.in_flight import NOTHING_IN_FLIGHT, InFlight, RequestInFlight, RequestPhase
from serving.limits.terms import NO_LIMITS, Limits, Priority
from serving.snapshot import GatewayReport, Load, Phase, ReplicaReport
from serving.usage import Outcome
from tests.deployments.test_plan import KNOWN

AT_S = 1_796_000_000.0


@dataclass
class FakeFleet:
    """Everything is ready; set what should be otherwise."""

    fleet: Fleet
    inventory: Inventory
    applications: dict[str, Application] = field(init=False)
    reports: dict[str, ReplicaReport] = field(init=False)
    silent: set[str] = field(default_factory=set)
    live: set[str] = field(init=False)
    suspects: dict[str, str] = field(init=False)
    #: By model.
    figures: dict[str, ModelFigures] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    events: list[dict[str, Any]] = field(default_factory=list)
    books: Books = field(default_factory=lambda: books())
    in_flight: InFlight = NOTHING_IN_FLIGHT
    lines: tuple[UsageLine, ...] = ()
    problems: tuple[str, ...] = ()
    quarantined: int = 0
    #: By the address of a node.
    measured: dict[str, tuple[Measured, ...]] = field(default_factory=dict)
    #: By holder of a limit.
    refused: dict[str, int] = field(default_factory=dict)
    #: What was asked for, and by whom.
    acts: list[tuple[Act, str]] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        made = plan(
            self.fleet, self.inventory, dict.fromkeys(self.fleet.served(), KNOWN), running={}
        )
        config = render(self.fleet, made.addresses(), self.inventory)
        configs = applications_of(config)
        self.applications = {
            name: Application(name, Status.RUNNING, "", each, ()) for name, each in configs.items()
        }
        self.reports = {name: report(name, configs[name]) for name in made.addresses()}
        self.suspects = {}
        self.live = {node.address for node in self.inventory.nodes}

    # What the dashboard asks
    async def facts(self) -> Facts:
        self.looks += 1
        return Facts(
            at_s=AT_S + self.looks,
            applications=dict(self.applications),
            controller=self.status(),
            deployed=Deployed(self.fleet, self.inventory),
            measured=dict(self.measured),
            books=self.books,
            in_flight=self.in_flight,
            recent=self.lines[:100],
            problems=self.problems,
        )

    async def recent(self, most: int) -> tuple[UsageLine, ...]:
        return self.lines[:most]

    async def perform(self, act: Act, who: str) -> Reply:
        """An order is judged as the Controller would; a key is a key."""
        if isinstance(act, Order):
            why_not = refusal(act, self.fleet, self.memory(), tuple(self.reports.values()))
            if why_not is not None:
                return Reply(refusal=why_not)
        self.acts.append((act, who))
        return Reply("sk-Made1234-secret") if isinstance(act, CreateKey) else Reply("")

    async def log(self, application: str) -> tuple[str, ...]:
        if application not in self.applications:
            raise NoSuchReplica(application, sorted(self.applications), has_none=False)
        return (f"{application} is up", "<b>bold</b>")

    def status(self) -> dict[str, Any]:
        gateway = GatewayReport("gateway.1", "10.0.0.1", 1, "h:8000", left_out=self.left_out)
        return {
            "replicas": [asdict(each) for each in self.reports.values()],
            "gateways": [asdict(gateway)],
            "models": [asdict(each) for each in self.figures.values()],
            "replica_sets": [asdict(each) for each in of_sets(self.reports.values(), [gateway])],
            "quarantined": self.quarantined,
            "refused": self.refused,
            "scaling": {"counts": self.counts(), "why": {"a": "1: as it should be"}, "history": []},
            "silent": sorted(self.silent),
            "live": sorted(self.live),
            "suspects": self.suspects,
            "events": list(self.events),
        }

    def counts(self) -> dict[str, int]:
        return {
            name: sum(each.replica_set == name for each in self.reports.values())
            for name in self.fleet.served()
        }

    def memory(self) -> Memory:
        return Memory(ScalingState().with_counts(self.counts(), AT_S))

    # What happens to it
    def loads(self, replica: str, load: Load) -> None:
        self.reports[replica] = replace(self.reports[replica], load=load)

    def falls_silent(self, replica: str) -> None:
        self.silent.add(self.reports[replica].replica_id)

    def starts_anew(self, replica: str) -> None:
        self.reports[replica] = replace(self.reports[replica], replica_id=f"{replica}#2")

    def fails(self, name: str, why: str) -> None:
        was = self.applications[name]
        self.applications[name] = replace(was, status=Status.UNHEALTHY, message=why)


class FakeControl:
    """Serve, which runs at once whatever it is told to run."""

    def __init__(self, fleet: FakeFleet) -> None:
        self._fleet = fleet
        #: Applications that never come up, and what Serve says of them.
        self.broken: dict[str, str] = {}
        self.puts = 0
        #: Nobody is told how it went until this is set.
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_asked = asyncio.Event()

    async def applications(self) -> dict[str, Application]:
        self.is_asked.set()
        await self.may_answer.wait()
        return dict(self._fleet.applications)

    async def put(self, config: Mapping[str, Any]) -> None:
        self.puts += 1
        self._fleet.applications = {
            name: self._application(name, each) for name, each in applications_of(config).items()
        }

    def _application(self, name: str, config: Mapping[str, Any]) -> Application:
        why = self.broken.get(name, "")
        return Application(name, Status.DEPLOY_FAILED if why else Status.RUNNING, why, config, ())


def report(name: str, config: Mapping[str, Any]) -> ReplicaReport:
    """A replica that is ready on the nodes of its config."""
    stages = addresses_of(config)
    model = name.rpartition(".")[0]
    address = f"{stages[0]}:1"
    return ReplicaReport(
        f"{name}#1", name, model, stages[0], stages, address, model, Phase.READY, pid=7
    )


def books(name: str = "laptop", tenant: str = "default") -> Books:
    key = KeyRow("Abcd1234", name, tenant, 1, None, None, None, None, Limits(concurrent=4))
    return Books(
        keys=(key,),
        tenants=(TenantRow(tenant, 1, 1, Priority.STANDARD, 1, NO_LIMITS),),
        usage=(UsageRow(("Abcd1234",), 12, 3000, 0, 456, 1.0, 0),),
        audit=(AuditRow(int(AT_S), "root", "CreateKey", name, "{}"),),
    )


def line(number: int = 1, model: str = "a", **changes: Any) -> UsageLine:
    made = UsageLine(
        request_id=f"{number:032x}",
        key_id="Abcd1234",
        model_asked=model,
        model_answered=model,
        replica_id="a.0#1",
        prompt_tokens=10,
        completion_tokens=5,
        cached_tokens=0,
        outcome=Outcome.COMPLETE,
        started_s=AT_S - number,
        duration_s=0.5,
        attempts=1,
        tenant="default",
    )
    return UsageLine(**{name: getattr(made, name) for name in made.__struct_fields__} | changes)


def under_way(number: int = 1, **changes: Any) -> RequestInFlight:
    """A stream of ours in its tenth second."""
    made = RequestInFlight(
        f"{number:032x}",
        "Abcd1234",
        "default",
        "a",
        "a",
        "a.0#1",
        RequestPhase.STREAM,
        age_s=10.0,
        tokens=7,
        attempts=1,
    )
    return replace(made, **changes)


def measured(index: int = 0, temperature_c: int | None = 61) -> Measured:
    """An accelerator of 80 GiB with three quarters of it in use."""
    return Measured(index, temperature_c, 60 << 30, 80 << 30, 0.9)


def figures(model: str = "a", requests: int = 60) -> ModelFigures:
    return ModelFigures(
        model, 60.0, requests, 2, 0, 1, 0, 10, 0, 10, 9.0, 0.12, 0.9, 0.01, 0.05, 1.0, 2.0
    )
