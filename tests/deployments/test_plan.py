"""The plan: what should run and what runs, each difference once, with its reason."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.architecture import read_architecture
from cluster.inventory import Inventory, Storage
from deployments.cordon import Cordon
from deployments.counts import Counts
from deployments.fleet import Fleet
from deployments.inventory_file import parse_inventory
from deployments.need import Facts
from deployments.plan import AS_WRITTEN, Conditions, Plan, Verb, plan
from deployments.render import render
from deployments.running import Running, running_of
from deployments.steps import applications_of
from tests.deployments.fleets import fleet_of

LLAMA_8B: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}
KNOWN = Facts(read_architecture(LLAMA_8B), "a test", LLAMA_8B)


def nodes(*counts: int, kind: str = "h100-sxm-80gb") -> Inventory:
    lines = [
        f"  - {{name: n{at}, address: 10.0.0.{at}, accelerators: {{kind: {kind}, count: {count}}}}}"
        for at, count in enumerate(counts, start=1)
    ]
    return parse_inventory(("name: c\nnodes:\n" + "\n".join(lines)).encode(), "nodes.yaml")


def models(**bodies: str) -> Fleet:
    """Models of 8 billion parameters with a window of 8,192 tokens unless they say otherwise."""
    lines = [f"  {name}: {{source: org/x, {_windowed(body)}}}" for name, body in bodies.items()]
    return fleet_of("models:\n" + "\n".join(lines) + "\n")


def _windowed(body: str) -> str:
    window = "" if "max_model_len" in body else "max_model_len: 8192"
    return ", ".join(filter(None, [window, body]))


def planned(
    fleet: Fleet,
    inventory: Inventory,
    running: Mapping[str, Running] | None = None,
    conditions: Conditions = AS_WRITTEN,
) -> Plan:
    facts = dict.fromkeys(fleet.served(), KNOWN)
    return plan(fleet, inventory, facts, running or {}, conditions)


def deployed(fleet: Fleet, made: Plan) -> dict[str, Running]:
    """What runs after the plan was applied, as Serve would tell it."""
    return running_of(applications_of(render(fleet, made.addresses(), made.inventory)))


def verbs(made: Plan) -> dict[str, Verb]:
    return {action.replica: action.verb for action in made.actions}


def test_where_weights_are_changes_replicas_only_when_the_inventory_does() -> None:
    fleet, inventory = models(a=""), nodes(8, 8)
    rooted = inventory.model_copy(update={"storage": Storage(local="/nvme", shared="/shared")})
    made = planned(fleet, rooted)
    running = running_of(applications_of(render(fleet, made.addresses(), rooted)))
    assert verbs(planned(fleet, rooted, running)) == {"a.0": Verb.KEEP}
    assert verbs(planned(fleet, inventory, running)) == {"a.0": Verb.CHANGE}


def test_an_empty_cluster_starts_everything_and_the_same_fleet_again_keeps_it() -> None:
    fleet, inventory = models(a="", b="tensor: 4, replicas: {min: 2}"), nodes(8, 8)
    first = planned(fleet, inventory)
    assert set(verbs(first).values()) == {Verb.START}
    again = planned(fleet, inventory, deployed(fleet, first))
    assert set(verbs(again).values()) == {Verb.KEEP}
    assert again.addresses() == first.addresses()


def test_a_replica_less_and_a_model_less_are_stopped_and_say_which_it_was() -> None:
    before = models(a="replicas: {min: 2}", b="")
    running = deployed(before, planned(before, nodes(8)))
    after = planned(models(a=""), nodes(8), running)
    assert verbs(after) == {"a.0": Verb.KEEP, "a.1": Verb.STOP, "b.0": Verb.STOP}
    reasons = {action.replica: action.reason for action in after.actions}
    assert (reasons["a.1"], reasons["b.0"]) == ("a has 1 replica", "no b in the fleet")


def test_another_shape_is_a_resize_and_another_window_a_change() -> None:
    before = models(a="", b="")
    running = deployed(before, planned(before, nodes(8)))
    after = planned(models(a="tensor: 2", b="engine: {max_num_seqs: 8}"), nodes(8), running)
    assert verbs(after) == {"a.0": Verb.RESIZE, "b.0": Verb.CHANGE}
    reasons = [action.reason for action in after.actions]
    assert reasons[0] == "1 x 1 -> 2 x 1"
    assert reasons[1] == "engine: {} -> {'max_num_seqs': 8}"


def test_what_runs_makes_way_only_for_what_would_fit_nowhere_else() -> None:
    small = models(a="replicas: {min: 2}", b="tensor: 4")
    running = {
        name: replace(each, addresses=("10.0.0.1",) if name == "a.0" else ("10.0.0.2",))
        for name, each in deployed(small, planned(small, nodes(8, 8))).items()
    }
    whole = models(a="replicas: {min: 2}", b="tensor: 4", c="tensor: 8")
    after = planned(whole, nodes(8, 8), running)
    assert not after.blocked
    assert verbs(after)["c.0"] is Verb.START
    moved = [action for action in after.actions if action.verb is Verb.MOVE]
    assert [action.replica for action in moved] == ["a.0"]
    assert moved[0].was == ("n1",)
    assert moved[0].reason == "its place is needed for a replica that fits nowhere else"


def test_a_node_that_left_has_its_replicas_placed_again_and_no_others() -> None:
    fleet = models(a="tensor: 8", b="tensor: 8")
    running = deployed(fleet, planned(fleet, nodes(8, 8)))
    left = nodes(8, 8, 8).model_copy(update={"nodes": nodes(8, 8, 8).nodes[1:]})
    after = planned(fleet, left, running)
    assert verbs(after) == {"a.0": Verb.MOVE, "b.0": Verb.KEEP}
    assert after.actions[0].reason == "10.0.0.1 is not in the inventory"


def test_51_a_model_that_can_never_fit_is_blocked_with_the_arithmetic() -> None:
    made = planned(models(a="max_model_len: 131072"), nodes(8, kind="a10-24gb"))
    assert verbs(made) == {"a.0": Verb.BLOCKED}
    reason = made.actions[0].reason
    assert "a10-24gb: a window of 131,072 tokens needs 131,072 tokens of KV cache" in reason
    assert "15.0 GiB of weights" in reason


def test_a_stage_larger_than_any_node_is_blocked() -> None:
    made = planned(models(a="tensor: 16"), nodes(8, 8))
    assert "a stage takes 16 accelerators of a node" in made.actions[0].reason


def test_51_a_full_cluster_blocks_second_replicas_before_first_ones() -> None:
    made = planned(models(a="replicas: {min: 2}, tensor: 4", b="tensor: 4"), nodes(8))
    assert verbs(made) == {"a.0": Verb.START, "a.1": Verb.BLOCKED, "b.0": Verb.START}


def test_a_model_goes_only_to_nodes_that_have_its_labels() -> None:
    inventory = nodes(8, 8)
    labelled = inventory.nodes[1].model_copy(update={"labels": {"pool": "big"}})
    inventory = inventory.model_copy(update={"nodes": (inventory.nodes[0], labelled)})
    made = planned(models(a="node_labels: {pool: big}", b="node_labels: {pool: huge}"), inventory)
    assert made.addresses() == {"a.0": ("10.0.0.2",)}
    assert "n1 is not labelled pool=huge; n2 is not labelled pool=huge" in made.blocked[0].reason


def test_a_fleet_for_gpus_finds_no_place_among_cpu_slots() -> None:
    inventory = parse_inventory(
        b"name: c\nnodes:\n  - {name: n1, address: h1, accelerators: "
        b"{kind: cpu, count: 4, memory_gib: 2}}\n",
        "nodes.yaml",
    )
    made = planned(models(a=""), inventory)
    assert made.blocked[0].reason == "n1 has cpu accelerators, and the fleet's device is gpu"


def test_a_model_nobody_knows_is_placed_and_the_plan_says_its_memory_was_not_checked() -> None:
    fleet = models(a="")
    made = plan(fleet, nodes(8), {"a": Facts(None, "no config.json")}, {})
    assert verbs(made) == {"a.0": Verb.START}
    assert made.notes == ("a: its memory is not checked: no config.json",)


def test_what_runs_on_other_nodes_moves_to_those_of_the_inventory_and_is_noted() -> None:
    fleet = models(a="")
    running = deployed(fleet, planned(fleet, nodes(8)))
    elsewhere = {"a.0": replace(running["a.0"], addresses=("192.168.0.1",))}
    made = planned(fleet, nodes(8), elsewhere)
    assert verbs(made) == {"a.0": Verb.MOVE}
    assert made.actions[0].reason == "192.168.0.1 is not in the inventory"
    assert made.notes == ("a.0 runs on 192.168.0.1, which is not in the inventory",)


def test_other_peoples_applications_are_shown_as_what_a_deploy_stops() -> None:
    made = planned(models(a=""), nodes(8), {"theirs": Running({}), "odd": Running({"tensor": "x"})})
    assert [(each.verb, each.replica, each.reason) for each in made.actions[1:]] == [
        (Verb.STOP, "theirs", "it is not Flotilla's"),
        (Verb.STOP, "odd", "it is not Flotilla's"),
    ]


def test_a_change_outside_of_the_arguments_is_a_change_too() -> None:
    before = models(a="tensor: 8, pipeline: 2")
    running = deployed(before, planned(before, nodes(8, 8)))
    after = planned(
        models(a="tensor: 8, pipeline: 2, stage_placement: spread"), nodes(8, 8), running
    )
    assert verbs(after) == {"a.0": Verb.CHANGE}
    assert after.actions[0].reason == "placement_group_strategy: PACK -> STRICT_SPREAD"


def test_what_clients_see_is_one_more_action() -> None:
    fleet = models(a="")
    first = planned(fleet, nodes(8))
    assert first.clients.verb is Verb.START
    running = deployed(fleet, first)
    assert planned(fleet, nodes(8), running).clients.verb is Verb.KEEP
    renamed = planned(models(a="aliases: [b]"), nodes(8), running)
    assert renamed.clients.verb is Verb.CHANGE
    assert verbs(renamed) == {"a.0": Verb.KEEP}


def test_a_move_because_of_labels_or_of_spreading_says_so() -> None:
    fleet = models(a="pipeline: 2")
    running = deployed(fleet, planned(fleet, nodes(2, 2)))
    inventory = nodes(2, 2)
    labelled = inventory.nodes[1].model_copy(update={"labels": {"pool": "big"}})
    inventory = inventory.model_copy(update={"nodes": (inventory.nodes[0], labelled)})
    made = planned(models(a="pipeline: 2, node_labels: {pool: big}"), inventory, running)
    assert made.actions[0].reason.startswith("n1 cannot hold it any more")
    made = planned(models(a="pipeline: 2, stage_placement: spread"), nodes(2, 2), running)
    assert made.actions[0].reason.startswith("each stage has to be on a node of its own")


def test_stages_go_to_several_nodes_only_when_one_does_not_hold_them() -> None:
    made = planned(models(a="tensor: 4, pipeline: 2", b="tensor: 8, pipeline: 2"), nodes(8, 8, 8))
    assert len(set(made.addresses()["a.0"])) == 1
    assert len(set(made.addresses()["b.0"])) == 2


BODIES = st.builds(
    "tensor: {}, pipeline: {}, replicas: {{min: {}}}".format,
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 2),
    st.integers(0, 3),
)
FLEETS = st.dictionaries(st.sampled_from("abcd"), BODIES, min_size=1).map(lambda b: models(**b))
CLUSTERS = st.lists(st.integers(1, 8), min_size=1, max_size=4).map(lambda counts: nodes(*counts))


@settings(max_examples=60)
@given(FLEETS, FLEETS, CLUSTERS)
def test_every_replica_is_in_one_action_and_no_node_holds_more_than_it_has(
    before: Fleet, after: Fleet, inventory: Inventory
) -> None:
    first = planned(before, inventory)
    running = {n: r for n, r in deployed(before, first).items() if n in first.addresses()}
    made = planned(after, inventory, running)
    named = [action.replica for action in made.actions]
    wanted = {
        f"{name}.{number}"
        for name, model in after.served().items()
        for number in range(model.replicas.min)
    }
    assert sorted(named) == sorted({*wanted, *running})
    for node in inventory.nodes:
        used = sum(a.shape.tensor * a.nodes.count(node.name) for a in made.actions)
        assert used <= inventory.accelerators_of(node).count


@settings(max_examples=40)
@given(FLEETS, CLUSTERS)
def test_planning_again_after_a_plan_was_applied_changes_nothing(
    fleet: Fleet, inventory: Inventory
) -> None:
    first = planned(fleet, inventory)
    running = {n: r for n, r in deployed(fleet, first).items() if n in first.addresses()}
    again = planned(fleet, inventory, running)
    assert {v for r, v in verbs(again).items() if r in running} <= {Verb.KEEP}
    assert again.addresses() == first.addresses()


def test_a_replica_that_ray_placed_by_itself_is_moved_once_to_where_the_plan_wants_it() -> None:
    fleet = models(a="", b="")
    running = deployed(fleet, planned(fleet, nodes(8)))
    unplanned = {**running, "a.0": replace(running["a.0"], addresses=())}
    made = planned(fleet, nodes(8), unplanned)
    assert verbs(made) == {"a.0": Verb.MOVE, "b.0": Verb.KEEP}
    assert made.actions[0].reason == "it was placed without a plan"


def cordoned(
    fleet: Fleet, inventory: Inventory, running: Mapping[str, Running], cordon: Cordon
) -> Plan:
    return planned(fleet, inventory, running, Conditions(cordon=cordon))


def test_inside_a_cordon_what_may_stay_stays_and_nothing_is_placed_anew() -> None:
    fleet, inventory = models(a="replicas: {min: 2}, tensor: 4"), nodes(8, 8)
    running = {
        name: replace(each, addresses=("10.0.0.1",))
        for name, each in deployed(fleet, planned(fleet, inventory)).items()
    }
    cordon = Cordon({"10.0.0.1": "suspect"}, frozenset({"a.0"}))
    made = cordoned(fleet, inventory, running, cordon)
    assert verbs(made) == {"a.0": Verb.KEEP, "a.1": Verb.MOVE}
    assert [(action.nodes, action.reason) for action in made.actions] == [
        (("n1",), "runs as it should"),
        (("n2",), "n1 is suspect"),
    ]
    assert cordoned(fleet, inventory, {}, cordon).actions[0].nodes == ("n2",)


def test_with_every_node_inside_a_cordon_the_rest_is_blocked_with_the_reason() -> None:
    fleet, inventory = models(a="replicas: {min: 2}"), nodes(8)
    running = deployed(fleet, planned(fleet, inventory))
    made = cordoned(fleet, inventory, running, Cordon({"10.0.0.1": "odd"}, frozenset({"a.0"})))
    assert verbs(made) == {"a.0": Verb.KEEP, "a.1": Verb.BLOCKED}
    assert made.actions[1].reason == "n1 is odd"


def test_a_gang_with_one_stage_inside_a_cordon_is_placed_whole_outside() -> None:
    fleet = models(a="tensor: 8, pipeline: 2, stage_placement: spread")
    inventory = nodes(8, 8, 8)
    running = deployed(fleet, planned(fleet, inventory))
    made = cordoned(fleet, inventory, running, Cordon({"10.0.0.1": "suspect"}))
    assert verbs(made) == {"a.0": Verb.MOVE}
    assert set(made.actions[0].nodes) == {"n2", "n3"}


def test_a_gang_with_one_stage_inside_a_cordon_stays_as_it_is_or_leaves_altogether() -> None:
    gang = "tensor: 4, pipeline: 2"
    inventory = nodes(8, 8)
    running = {
        name: replace(each, addresses=("10.0.0.1", "10.0.0.2"))
        for name, each in deployed(models(a=gang), planned(models(a=gang), inventory)).items()
    }
    cordon = Cordon({"10.0.0.1": "suspect"}, frozenset({"a.0"}))
    made = cordoned(models(a=gang, b="tensor: 8"), inventory, running, cordon)
    assert verbs(made) == {"a.0": Verb.KEEP, "b.0": Verb.BLOCKED}
    made = cordoned(models(a=gang, b="tensor: 8"), nodes(8, 8, 4, 4), running, cordon)
    assert [action.nodes for action in made.actions] == [("n3", "n4"), ("n2",)]


def counted(
    fleet: Fleet, inventory: Inventory, running: Mapping[str, Running], counts: Counts
) -> Plan:
    return planned(fleet, inventory, running, Conditions(counts))


def test_counts_say_how_many_run_and_min_and_max_bound_them() -> None:
    fleet = models(a="replicas: {min: 1, max: 3}", b="replicas: {min: 0, max: 2}")
    for wanted, found in ((0, 1), (2, 2), (9, 3)):
        made = counted(fleet, nodes(8), {}, Counts({"a": wanted}))
        assert made.counts() == {"a": found, "b": 0}


def test_without_counts_a_model_keeps_as_many_as_it_has() -> None:
    fleet = models(a="replicas: {min: 1, max: 3}")
    running = deployed(fleet, counted(fleet, nodes(8), {}, Counts({"a": 3})))
    assert planned(fleet, nodes(8), running).counts() == {"a": 3}
    fewer = models(a="replicas: {min: 1, max: 2}")
    assert planned(fewer, nodes(8), running).counts() == {"a": 2}


def test_the_replica_that_is_to_leave_leaves_and_the_others_keep_their_names() -> None:
    fleet = models(a="replicas: {min: 1, max: 3}")
    running = deployed(fleet, counted(fleet, nodes(8), {}, Counts({"a": 3})))
    made = counted(fleet, nodes(8), running, Counts({"a": 2}, frozenset({"a.1"})))
    assert verbs(made) == {"a.0": Verb.KEEP, "a.1": Verb.STOP, "a.2": Verb.KEEP}
    left = {name: each for name, each in running.items() if name != "a.1"}
    again = counted(fleet, nodes(8), left, Counts({"a": 3}))
    assert verbs(again) == {"a.0": Verb.KEEP, "a.1": Verb.START, "a.2": Verb.KEEP}


def test_what_is_beyond_min_and_has_no_place_is_left_out_and_blocks_nothing() -> None:
    fleet = models(a="tensor: 4, replicas: {min: 1, max: 4}")
    made = counted(fleet, nodes(8), {}, Counts({"a": 4}))
    assert made.blocked == ()
    assert made.counts() == {"a": 2}
    assert [note.split(":")[0] for note in made.notes] == ["a.2 is left out", "a.3 is left out"]


def test_on_fewer_nodes_min_comes_first_then_priority() -> None:
    fleet = models(
        low="tensor: 4, replicas: {min: 1, max: 2}",
        high="tensor: 4, replicas: {min: 1, max: 2}, scaling: {priority: 1}",
    )
    running = deployed(fleet, counted(fleet, nodes(8, 8), {}, Counts({"low": 2, "high": 2})))
    assert planned(fleet, nodes(4, 8), running).counts() == {"low": 1, "high": 2}
    assert planned(fleet, nodes(8), running).counts() == {"low": 1, "high": 1}
    blocked = planned(fleet, nodes(4), running)
    assert blocked.counts() == {"low": 0, "high": 1}
    assert [action.replica for action in blocked.blocked] == ["low.0"]
