"""A pool of two slots on a real cluster: replicas follow demand, and a model is changed though no
slot is free.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

from cluster.local import NODE_ADDRESS
from tests.live.callers import MESSAGES, Callers
from tests.live.fleet_under_test import FLOTILLA, MODEL, LiveFleet, wait_for

pytestmark = pytest.mark.timeout(2400)

PORT = 18300
RAY_PORT = 26479
#: An engine's start on a busy machine.
START_S = 900.0
#: Half as many again as an engine takes at once.
CLIENTS = 6
INVENTORY = f"""\
name: two-slots
accelerators: {{kind: cpu, count: 2, memory_gib: 2.5}}
nodes: [{{name: this-machine, address: {NODE_ADDRESS}}}]
"""


def engine(sequences: int) -> str:
    return (
        "{dtype: float32, enforce_eager: true, kv_cache_memory_bytes: 64M, "
        f"max_num_seqs: {sequences}, "
        "structured_outputs_config: {backend: xgrammar, disable_any_whitespace: true}}"
    )


SHARED = f"""\
  demo:
    source: {MODEL}
    max_model_len: 2048
    replicas: {{min: 1, max: 2}}
    scaling: {{idle_s: 20}}
    engine: {engine(4)}
  sleeper:
    source: {MODEL}
    max_model_len: 2048
    replicas: {{min: 0, max: 1}}
    scaling: {{idle_s: 20}}
    engine: {engine(4)}
"""


def full(sequences: int, source: Path = MODEL) -> str:
    """Both slots taken: a model to change, and the one that answers for it meanwhile."""
    return f"""\
  demo:
    source: {source}
    max_model_len: 1024
    fallback: other
    engine: {engine(sequences)}
  other:
    source: {MODEL}
    max_model_len: 2048
    engine: {engine(4)}
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[LiveFleet]:
    live = LiveFleet(PORT, RAY_PORT)
    try:
        live.up(SHARED)
        (live.home / "two.yaml").write_text(INVENTORY)
        live.run(*deploying(live, SHARED))
        yield live
    finally:
        left = live.down()
    assert left == []


def deploying(fleet: LiveFleet, models: str) -> tuple[str, ...]:
    """The command that makes these models run on two slots."""
    file = str(fleet.file(models))
    return "deploy", file, "--inventory", str(fleet.home / "two.yaml")


