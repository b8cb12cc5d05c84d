"""The command line of an engine, and vLLM's own verdict on it (in a process of its own, once: the
import is slow).
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.fit import engine_settings
from deployments.engine_keys import OWNED, OWNED_PREFIXES
from deployments.load import load
from deployments.render import replica_spec
from serving.replica.arguments import GPU_MEMORY_UTILIZATION, engine_argv
from serving.replica.spec import EngineValue, ReplicaSpec

DEMO = Path(__file__).parents[2] / "deployments" / "demo.yaml"
FLEETS = DEMO.with_name("fleets")
#: Seconds; vLLM's import takes twenty on two busy cores.
VLLM_DEADLINE_S = 110

CASES: dict[str, tuple[dict[str, EngineValue], str]] = {
    "nothing beyond what Flotilla sets": ({}, ""),
    "flags both ways": ({"enforce_eager": False, "enable_prefix_caching": True}, ""),
    "sizes in words": ({"kv_cache_memory_bytes": "64M"}, ""),
    "lists": ({"cudagraph_capture_sizes": (1, 2)}, ""),
    "objects": ({"hf_overrides": {"a.b": [1]}, "compilation_config": {"mode": 3}}, ""),
    "another default": ({"generation_config": "auto", "max_num_queued_reqs": 7}, ""),
    "an unknown name": (
        {"max_num_seqz": 3},
        "vLLM has no argument `max_num_seqz`; did you mean `max_num_seqs`?",
    ),
    "a name cut short": (
        {"max_num_seq": 3},
        "vLLM has no argument `max_num_seq`; did you mean `max_num_seqs`?",
    ),
    "a flag with one side": (
        {"disable_cascade_attn": False, "aggregate_engine_logging": False},
        "`aggregate_engine_logging` cannot be false: leave it out",
    ),
    "a wrong type": ({"max_num_seqs": "x"}, "argument --max-num-seqs: invalid int value: 'x'"),
    "a wrong choice": ({"dtype": "f"}, "argument --dtype: invalid choice: 'f'"),
    "a wrong object": ({"compilation_config": {"modee": 3}}, "Unexpected keyword argument"),
    "half of a pair": (
        {"enable_auto_tool_choice": True},
        "--enable-auto-tool-choice requires --tool-call-parser",
    ),
    "an option as a value": ({"chat_template": "--port=1"}, "doesn't exist"),
}

PROGRAM = """
import json, sys
from serving.replica.arguments import problems
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
argvs = json.load(sys.stdin)
parser = make_arg_parser(FlexibleArgumentParser())
print(json.dumps({
    "verdicts": {name: problems(argv) for name, argv in argvs.items()},
    "names": [action.dest for action in parser._actions],
}))
"""


def spec(engine: dict[str, EngineValue]) -> ReplicaSpec:
    return ReplicaSpec(
        application="m.0",
        replica_set="m",
        served_name="m",
        source="/weights/m",
        window_tokens=2048,
        tensor=2,
        pipeline=3,
        device="gpu",
        engine=tuple(engine.items()),
        grace_s=30,
    )


@pytest.fixture(scope="module")
def vllm() -> dict[str, Any]:
    """What vLLM says of every case and of the demo fleet."""
    demo = load(DEMO)
    argvs = {name: engine_argv(spec(engine)) for name, (engine, _) in CASES.items()}
    argvs |= {
        name: engine_argv(replica_spec(fleet, name, model, 0))
        for fleet in (demo, load(FLEETS / "lambda-1cc-6-nodes.yaml"))
        for name, model in fleet.served().items()
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(argvs),
        capture_output=True,
        text=True,
        timeout=VLLM_DEADLINE_S,
        check=True,
        cwd=DEMO.parents[1],
    )
    # vLLM may print before its logging is set up.
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("name", CASES)
def test_vllm_takes_or_refuses_an_engine_in_words_of_the_fleet_file(
    vllm: dict[str, Any], name: str
) -> None:
    found, expected = vllm["verdicts"][name], CASES[name][1]
    assert (expected in found[0]) if expected else (found == [])


def test_vllm_takes_the_demo_fleet_and_the_catalogue(vllm: dict[str, Any]) -> None:
    fleets = {name: found for name, found in vllm["verdicts"].items() if name not in CASES}
    assert {"flotilla-demo", "hermes3-405b-fp8-128k"} <= set(fleets)
    assert all(found == [] for found in fleets.values())


def test_every_name_that_a_fleet_may_not_set_is_one_that_vllm_knows(vllm: dict[str, Any]) -> None:
    assert set(OWNED) <= set(vllm["names"])
    assert all(any(n.startswith(prefix) for n in vllm["names"]) for prefix in OWNED_PREFIXES)


def test_the_arguments_say_what_the_replica_is_made_of() -> None:
    assert engine_argv(spec({"max_num_seqs": 4})) == [
        "--model=/weights/m",
        "--served-model-name=m",
        "--max-model-len=2048",
        "--tensor-parallel-size=2",
        "--pipeline-parallel-size=3",
        "--distributed-executor-backend=mp",
        "--fingerprint-mode=none",
        "--disable-fastapi-docs",
        "--generation-config=vllm",
        "--max-num-queued-reqs=512",
        "--enable-prompt-tokens-details",
        "--gpu-memory-utilization=0.9",
        "--max-num-seqs=4",
    ]


def test_a_replica_takes_the_share_of_a_gpu_that_the_planner_counts_with() -> None:
    assert engine_settings(1, {}).gpu_memory_utilization == GPU_MEMORY_UTILIZATION


def test_on_cpu_no_share_of_the_machine_is_named() -> None:
    on_cpu = replace(spec({}), device="cpu")
    assert not any("gpu-memory" in argument for argument in engine_argv(on_cpu))


def test_a_value_never_passes_for_an_option() -> None:
    argv = engine_argv(spec({"chat_template": "--port", "hf_overrides": {"--a": "--b"}}))
    assert argv[-2:] == ["--chat-template=--port", '--hf-overrides={"--a": "--b"}']
