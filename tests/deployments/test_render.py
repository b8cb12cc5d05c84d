"""A fleet compiles to what Serve's own schema takes, and a change of it touches what it must and no
more.
"""

import json
import warnings
from typing import Any

import pytest

from deployments.deployed import Deployed, from_config
from deployments.errors import FileInvalid
from deployments.gateway_policy import two_on_every_node
from deployments.inventory_file import parse_inventory
from deployments.render import render
from deployments.steps import applications_of
from serving.gateway.config import parse as parse_user_config
from serving.replica.spec import ReplicaSpec
from tests.deployments.fleets import TWO_NAMES, changed, fleet_of

with warnings.catch_warnings():
    # Ray's own use of pydantic.
    warnings.simplefilter("ignore")
    from ray.serve.config import AutoscalingConfig
    from ray.serve.schema import ServeDeploySchema

GPU = """
models:
  wide: {source: org/wide, max_model_len: 9, tensor: 8, pipeline: 2, stage_placement: spread}
  idle: {source: org/idle, max_model_len: 9, replicas: {min: 0, max: 1}}
  gone: {unavailable: nobody has its weights}
"""


def ingress(config: dict[str, Any]) -> Any:
    return applications_of(config)["flotilla"]


def replica(config: dict[str, Any], name: str) -> Any:
    return applications_of(config)[name]


@pytest.mark.parametrize("text", [TWO_NAMES, GPU])
def test_serve_takes_the_config_and_gives_back_the_same(text: str) -> None:
    config = json.loads(json.dumps(render(fleet_of(text))))
    schema = ServeDeploySchema.model_validate(config)
    given_back = [app.model_dump(exclude_unset=True) for app in schema.applications]
    assert given_back == config["applications"]


def test_the_same_fleet_renders_to_the_same_bytes() -> None:
    assert json.dumps(render(fleet_of())) == json.dumps(render(fleet_of()))


def test_nothing_of_serve_listens_beyond_loopback() -> None:
    config = render(fleet_of())
    assert (config["proxy_location"], config["http_options"]) == ("Disabled", {"host": "127.0.0.1"})
    assert all(app["route_prefix"] is None for app in config["applications"])
    assert ingress(config)["args"] == {"host": "127.0.0.1", "port": 8000}


def test_there_is_one_application_for_each_replica_that_must_be_there() -> None:
    assert list(applications_of(render(fleet_of()))) == [
        "flotilla",
        "big.0",
        "big.1",
        "flotilla-dashboard",
    ]
    assert list(applications_of(render(fleet_of(GPU)))) == [
        "flotilla",
        "wide.0",
        "flotilla-dashboard",
    ]


def test_a_stage_is_a_bundle_with_all_of_its_accelerators() -> None:
    deployment = replica(render(fleet_of(GPU)), "wide.0")["deployments"][0]
    assert deployment["placement_group_bundles"] == [{"GPU": 8.0}, {"GPU": 8.0}]
    assert deployment["placement_group_strategy"] == "STRICT_SPREAD"
    assert deployment["ray_actor_options"] == {"num_cpus": 0, "num_gpus": 8.0}


def test_on_cpu_an_accelerator_is_a_slot() -> None:
    deployment = replica(render(fleet_of()), "big.0")["deployments"][0]
    assert deployment["placement_group_bundles"] == [{"slot": 1.0}]
    assert deployment["placement_group_strategy"] == "PACK"
    assert deployment["ray_actor_options"] == {"num_cpus": 0, "resources": {"slot": 1.0}}


def test_a_replica_is_told_what_it_is_made_of_in_a_form_that_survives_json() -> None:
    args = json.loads(json.dumps(replica(render(fleet_of()), "big.1")["args"]))
    spec = ReplicaSpec.from_args(args)
    assert spec.application == "big.1"
    assert (spec.replica_set, spec.served_name, spec.window_tokens) == ("big", "big", 8192)
    assert spec.engine == (("kv_cache_memory_bytes", "64M"),)
    assert ReplicaSpec.from_args(spec.to_args()) == spec


def test_a_replica_is_told_the_roots_unless_its_source_is_a_path() -> None:
    models = "models:\n  id: {source: org/x, max_model_len: 9}\n"
    fleet = fleet_of(models + "  path: {source: /own/x, max_model_len: 9}\n")
    inventory = parse_inventory(
        b"name: c\nstorage: {local: /nvme, shared: /shared}\n"
        b"nodes:\n  - {name: n, address: h, accelerators: {kind: h100-sxm-80gb, count: 8}}\n",
        "nodes.yaml",
    )
    config = json.loads(json.dumps(render(fleet, inventory=inventory)))
    roots = {name: replica(config, name)["args"]["roots"] for name in ("id.0", "path.0")}
    assert roots == {"id.0": ["/nvme", "/shared"], "path.0": []}
    assert ReplicaSpec.from_args(replica(config, "id.0")["args"]).roots == ("/nvme", "/shared")


