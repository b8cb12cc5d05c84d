"""Replicas follow demand on a real cluster: a load step, and a model that begins with none."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.live.fleet_under_test import MODEL, LiveFleet, wait_for

pytestmark = pytest.mark.timeout(2400)

PORT = 18300
RAY_PORT = 26479
#: An engine's start on a busy machine.
START_S = 900.0
CLIENTS = 12
ENGINE = (
    "{dtype: float32, enforce_eager: true, kv_cache_memory_bytes: 64M, max_num_seqs: 4, "
    "structured_outputs_config: {backend: xgrammar, disable_any_whitespace: true}}"
)
MODELS = f"""\
  demo:
    source: {MODEL}
    max_model_len: 2048
    replicas: {{min: 1, max: 2}}
    scaling: {{idle_s: 20}}
    engine: {ENGINE}
  sleeper:
    source: {MODEL}
    max_model_len: 2048
    replicas: {{min: 0, max: 1}}
    scaling: {{idle_s: 20}}
    engine: {ENGINE}
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[LiveFleet]:
    live = LiveFleet(PORT, RAY_PORT)
    try:
        live.up(MODELS)
        yield live
    finally:
        left = live.down()
    assert left == []


class Crowd:
    """Clients that ask for long answers until they are told to stop."""

    def __init__(self, fleet: LiveFleet) -> None:
        self._fleet = fleet
        self._stop = threading.Event()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(CLIENTS)]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=300)

    def _call(self) -> None:
        messages: Any = [{"role": "user", "content": "hello"}]
        with openai.OpenAI(api_key=self._fleet.key, base_url=self._fleet.base_url) as client:
            while not self._stop.is_set():
                try:
                    client.chat.completions.create(
                        model="demo", messages=messages, max_tokens=200, temperature=1
                    )
                except openai.OpenAIError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")


def names(fleet: LiveFleet, model: str) -> list[str]:
    return [
        each["application"]
        for each in fleet.replicas()
        if each["application"].startswith(f"{model}.") and each["state"] == "ready"
    ]


def reached(fleet: LiveFleet, model: str, count: int) -> float:
    """Seconds until a model has so many replicas that are ready."""
    began_s = time.monotonic()
    wait_for(
        lambda: True if len(names(fleet, model)) == count else None,
        f"{model} to have {count} replicas",
        START_S,
    )
    return time.monotonic() - began_s


def test_a_client_that_waits_brings_back_a_model_that_is_at_zero(
    fleet: LiveFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(fleet, "sleeper") == []
    began_s = time.monotonic()
    with openai.OpenAI(
        api_key=fleet.key, base_url=fleet.base_url, max_retries=0, timeout=600
    ) as client:
        done = client.chat.completions.create(
            model="sleeper", messages=[{"role": "user", "content": "hello"}], max_tokens=8
        )
    assert done.choices[0].message.content
    with capsys.disabled():
        print(f"\nfrom zero to the answer: {time.monotonic() - began_s:.1f} s")
    reached(fleet, "sleeper", 0)


def test_a_load_step_brings_a_second_replica_and_its_end_takes_it(
    fleet: LiveFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    with Crowd(fleet) as crowd:
        took_s = reached(fleet, "demo", 2)
    with capsys.disabled():
        print(f"\nfrom the load step to the second replica: {took_s:.1f} s")
    assert crowd.failures == []
    reached(fleet, "demo", 1)
    said = fleet.run("status", "--why").stdout
    assert "demo 1 -> 2" in said
    assert "demo 2 -> 1" in said
