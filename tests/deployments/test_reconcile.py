"""From what runs and what is asked of it to the next config, one step at a time."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from deployments.dashboard import OWN_APPLICATIONS
from deployments.demand import Demand
from deployments.deployed import (
    Deployed,
    deployed_of,
    from_config,
    least_of,
    told_without_inventory,
)
from deployments.fleet import Fleet
from deployments.held import held
from deployments.inventory_file import parse_inventory
from deployments.reconcile import ANOTHER_FLEET, Memory, Observed, Outcome, reconcile
from deployments.render import render
from deployments.steps import Action, Config, applications_of
from tests.deployments.demands import LOOK_S
from tests.deployments.test_plan import KNOWN, models, nodes, planned

BATCH = "engine: {max_num_seqs: 10}"


def demand(load: float) -> Demand:
    return Demand(ready=1, running=round(load * 8))


class World:
    """Serve that does what it is told at once, unless it is to fail or to take its time."""

    def __init__(self, fleet: Fleet, *counts: int) -> None:
        self.deployed = Deployed(fleet, nodes(*counts))
        first = planned(fleet, self.deployed.inventory)
        self.configs: dict[str, Config] = applications_of(
            render(fleet, first.addresses(), self.deployed.inventory)
        )
        self.stopping: dict[str, Config] = {}
        self.broken: set[str] = set()
        #: Died, and Serve has not given up on them.
        self.down: set[str] = set()
        self.stops_slowly = False
        self.live: frozenset[str] | None = None
        self.suspects: dict[str, str] = {}
        self.ready: frozenset[str] = frozenset()
        self.memory = Memory()
        self.now_s = 1e6
        self.last: Outcome | None = None
        self.steps: list[tuple[Action, str]] = []

    @property
    def replicas(self) -> list[str]:
        return sorted(name for name in self.configs if name not in OWN_APPLICATIONS)

    def look(self, demands: Mapping[str, Demand | None]) -> Outcome:
        self.now_s += LOOK_S
        failed = frozenset(self.broken & self.configs.keys())
        observed = Observed(
            dict(self.configs),
            dict(self.stopping),
            frozenset(self.configs) - failed - self.down,
            failed,
            self.live,
            demands,
            self.suspects,
            self.ready,
        )
        facts = dict.fromkeys(self.deployed.fleet.served(), KNOWN)
        made = reconcile(self.deployed, facts, observed, self.memory, self.now_s)
        self.memory, self.last = made.memory, made
        if made.step is not None:
            self._put(made.step.config)
            self.steps.append((made.step.action, made.step.application))
        return made

    def _put(self, config: Config) -> None:
        wanted = applications_of(config)
        if self.stops_slowly:
            gone = {name: each for name, each in self.configs.items() if name not in wanted}
            self.stopping.update(gone)
        self.configs = wanted
        use: dict[str, int] = {}
        for each in [*self.configs.values(), *self.stopping.values()]:
            for address, count in held(each).items():
                use[address] = use.get(address, 0) + count
        for node in self.deployed.inventory.nodes:
            most = self.deployed.inventory.accelerators_of(node).count
            assert use.get(node.address, 0) <= most, "promised twice"

    def looks(self, demands: Mapping[str, Demand | None], for_s: float) -> None:
        for _ in range(int(for_s / LOOK_S)):
            self.look(demands)


def test_a_load_step_adds_replicas_and_its_end_takes_them_away() -> None:
    world = World(models(a=f"replicas: {{min: 1, max: 3}}, {BATCH}"), 8)
    assert world.replicas == ["a.0"]
    world.looks({"a": demand(2.5)}, 60)
    assert world.replicas == ["a.0", "a.1", "a.2"]
    world.looks({"a": demand(0.1)}, 400)
    assert world.replicas == ["a.0"]


def test_two_models_trade_a_slot_and_the_stop_is_waited_for() -> None:
    both = f"replicas: {{min: 0, max: 2}}, {BATCH}"
    world = World(models(a=both, b=both), 2)
    world.looks({"a": demand(2), "b": demand(0)}, 60)
    assert world.replicas == ["a.0", "a.1"]
    world.stops_slowly = True
    world.looks({"a": demand(0), "b": demand(2)}, 100)
    assert world.replicas == ["a.0"]
    assert list(world.stopping) == ["a.1"]
    world.stopping.clear()
    world.stops_slowly = False
    world.looks({"a": demand(0), "b": demand(2)}, 60)
    assert world.replicas == ["b.0", "b.1"]


def test_a_replica_that_does_not_come_up_is_taken_away_and_tried_again_later() -> None:
    world = World(models(a=f"replicas: {{min: 1, max: 2}}, {BATCH}"), 8)
    world.broken = {"a.1"}
    world.looks({"a": demand(2)}, 60)
    assert world.replicas == ["a.0"]
    assert world.steps == [(Action.ADD, "a.1"), (Action.REMOVE, "a.1")]
    world.broken.clear()
    world.looks({"a": demand(2)}, 60)
    assert world.replicas == ["a.0", "a.1"]


def test_a_replica_within_min_that_failed_is_started_again_after_a_pause() -> None:
    world = World(models(a=BATCH), 8)
    world.broken = {"a.0"}
    world.looks({"a": None}, 55)
    assert world.steps == []
    world.looks({"a": None}, 20)
    assert world.steps == [(Action.REMOVE, "a.0"), (Action.ADD, "a.0")]


def test_a_node_that_leaves_has_its_replicas_started_elsewhere_by_priority() -> None:
    fleet = models(
        low="tensor: 4, replicas: {min: 0, max: 1}",
        high="tensor: 8, scaling: {priority: 1}",
    )
    world = World(fleet, 8, 8)
    world.looks({"low": Demand(queued=1), "high": demand(0.1)}, 60)
    assert world.replicas == ["high.0", "low.0"]
    lost = held(world.configs["high.0"])
    world.live = frozenset(f"10.0.0.{at}" for at in (1, 2)) - lost.keys()
    world.looks({"low": None, "high": None}, 30)
    assert world.replicas == ["high.0"]
    assert held(world.configs["high.0"]).keys() == world.live
    world.live = None
    world.looks({"low": Demand(queued=1), "high": demand(0.1)}, 100)
    assert world.replicas == ["high.0", "low.0"]
    assert held(world.configs["high.0"]).keys() != lost.keys()


def test_a_replica_that_has_no_place_any_more_is_blocked_until_its_node_is_back() -> None:
    world = World(models(a=f"replicas: {{min: 2, max: 2}}, tensor: 8, {BATCH}"), 8, 8)
    assert world.replicas == ["a.0", "a.1"]
    lost = held(world.configs["a.1"])
    world.live = frozenset({"10.0.0.1", "10.0.0.2"}) - lost.keys()
    world.looks({"a": demand(0.1)}, 30)
    assert world.replicas == ["a.0"]
    assert world.last is not None
    (blocked,) = world.last.blocked.items()
    assert blocked[0] == "a.1"
    assert blocked[1].startswith("needs 8 accelerators in all; 0 are free")
    world.live = None
    world.looks({"a": demand(0.1)}, 30)
    assert world.replicas == ["a.0", "a.1"]
    assert world.last.blocked == {}


def test_33_what_is_up_on_a_suspect_node_stays_and_what_is_not_starts_elsewhere() -> None:
    world = World(models(a=f"replicas: {{min: 2, max: 2}}, tensor: 4, {BATCH}"), 8, 8)
    at = {name: next(iter(held(world.configs[name]))) for name in world.replicas}
    assert at["a.0"] == at["a.1"]
    world.suspects = {at["a.1"]: "suspect: its driver answers for 7 of 8 accelerators"}
    world.looks({"a": demand(0.1)}, 60)
    assert world.steps == []
    world.broken = {"a.1"}
    world.look({"a": demand(0.1)})
    world.broken.clear()
    world.looks({"a": demand(0.1)}, 60)
    assert world.steps == [(Action.CHANGE, "a.1")]
    assert held(world.configs["a.0"]).keys() == {at["a.0"]}
    assert held(world.configs["a.1"]).keys().isdisjoint({at["a.0"]})


def test_33_without_another_node_it_is_blocked_with_the_reason_until_the_driver_answers() -> None:
    world = World(models(a=f"replicas: {{min: 2, max: 2}}, {BATCH}"), 8)
    world.suspects = {"10.0.0.1": "suspect: its driver answers for 7 of 8 accelerators"}
    world.broken = {"a.1"}
    world.looks({"a": demand(0.1)}, 30)
    world.broken.clear()
    assert world.replicas == ["a.0"]
    assert world.last is not None
    why = "n1 is suspect: its driver answers for 7 of 8 accelerators"
    assert world.last.blocked == {"a.1": why}
    world.suspects.clear()
    world.looks({"a": demand(0.1)}, 60)
    assert world.replicas == ["a.0", "a.1"]


def test_33_what_says_it_is_ready_stays_though_serve_has_not_noticed_that_it_is_up() -> None:
    world = World(models(a=f"replicas: {{min: 2, max: 2}}, {BATCH}"), 8)
    world.suspects = {"10.0.0.1": "suspect"}
    world.broken, world.ready = {"a.0", "a.1"}, frozenset({"a.0"})
    world.look({"a": demand(0.1)})
    assert world.replicas == ["a.0"]


def test_33_no_replica_that_serves_goes_for_one_that_died_on_a_suspect_node() -> None:
    world = World(models(a=f"replicas: {{min: 1, max: 2}}, tensor: 8, {BATCH}"), 8, 8)
    world.looks({"a": demand(1.8)}, 60)
    assert world.replicas == ["a.0", "a.1"]
    (lost,), before = held(world.configs["a.0"]), world.configs["a.1"]
    world.steps.clear()
    world.suspects, world.down = {lost: "suspect"}, {"a.0"}
    world.looks({"a": demand(1.8)}, 60)
    assert world.steps == [(Action.REMOVE, "a.0")]
    assert world.configs["a.1"] == before


def test_demand_grows_no_model_onto_a_suspect_node() -> None:
    world = World(models(a=f"replicas: {{min: 1, max: 3}}, {BATCH}"), 8)
    world.suspects = {"10.0.0.1": "suspect"}
    world.looks({"a": demand(2.5)}, 60)
    assert world.replicas == ["a.0"]
    world.suspects.clear()
    world.looks({"a": demand(2.5)}, 60)
    assert world.replicas == ["a.0", "a.1", "a.2"]


def test_counts_outlive_a_restart_that_forgets_everything_but_them() -> None:
    world = World(models(a=f"replicas: {{min: 1, max: 3}}, {BATCH}"), 8)
    world.looks({"a": demand(3)}, 60)
    world.memory = Memory(world.memory.scaling)
    world.looks({"a": None}, 60)
    assert world.replicas == ["a.0", "a.1", "a.2"]
    world.memory = Memory()
    world.looks({"a": None}, 60)
    assert world.replicas == ["a.0", "a.1", "a.2"]


def test_52_while_somebody_else_deploys_nothing_is_done() -> None:
    world = World(models(a=f"replicas: {{min: 1, max: 3}}, {BATCH}"), 8)
    other = models(a=f"replicas: {{min: 1, max: 3}}, aliases: [x], {BATCH}")
    world.deployed = replace(world.deployed, fleet=other)
    world.looks({"a": demand(3)}, 60)
    assert world.steps == []
    assert world.last is not None
    assert world.last.why == {"": ANOTHER_FLEET}


def test_what_the_controller_is_told_is_what_was_deployed() -> None:
    fleet = models(
        a="tensor: 2, replicas: {min: 0, max: 3}, scaling: {weight: 2, first_token_s: 0.5}",
        b="replicas: {min: 2}, aliases: [x], engine: {max_num_seqs: 8}",
    )
    deployed = Deployed(fleet, nodes(8, 4))
    assert from_config(json.loads(json.dumps(deployed.to_config()))) == deployed


def test_how_to_log_in_is_not_told_and_makes_no_difference_to_what_serve_is_given() -> None:
    text = b"""
