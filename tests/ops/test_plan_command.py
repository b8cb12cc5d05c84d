"""`flotilla plan` as an operator sees it, with Serve scripted over real HTTP."""

import json
from pathlib import Path

import pytest
import yaml

from cluster.accelerator import GIB
from cluster.local import NODE_ADDRESS, LocalRay
from deployments.load import load
from deployments.render import render
from deployments.running import addresses_of
from ops.planning import deployed_inventory
from serving.keystore import home
from tests.deployments.fake_controller import FakeController
from tests.deployments.fake_serve import FakeServe
from tests.deployments.fleets import fleet_of
from tests.ops.test_cli import _vllm_says_yes, flotilla, running, serve

__all__ = ["_vllm_says_yes", "serve"]

FLEETS = Path(__file__).parents[2] / "deployments" / "fleets"
SIX_NODES = FLEETS / "lambda-1cc-6-nodes.yaml"
NODES = "name: two\naccelerators: {kind: h100-sxm-80gb, count: 8}\nnodes:\n" + "".join(
    f"  - {{name: n{at}, address: 10.0.0.{at}}}\n" for at in (1, 2)
)
BLOCKED = """
inventory: nodes.yaml
models:
  hermes3-405b: {}
  hermes3-405b-fp8-128k: {}
  hermes3-70b: {tensor: 2}
  hermes3-8b: {}
"""


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", "http://127.0.0.1:1")


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    (tmp_path / "nodes.yaml").write_text(NODES)
    path = tmp_path / "fleet.yaml"
    path.write_text(BLOCKED)
    return path


def test_the_whole_list_is_shown_with_its_figures_and_a_map() -> None:
    result = flotilla("plan", SIX_NODES)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert sum("+  start" in line for line in lines) == 12
    assert any("hermes3-70b" in line and "462,464" in line for line in lines)
    assert any("lfm-40b" in line and "unavailable" in line for line in lines)
    assert any("served by hermes3-405b-fp8-128k" in line for line in lines)
    assert any(line.startswith("node-6") and line.rstrip().endswith("········") for line in lines)
    assert lines[-1] == "10 start; 14 of 48 accelerators stay free"
    assert "planned as for an empty one" in result.stdout


def test_a_blocked_plan_ends_with_2_and_names_lines_arithmetic_and_cures(blocked: Path) -> None:
    result = flotilla("plan", blocked)
    assert result.exit_code == 2
    said = " ".join(result.stdout.split())
    assert f"{blocked}:6: models.hermes3-70b: h100-sxm-80gb: a window of 131,072 tokens" in said
    assert f"{blocked}:7: models.hermes3-8b: " in said
    assert "hermes3-8b: one deployment for two ids" in said
    assert "2 start, 2 blocked; 0 of 16 accelerators stay free" in said


def test_machines_read_the_same_plan_as_json(blocked: Path) -> None:
    result = flotilla("plan", blocked, "--json")
    made = json.loads(result.stdout)
    assert (result.exit_code, made["blocked"]) == (2, True)
    actions = {action["replica"]: action["action"] for action in made["actions"]}
    assert actions == {
        "hermes3-405b.0": "start",
        "hermes3-405b-fp8-128k.0": "start",
        "hermes3-70b.0": "blocked",
        "hermes3-8b.0": "blocked",
    }
    assert [node["free"] for node in made["nodes"]] == [0, 0]
    assert made["nodes"][0]["cells"] == ["hermes3-405b"] * 8
    assert made["models"][0]["fit"]["weight_bytes"] / GIB == pytest.approx(47.8, abs=0.1)
    assert len(made["problems"]) == 2
    assert {each["model"] for each in made["suggestions"]} == {"hermes3-70b", "hermes3-8b"}


@pytest.mark.parametrize("command", ["render", "deploy"])
def test_a_blocked_fleet_is_refused_before_anything_is_done(
    blocked: Path, serve: FakeServe, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", serve.url)
    result = flotilla(command, blocked)
    assert (result.exit_code, result.stdout, serve.puts) == (2, "", [])
    assert f"{blocked}:6: models.hermes3-70b: " in result.stderr
    assert f"{blocked}:7: models.hermes3-8b: " in result.stderr


def test_explaining_a_model_shows_every_term_and_the_other_shapes() -> None:
    result = flotilla("plan", SIX_NODES, "--explain", "llama3.1-70b-instruct-fp8")
    assert result.exit_code == 0
    for text in (
        "70.55 billion parameters",
        "licence: Llama 3.1 Community",
        "80 layers, 33.85 GiB of weights on each accelerator, 163,840 bytes of KV cache a token",
        "34.29 GiB of KV cache on each = 224,720 tokens",
        "1.7 of 131,072",
        "<- this fleet",
        "start llama3.1-70b-instruct-fp8.0 on node-",
    ):
        assert text in result.stdout, text


def test_an_alias_and_a_shared_id_are_explained_by_the_replicas_that_serve_them() -> None:
    for name in ("hermes-3-llama-3.1-405b-fp8", "hermes3-405b"):
        said = flotilla("plan", SIX_NODES, "--explain", name).stdout
        assert said.startswith("hermes3-405b-fp8-128k (window 131,072), hermes3-405b (")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hermes3-7b", "there is no model `hermes3-7b` in it; did you mean `hermes3-70b`?"),
        ("lfm-40b", "lfm-40b is not served: the weights of lfm-40b were never published"),
    ],
)
def test_what_cannot_be_explained_says_why(name: str, said: str) -> None:
    result = flotilla("plan", SIX_NODES, "--explain", name)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_model_that_does_not_fit_is_explained_with_its_cures(blocked: Path) -> None:
    result = flotilla("plan", blocked, "--explain", "hermes3-70b")
    assert result.exit_code == 2
    assert "does not fit: a window of 131,072 tokens" in result.stdout
    assert "would help: a window of 15,360 tokens" in result.stdout


