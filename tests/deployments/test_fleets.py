"""The fleets that come with Flotilla: each plans clean, with the figures that were computed for
it.
"""

from pathlib import Path

import pytest

from cluster.inventory import Inventory
from cluster.this_machine import inventory_of_this_machine
from deployments.dashboard import OWN_APPLICATIONS
from deployments.facts import facts_of
from deployments.fleet import Fleet
from deployments.inventory_file import load_inventory
from deployments.load import load
from deployments.model import Unavailable
from deployments.plan import Plan, plan
from deployments.render import render
from tests.deployments.fleets import fleet_of

DIRECTORY = Path(__file__).parents[2] / "deployments" / "fleets"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.yaml"))
#: Enough for any laptop that can run an engine at all.
LAPTOP = inventory_of_this_machine("cpu", slots=2)

#: Thousands of tokens of KV cache of one replica on H100s of 80 GB, to three digits.
KV_THOUSANDS = {
    "hermes3-405b-fp8-128k": 323,
    "llama3.1-405b-instruct-fp8": 323,
    "hermes3-70b": 462,
    "llama3.1-nemotron-70b-instruct": 462,
    "dracarys2-72b-instruct": 449,
    "llama3.1-70b-instruct-fp8": 225,
    "hermes3-8b": 436,
    "llama3.1-8b-instruct": 436,
    "llama3.2-3b-instruct": 582,
    "deepseek-coder-v2-lite-instruct": 1340,
}


def read(name: str) -> tuple[Fleet, Inventory, Plan]:
    fleet = load(DIRECTORY / f"{name}.yaml")
    inventory = load_inventory(Path(fleet.inventory)) if fleet.inventory else LAPTOP
    return fleet, inventory, plan(fleet, inventory, facts_of(fleet, inventory), {})


def test_there_is_a_fleet_for_each_size_of_machine() -> None:
    assert NAMES == [
        "lambda-1cc-16-nodes",
        "lambda-1cc-2-nodes",
        "lambda-1cc-6-nodes",
        "laptop",
        "one-gpu-80gb",
        "one-node-8-gpus",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_fleet_plans_clean_and_renders(name: str) -> None:
    fleet, _, made = read(name)
    assert made.blocked == ()
    assert made.notes == ()
    rendered = {each["name"] for each in render(fleet, made.addresses())["applications"]}
    assert rendered == OWN_APPLICATIONS | {action.replica for action in made.actions}


@pytest.mark.parametrize(("model", "thousands"), KV_THOUSANDS.items())
def test_the_figures_of_the_six_node_fleet_are_those_that_were_computed(
    model: str, thousands: int
) -> None:
    _, _, made = read("lambda-1cc-6-nodes")
    fit = made.needs[model].fit
    assert fit is not None
    assert fit.kv_tokens / 1000 == pytest.approx(thousands, rel=0.005)


def test_the_six_node_fleet_is_the_whole_list_in_its_order() -> None:
    fleet, _, made = read("lambda-1cc-6-nodes")
    assert list(fleet.models) == [
        "deepseek-coder-v2-lite-instruct",
        "dracarys2-72b-instruct",
        "hermes3-405b",
        "hermes3-405b-fp8-128k",
        "hermes3-70b",
        "hermes3-8b",
        "lfm-40b",
        "llama3.1-405b-instruct-fp8",
        "llama3.1-70b-instruct-fp8",
        "llama3.1-8b-instruct",
        "llama3.2-3b-instruct",
        "llama3.1-nemotron-70b-instruct",
    ]
    assert isinstance(fleet.models["lfm-40b"], Unavailable)
    assert sum(action.shape.accelerators for action in made.actions) == 34


def test_the_list_with_one_405b_shared_leaves_a_whole_node_free() -> None:
    _, inventory, made = read("lambda-1cc-6-nodes")
    used = {node for action in made.actions for node in action.nodes}
    assert len(used) == 5
    assert len(inventory.nodes) == 6


def test_the_list_with_a_deployment_for_each_id_needs_all_six_nodes() -> None:
    fleet, inventory, _ = read("lambda-1cc-6-nodes")
    own = fleet_of("models:\n  hermes3-405b: {}\n  hermes3-405b-fp8-128k: {}\n")
    models = {**fleet.models, "hermes3-405b": own.models["hermes3-405b"]}
    apart = fleet.model_copy(update={"models": models})
    made = plan(apart, inventory, facts_of(apart, inventory), {})
    assert made.blocked == ()
    assert sum(action.shape.accelerators for action in made.actions) == 42
    assert len({node for action in made.actions for node in action.nodes}) == 6