name: c
head: {name: h, address: 10.0.0.9}
ssh: {user: ubuntu, key: ~/.ssh/secret}
interface: eth0
storage: {local: /nvme}
accelerators: {kind: h100-sxm-80gb, count: 8}
nodes:
  - {name: n1, address: 10.0.0.1, labels: {pool: big}, ssh: {port: 2222}}
"""
    fleet, inventory = models(a=""), parse_inventory(text, "nodes.yaml")
    deployed = Deployed(fleet, inventory)
    told = json.dumps(deployed.to_config())
    assert "secret" not in told
    assert "2222" not in told
    again = from_config(json.loads(told))
    assert again.to_config() == deployed.to_config()
    places = {"a.0": ("10.0.0.1",)}
    assert render(again.fleet, places, again.inventory) == render(fleet, places, inventory)


def test_without_an_inventory_the_number_of_replicas_alone_is_told() -> None:
    told = told_without_inventory(models(a="replicas: {min: 2, max: 3}"))
    assert deployed_of(told) is None
    assert least_of(json.loads(json.dumps(told))) == {"a": 2}
    assert deployed_of({}) is None
    assert least_of({}) == {}


@pytest.mark.parametrize("config", [{}, {"fleet": {"models": {}}, "inventory": None}])
def test_a_controller_that_is_told_nonsense_says_so(config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no fleet and inventory"):
        from_config(config)