def test_what_runs_as_planned_is_kept(
    tmp_path: Path, serve: FakeServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", serve.url)
    (tmp_path / "nodes.yaml").write_text(NODES)
    path = tmp_path / "fleet.yaml"
    path.write_text("inventory: nodes.yaml\nmodels:\n  hermes3-8b: {replicas: {min: 2}}\n")
    deployed = flotilla("deploy", path)
    assert deployed.exit_code == 0, deployed.stderr
    made = json.loads(flotilla("plan", path, "--json").stdout)
    assert {action["action"] for action in made["actions"]} == {"keep"}
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text("inventory: nodes.yaml\nmodels:\n  hermes3-8b: {}\n")
    made = json.loads(flotilla("plan", fewer, "--json").stdout)
    assert [action["action"] for action in made["actions"]] == ["keep", "stop"]


def test_what_the_controller_calls_suspect_gets_nothing_new_and_keeps_what_is_up(
    tmp_path: Path, serve: FakeServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", serve.url)
    (tmp_path / "nodes.yaml").write_text(NODES)
    path = tmp_path / "fleet.yaml"
    path.write_text("inventory: nodes.yaml\nmodels:\n  hermes3-8b: {}\n")
    assert flotilla("deploy", path).exit_code == 0
    suspect = "suspect: its driver answers for 7 of 8 accelerators"
    with running(FakeController(home())) as controller:
        controller.status["suspects"] = {"10.0.0.1": suspect}
        path.write_text("inventory: nodes.yaml\nmodels:\n  hermes3-8b: {replicas: {min: 2}}\n")
        made = json.loads(flotilla("plan", path, "--json").stdout)
        assert [(each["action"], each["nodes"]) for each in made["actions"]] == [
            ("keep", ["n1"]),
            ("start", ["n2"]),
        ]
        assert f"n1 is {suspect}: nothing starts there" in made["notes"]
        controller.status["answering"] = {"10.0.0.1": 7}
        seven = tmp_path / "seven.yaml"
        seven.write_text(NODES.replace("count: 8", "count: 7"))
        made = json.loads(flotilla("plan", path, "--inventory", seven, "--json").stdout)
        assert [each["nodes"] for each in made["actions"]] == [["n1"], ["n1"]]
        controller.status["suspects"]["10.0.0.2"] = suspect
        result = flotilla("deploy", path)
    assert result.exit_code == 2
    assert f"{path}:3: models.hermes3-8b: n1 is {suspect}; n2 is {suspect}" in result.stderr
    assert "hermes3-8b.1" not in serve.running


def test_another_inventory_is_taken_instead_of_the_fleet_files(blocked: Path) -> None:
    made = json.loads(
        flotilla(
            *("plan", blocked, "--json"),
            *("--inventory", FLEETS / "inventories" / "lambda-1cc-6-nodes.yaml"),
        ).stdout
    )
    assert made["inventory"] == "lambda-1cc-6-nodes"


def test_without_an_inventory_a_cpu_fleet_is_planned_on_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "device: cpu\nmodels:\n"
        "  a: {source: org/a, max_model_len: 9, engine: {kv_cache_memory_bytes: 1M}}\n"
    )
    made = json.loads(flotilla("plan", path, "--json").stdout)
    assert made["inventory"] == "this-machine"
    assert made["actions"][0]["action"] == "start"
    assert "a: its memory is not checked: no config.json of org/a is reachable" in made["notes"][1]


def test_beside_a_local_cluster_a_render_has_the_places_that_a_deploy_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = LocalRay(tmp_path / "home", slots=2)
    for name, value in local.environment().items():
        monkeypatch.setenv(name, value)  # the command would set them for good
    (tmp_path / "home").mkdir()
    record = {"session": 1, "slots": 2, "ports": {"gcs": 1, "dashboard": 2, "agent": 3}}
    (tmp_path / "home" / "cluster.json").write_text(json.dumps(record))
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "device: cpu\nmodels:\n"
        "  a: {source: org/a, max_model_len: 9, engine: {kv_cache_memory_bytes: 1M}}\n"
    )
    config = yaml.safe_load(flotilla("render", path).stdout)
    assert addresses_of(config["applications"][1]) == (NODE_ADDRESS,)


def test_a_fleet_for_another_cluster_is_planned_also_beside_a_local_one(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    record = {"session": 1, "slots": 2, "ports": {"gcs": 1, "dashboard": 2, "agent": 3}}
    (tmp_path / "home" / "cluster.json").write_text(json.dumps(record))
    inventory = deployed_inventory(load(SIX_NODES), None)
    assert inventory is not None
    assert inventory.name == "lambda-1cc-6-nodes"


def test_without_an_inventory_and_without_a_gpu_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "fleet.yaml"
    path.write_text("models:\n  hermes3-8b: {}\n")
    result = flotilla("plan", path)
    assert result.exit_code == 1
    assert "no NVIDIA driver: name the cluster's nodes with `--inventory FILE`" in result.stderr


def test_status_says_where_a_replica_is_not_where_the_plan_wanted_it(
    serve: FakeServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", serve.url)
    serve.run(render(fleet_of(), {"big.0": ("10.0.0.1", "10.0.0.3")}))
    with running(FakeController(home())):
        said = flotilla("status").stderr
        assert "big.0: planned on 10.0.0.1 10.0.0.3, runs on 10.0.0.1 10.0.0.2" in said
        serve.run(render(fleet_of(), {"big.0": ("10.0.0.1", "10.0.0.2")}))
        assert "planned on" not in flotilla("status").stderr