def test_serve_waits_longer_for_a_stop_than_the_drain_may_take() -> None:
    config = render(fleet_of())
    deployments = [each for app in config["applications"] for each in app["deployments"]]
    stops = {each["name"]: each.get("graceful_shutdown_timeout_s") for each in deployments}
    assert stops == {"Gateway": 60, "Controller": None, "Replica": 60, "Dashboard": 5}


def test_gateways_are_told_their_certificate_where_there_is_one() -> None:
    tls = {"certificate": "/etc/tls/chain.pem", "key": "/etc/tls/key.pem"}
    text = f"gateway: {{tls: {json.dumps(tls)}}}\n{TWO_NAMES}"
    args = json.loads(json.dumps(ingress(render(fleet_of(text)))["args"]))
    assert args == {"host": "127.0.0.1", "port": 8000, "tls": tls}


def test_another_routing_changes_the_gateways_config_only() -> None:
    before = render(fleet_of())
    after = render(fleet_of(f"gateway: {{routing: least-load}}\n{TWO_NAMES}"))
    configs = [ingress(config)["deployments"][0].pop("user_config") for config in (before, after)]
    assert [parse_user_config(config).routing for config in configs] == ["prefix", "least-load"]
    assert before == after


def test_the_form_of_logs_is_said_of_every_application_and_changes_nothing_else() -> None:
    plain, json_lines = render(fleet_of()), render(fleet_of(f"logs: json\n{TWO_NAMES}"))
    for application in json_lines["applications"]:
        assert application.pop("logging_config") == {"encoding": "JSON"}
    assert json_lines == plain


def test_no_number_of_gateways_is_rendered_but_who_knows_it() -> None:
    deployment = ingress(render(fleet_of()))["deployments"][0]
    assert "num_replicas" not in deployment
    assert deployment["max_replicas_per_node"] == 2
    config = AutoscalingConfig(**deployment["autoscaling_config"])
    assert (config.min_replicas, config.upscale_delay_s, config.downscale_delay_s) == (2, 0, 0)
    # Not the same function: Serve takes a copy of its module along.
    policy = config.policy.get_policy()
    assert (policy.__module__, policy.__name__) == (
        two_on_every_node.__module__,
        two_on_every_node.__name__,
    )


def test_gateways_know_the_models_in_the_order_of_the_file() -> None:
    gateway = ingress(render(fleet_of(TWO_NAMES + "  gone: {unavailable: no weights}\n")))
    config = gateway["deployments"][0]["user_config"]
    assert config["limits"] == {"deadline_s": 600, "grace_s": 30}
    assert config["models"] == [
        {
            "name": "small",
            "replica_set": "big",
            "aliases": ["s"],
            "window_tokens": 2048,
            "fallback": "big",
            "created": 1724347380,
            "unavailable": None,
        },
        {
            "name": "big",
            "replica_set": "big",
            "aliases": [],
            "window_tokens": 8192,
            "fallback": None,
            "created": 1724347380,
            "unavailable": None,
        },
        {
            "name": "gone",
            "replica_set": "gone",
            "aliases": [],
            "window_tokens": 0,
            "fallback": None,
            "created": 1724347380,
            "unavailable": "no weights",
        },
    ]


@pytest.mark.parametrize(
    "models",
    [
        {"small": {"aliases": ("other",)}},
        {"small": {"max_model_len": 1024}},
        {"small": {"fallback": None}},
        {"big": {"aliases": ("other",)}},
        {"big": {"created": 5}},
    ],
)
def test_a_name_an_alias_a_fallback_or_a_shared_window_changes_the_gateways_config_only(
    models: dict[str, Any],
) -> None:
    before, after = render(fleet_of()), render(changed(fleet_of(), **models))
    assert before != after
    gateways = [ingress(config)["deployments"][0] for config in (before, after)]
    assert gateways[0].pop("user_config") != gateways[1].pop("user_config")
    assert before == after


@pytest.mark.parametrize(
    "models",
    [
        {"big": {"max_model_len": 4096}},
        {"big": {"tensor": 2}},
        {"big": {"source": "org/other"}},
        {"big": {"engine": {"kv_cache_memory_bytes": "65M"}}},
    ],
)
def test_what_a_replica_is_made_of_changes_its_own_applications(models: dict[str, Any]) -> None:
    before, after = render(fleet_of()), render(changed(fleet_of(), **models))
    assert replica(before, "big.0")["args"] != replica(after, "big.0")["args"]
    assert ingress(before)["args"] == ingress(after)["args"]