@pytest.fixture
def say(
    capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> Callable[[str], None]:
    """Prints a measurement past the capture, and keeps it for the report."""

    def aloud(line: str) -> None:
        record_property("measured", line)
        with capsys.disabled():
            print(f"\n{line}")

    return aloud


def pids(fleet: LiveFleet, model: str) -> list[int]:
    """Of the replicas of a model that are ready."""
    return [
        each["pid"]
        for each in fleet.replicas()
        if each["application"].startswith(f"{model}.") and each["state"] == "ready"
    ]


def reached(fleet: LiveFleet, model: str, count: int) -> float:
    """Seconds until a model has so many replicas that are ready."""
    began_s = time.monotonic()
    wait_for(
        lambda: True if len(pids(fleet, model)) == count else None,
        f"{model} to have {count} replicas",
        START_S,
    )
    return time.monotonic() - began_s


def test_10_a_client_that_waits_brings_back_a_model_that_is_at_zero(
    fleet: LiveFleet, say: Callable[[str], None]
) -> None:
    assert pids(fleet, "sleeper") == []
    began_s = time.monotonic()
    with openai.OpenAI(
        api_key=fleet.key, base_url=fleet.base_url, max_retries=0, timeout=600
    ) as client:
        done = client.chat.completions.create(model="sleeper", messages=MESSAGES, max_tokens=8)
    assert done.choices[0].message.content
    say(f"from zero to the answer: {time.monotonic() - began_s:.1f} s")
    reached(fleet, "sleeper", 0)


@pytest.mark.heavy
def test_slots_follow_demand_from_one_model_to_the_other_and_back(
    fleet: LiveFleet, say: Callable[[str], None]
) -> None:
    with Callers(fleet, "demo", clients=CLIENTS, max_tokens=200) as step:
        say(f"from the load step to the second replica: {reached(fleet, 'demo', 2):.1f} s")
    with Callers(fleet, "sleeper", clients=3, max_tokens=200) as others:
        say(f"until the other model had a slot of the first: {reached(fleet, 'sleeper', 1):.1f} s")
        assert len(pids(fleet, "demo")) == 1
    with Callers(fleet, "demo", clients=CLIENTS, max_tokens=200) as again:
        say(f"until it was given back: {reached(fleet, 'demo', 2):.1f} s")
        assert pids(fleet, "sleeper") == []
    assert step.failures + others.failures + again.failures == []
    assert step.done > 0
    assert others.answers.keys() == {"sleeper"}
    reached(fleet, "demo", 1)
    said = fleet.run("status", "--why").stdout
    for line in ("demo 1 -> 2", "makes room for sleeper", "sleeper 0 -> 1", "demo 2 -> 1"):
        assert line in said


@pytest.mark.heavy
def test_55_a_model_is_changed_without_a_free_slot_and_without_a_failed_request(
    fleet: LiveFleet, say: Callable[[str], None]
) -> None:
    fleet.run(*deploying(fleet, full(4)))
    before, other = pids(fleet, "demo"), pids(fleet, "other")
    with Callers(fleet) as callers:
        wait_for(lambda: callers.answers["demo"] > 8 or None, "answers of the old one")
        began_s = time.monotonic()
        fleet.run(*deploying(fleet, full(8)))
        say(f"changed without a free slot: {time.monotonic() - began_s:.1f} s")
        answered = callers.answers["demo"]
        wait_for(lambda: callers.answers["demo"] > answered or None, "answers of the new one")
    assert callers.failures == []
    assert callers.answers["other"] > 0
    assert pids(fleet, "demo") != before
    assert pids(fleet, "other") == other


@pytest.mark.heavy
def test_08_a_version_that_does_not_come_up_is_taken_back_under_load(
    fleet: LiveFleet, say: Callable[[str], None]
) -> None:
    broken = fleet.home / "broken"
    shutil.copytree(MODEL, broken)
    (broken / "tokenizer.json").write_text("{")
    fleet.run(*deploying(fleet, full(8)))
    with Callers(fleet) as callers:
        began_s = time.monotonic()
        other = pids(fleet, "other")
        refused = fleet.run(*deploying(fleet, full(8, broken)), check=False)
        say(f"taken back: {time.monotonic() - began_s:.1f} s")
        assert refused.returncode != 0
        assert "what ran before is back" in refused.stderr
        assert pids(fleet, "other") == other
        answered = callers.answers["demo"]
        wait_for(lambda: callers.answers["demo"] > answered or None, "answers of the old one")
    assert callers.failures == []
    assert "nothing to do" in fleet.run(*deploying(fleet, full(8))).stderr


@pytest.mark.heavy
def test_53_a_change_that_was_killed_converges(fleet: LiveFleet) -> None:
    fleet.run(*deploying(fleet, full(8)))
    command = deploying(fleet, full(4))
    old = pids(fleet, "demo")
    with Callers(fleet) as callers:
        killed_when(fleet, command, lambda: pids(fleet, "demo") != old, "the old one to go")
        killed_when(fleet, command, lambda: is_coming(fleet, "demo"), "the new one to start")
        fleet.run(*command)
        answered = callers.answers["demo"]
        wait_for(lambda: callers.answers["demo"] > answered or None, "answers of the new one")
    assert callers.failures == []
    assert len(pids(fleet, "demo")) == 1
    assert "nothing to do" in fleet.run(*command).stderr


def killed_when(
    fleet: LiveFleet, command: tuple[str, ...], look: Callable[[], bool], what: str
) -> None:
    """Starts `flotilla ...` and kills it when there is something to see."""
    running = subprocess.Popen([*FLOTILLA, *command], env=fleet.environment)
    wait_for(lambda: look() or None, what, START_S)
    assert running.poll() is None
    running.kill()
    running.wait()


def is_coming(fleet: LiveFleet, model: str) -> bool:
    return any(
        each["application"].startswith(f"{model}.") and each["state"] == "deploying"
        for each in fleet.replicas()
    )
