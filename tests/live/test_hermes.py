"""The retired API's rule, with its own numbers and names: what does not fit into 18,432 tokens of
`hermes3-405b` is answered by its 128k sibling. The demo model stands in Hermes's place.
"""

import json
from collections.abc import Iterator

import openai
import pytest

from tests.live.conftest import DEMO
from tests.live.fleet_under_test import ENGINE, MODEL, LiveFleet
from tests.live.test_requests import post

pytestmark = pytest.mark.timeout(900)

WINDOW_TOKENS = 18432
#: Everything that is not said here is the catalogue's.
HERMES = f"""\
  hermes3-405b: {{replicas_of: hermes3-405b-fp8-128k}}
  hermes3-405b-fp8-128k:
    source: {MODEL}
    max_model_len: 32768
    tensor: 1
    engine:
      enable_auto_tool_choice: false
      hf_overrides: {{max_position_embeddings: 32768}}
      {ENGINE[1:-1].replace("128M", "160M").replace(", ", chr(10) + "      ", 4)}
  lfm-40b: {{}}
"""
MESSAGES = [{"role": "user", "content": "hello " * 40}]


@pytest.fixture(scope="module")
def hermes(fleet: LiveFleet) -> Iterator[LiveFleet]:
    fleet.deploy(DEMO + HERMES)
    yield fleet
    fleet.deploy(DEMO)


@pytest.mark.parametrize(
    ("total_tokens", "answered"),
    [(WINDOW_TOKENS, "hermes3-405b"), (WINDOW_TOKENS + 1, "hermes3-405b-fp8-128k")],
)
@pytest.mark.parametrize("asked", ["hermes3-405b", "hermes-3-llama-3.1-405b-fp8"])
def test_18432_tokens_stay_and_one_more_falls_back_also_by_the_older_name(
    hermes: LiveFleet, asked: str, total_tokens: int, answered: str
) -> None:
    probe = {"model": asked, "messages": MESSAGES, "max_tokens": 1}
    prompt_tokens = post(hermes, "/chat/completions", probe)[0]["usage"]["prompt_tokens"]
    body = {**probe, "max_tokens": total_tokens - prompt_tokens, "stop": ["."]}
    reply, headers = post(hermes, "/chat/completions", body)
    assert reply["model"] == answered
    fell_back = f"hermes3-405b -> {answered}" if total_tokens > WINDOW_TOKENS else None
    assert headers.get("x-flotilla-fallback") == fell_back


def test_the_model_without_weights_is_not_listed_and_its_refusal_says_why(
    hermes: LiveFleet,
) -> None:
    listed = [model.id for model in hermes.client().models.list().data]
    assert listed == ["demo-2k", "demo", "hermes3-405b", "hermes3-405b-fp8-128k"]
    with pytest.raises(openai.NotFoundError) as refused:
        hermes.says("lfm-40b")
    assert refused.value.code == "model_not_found"
    assert "never published" in str(refused.value)


def test_what_the_plan_says_of_a_fleet_that_runs_is_that_everything_stays(
    hermes: LiveFleet,
) -> None:
    planned = json.loads(hermes.run("plan", str(hermes.file(DEMO + HERMES)), "--json").stdout)
    assert {action["action"] for action in planned["actions"]} == {"keep"}
    status = hermes.status()
    assert all(each["stages"] == each["planned"] != [] for each in status["replicas"])
    assert not [note for note in status["notes"] if "planned on" in note]