def test_gateways_take_the_config_that_is_rendered_for_them() -> None:
    config = ingress(render(fleet_of()))["deployments"][0]["user_config"]
    catalogue = parse_user_config(config)
    assert {name: model.name for name, model in catalogue.by_name.items()} == {
        "small": "small",
        "s": "small",
        "big": "big",
    }


def test_another_replica_leaves_those_that_run_as_they_are() -> None:
    more = render(changed(fleet_of(), big={"replicas": {"min": 3, "max": 3}}))
    before, after = applications_of(render(fleet_of())), applications_of(more)
    assert after.pop("big.2")["args"]["application"] == "big.2"
    # The Controller is told, and nothing of its application starts anew for that.
    told = [each["flotilla"]["deployments"][1].pop("user_config") for each in (before, after)]
    assert told == [{"replicas": {"big": 2}}, {"replicas": {"big": 3}}]
    assert after == before


def test_the_dashboard_is_on_the_head_beside_the_gateways_port() -> None:
    dashboard = replica(render(fleet_of()), "flotilla-dashboard")
    assert dashboard["args"] == {
        "host": "127.0.0.1",
        "port": 8001,
        "gateway": {"host": "127.0.0.1", "port": 8000},
    }
    options = dashboard["deployments"][0]["ray_actor_options"]
    assert options == {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}


@pytest.mark.parametrize(
    ("said", "port"),
    [
        ("", 8001),
        ("gateway: {port: 18000}", 18001),
        ("gateway: {port: 65535}", 65534),
        ("dashboard: {port: 9}", 9),
    ],
)
def test_the_dashboard_has_the_next_port_unless_it_is_given_one(said: str, port: int) -> None:
    fleet = fleet_of(f"{said}\n{TWO_NAMES}")
    assert replica(render(fleet), "flotilla-dashboard")["args"]["port"] == port


def test_the_dashboard_and_the_gateway_cannot_share_a_port() -> None:
    with pytest.raises(FileInvalid, match="is the gateway's: give each its own"):
        fleet_of(f"dashboard: {{port: 8000}}\n{TWO_NAMES}")


def test_another_port_for_the_dashboard_restarts_nothing_else() -> None:
    before = applications_of(render(fleet_of()))
    after = applications_of(render(fleet_of(f"dashboard: {{port: 9}}\n{TWO_NAMES}")))
    changed_ones = [name for name in before if before[name] != after[name]]
    assert changed_ones == ["flotilla-dashboard"]


def test_gateways_are_told_prices_and_a_shared_window_has_that_of_its_owner() -> None:
    price = {"input": 0.25, "cached_input": 0.025, "output": 1}
    plain = fleet_of(SHARING)
    fleet = changed(plain, owner={"price": price}, dearer={"price": {"input": 2, "output": 3}})
    told = ingress(render(fleet))["deployments"][0]["user_config"]["models"]
    assert {model["name"]: model.get("price") for model in told} == {
        "owner": {"input": 250, "cached_input": 25, "output": 1_000},
        "sharer": {"input": 250, "cached_input": 25, "output": 1_000},
        "dearer": {"input": 2_000, "cached_input": 2_000, "output": 3_000},
        "free": None,
        "gone": None,
    }
    assert parse_user_config({"models": told}).by_name["free"].price is None
    unpriced = render(plain)
    for application in applications_of(unpriced):
        if application != "flotilla":
            assert replica(render(fleet), application) == replica(unpriced, application)


SHARING = """
models:
  owner: {source: org/owner, max_model_len: 9}
  sharer: {replicas_of: owner, max_model_len: 8}
  dearer: {replicas_of: owner, max_model_len: 7}
  free: {source: org/free, max_model_len: 9}
  gone: {unavailable: nobody has its weights}
"""


NODES = b"""
name: i
accelerators: {kind: h100-sxm-80gb, count: 8}
nodes: [{name: n, address: 10.0.0.1}]
"""


def test_prices_survive_the_way_to_the_controller_and_back() -> None:
    fleet = changed(fleet_of(SHARING), owner={"price": {"input": 0.1, "output": 0.3}})
    inventory = parse_inventory(NODES, "i.yaml")
    told = json.loads(json.dumps(Deployed(fleet, inventory).to_config()))
    assert from_config(told).fleet.models == fleet.models
