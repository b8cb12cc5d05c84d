"""What a client sees of a real fleet: real Ray, real vLLM, the official client in strict mode."""

import json
import urllib.error
import urllib.request
from typing import Any

import openai
import pytest

from tests.live.aftermath import Fault
from tests.live.conftest import DEMO
from tests.live.fleet_under_test import NEVER_ENDS, LiveFleet, wait_for

pytestmark = pytest.mark.timeout(900)


def post(fleet: LiveFleet, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    request = urllib.request.Request(
        fleet.base_url + path,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {fleet.key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.loads(reply.read()), reply.headers


def test_the_first_answer_is_a_sentence_about_flotilla(fleet: LiveFleet) -> None:
    assert "flotilla keys create" in fleet.says("demo")


def test_a_chat_reply_has_the_keys_of_the_retired_api_in_its_order(fleet: LiveFleet) -> None:
    reply, _ = post(
        fleet,
        "/chat/completions",
        {
            "model": "demo",
            "messages": [
                {"role": "system", "content": "You are a helpful assistant named Hermes."},
                {"role": "user", "content": "Who won the world series in 2020?"},
            ],
        },
    )
    assert list(reply) == [
        *("id", "choices", "created", "model", "object"),
        *("system_fingerprint", "usage", "service_tier"),
    ]
    assert list(reply["choices"][0]) == ["finish_reason", "index", "message"]
    message = reply["choices"][0]["message"]
    assert list(message) == ["content", "role", "tool_calls", "function_call"]
    assert reply["id"].startswith("chat-")
    assert len(reply["id"]) == len("chat-") + 32
    assert reply["usage"]["total_tokens"] == (
        reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]
    )


def test_a_completion_without_max_tokens_is_not_cut_at_16(fleet: LiveFleet) -> None:
    reply, _ = post(
        fleet, "/completions", {"model": "demo", "prompt": "Flotilla is", "temperature": 0}
    )
    assert list(reply) == [
        *("id", "object", "created", "model", "choices", "usage", "system_fingerprint")
    ]
    assert list(reply["choices"][0]) == [
        *("stop_reason", "finish_reason", "index", "text", "logprobs")
    ]
    assert reply["usage"]["completion_tokens"] != 16
    assert reply["choices"][0]["finish_reason"] == "stop"


def test_a_stream_says_the_same_as_a_whole_reply_and_ends_with_usage(fleet: LiveFleet) -> None:
    stream = fleet.client().chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "How do I create an API key?"}],
        temperature=0,
        max_tokens=48,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == fleet.says("demo")
    assert chunks[-1].usage is not None
    assert {chunk.model for chunk in chunks} == {"demo"}
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert chunks[0].id.startswith("chat-")


def test_the_fields_that_vllm_serves_pass_through(fleet: LiveFleet) -> None:
    done = fleet.client().chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "hello"}],
        n=2,
        logprobs=True,
        top_logprobs=2,
        stop=["zzz"],
        seed=7,
        max_completion_tokens=8,
        response_format={"type": "json_object"},
    )
    assert len(done.choices) == 2
    logprobs = done.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content[0].top_logprobs) == 2


def test_structured_output_obeys_its_schema(fleet: LiveFleet) -> None:
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["red", "blue"]}},
        "required": ["color"],
        "additionalProperties": False,
    }
    done = fleet.client().chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "a color"}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "color", "schema": schema, "strict": True},
        },
        max_tokens=64,
        temperature=0,
    )
    assert json.loads(done.choices[0].message.content or "")["color"] in ("red", "blue")


def test_models_are_listed_without_aliases_and_aliases_are_served(fleet: LiveFleet) -> None:
    listed = fleet.client().models.list()
    assert [model.id for model in listed.data] == ["demo-2k", "demo"]
    assert {model.owned_by for model in listed.data} == {"lambda"}
    assert fleet.client().models.retrieve("demo").id == "demo"
    done = fleet.client().chat.completions.create(
        model="small", messages=[{"role": "user", "content": "hello"}], max_tokens=4
    )
    assert done.model == "demo-2k"


@pytest.mark.parametrize(("answer_tokens", "answered"), [(0, "demo-2k"), (1, "demo")])
def test_a_window_is_filled_to_its_last_token_and_one_more_falls_back(
    fleet: LiveFleet, answer_tokens: int, answered: str
) -> None:
    messages = [{"role": "user", "content": "hello " * 40}]
    reply, _ = post(
        fleet, "/chat/completions", {"model": "demo", "messages": messages} | {"max_tokens": 1}
    )
    rest = 2048 - reply["usage"]["prompt_tokens"]
    body = {
        "model": "demo-2k",
        "messages": messages,
        "max_tokens": rest + answer_tokens,
        "stop": ["."],
    }
    reply, headers = post(fleet, "/chat/completions", body)
    assert reply["model"] == answered
    assert ("x-flotilla-fallback" in headers) == (answered == "demo")


def test_what_fits_no_window_is_refused_with_the_numbers(fleet: LiveFleet) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        fleet.client().chat.completions.create(
            model="demo-2k", messages=[{"role": "user", "content": "hello " * 9000}]
        )
    assert refused.value.code == "context_length_exceeded"
    assert "8192" in str(refused.value)


def test_41_a_client_that_leaves_stops_its_generation_within_a_second(
    fleet: LiveFleet, fault: Fault
) -> None:
    address = fleet.replica("demo.0")["address"]

    def running() -> float:
        return fleet.engine(address, "num_requests_running")

    stream = fleet.client().chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=8000,
        stream=True,
        logit_bias=NEVER_ENDS,
    )
    next(iter(stream))
    assert running() == 1
    stream.close()
    fault.strikes()
    wait_for(lambda: True if running() == 0 else None, "the engine to abort", 5)
    aborted_s = fault.since_s
    fault.measured("aborted after", aborted_s, "s")
    assert aborted_s < 1.5


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "nobody"}, 404, "model_not_found"),
        ({"temperature": 3}, 400, "decimal_above_max_value"),
        ({"temperature": "1"}, 400, "invalid_type"),
        ({"n": 9}, 400, "integer_above_max_value"),
        ({"guided_regex": "a"}, 400, "unknown_parameter"),
        ({"messages": []}, 400, "array_below_min_length"),
        ({"modalities": ["audio"]}, 400, "unsupported_parameter"),
    ],
)
def test_a_wrong_request_is_refused_by_name(
    fleet: LiveFleet, change: dict[str, Any], status: int, code: str
) -> None:
    body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]} | change
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(fleet, "/chat/completions", body)
    error = json.loads(refused.value.read())["error"]
    assert (refused.value.code, error["code"]) == (status, code)
    assert list(error) == ["message", "type", "param", "code"]


def test_what_vllm_itself_refuses_comes_in_our_envelope(fleet: LiveFleet) -> None:
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": "hi"}],
        "logit_bias": {"99999999": 1},
    }
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(fleet, "/chat/completions", body)
    error = json.loads(refused.value.read())["error"]
    assert refused.value.code == 400
    assert error["type"] == "invalid_request_error"
    assert not isinstance(error["code"], int)


def test_a_new_alias_restarts_no_gateway_and_no_engine(fleet: LiveFleet) -> None:
    before = fleet.status()
    fleet.deploy(DEMO.replace("[small]", "[small, tiny]"))
    done = wait_for(lambda: _served(fleet, "tiny"), "the alias to be known")
    after = fleet.status()
    assert done == "demo-2k"
    assert _pids(before) == _pids(after)
    fleet.deploy(DEMO)


def _served(fleet: LiveFleet, model: str) -> str | None:
    try:
        return (
            fleet.client()
            .chat.completions.create(
                model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=1
            )
            .model
        )
    except openai.NotFoundError:
        return None


def _pids(status: dict[str, Any]) -> tuple[set[int], set[int]]:
    return (
        {gateway["pid"] for gateway in status["gateways"]},
        {replica["pid"] for replica in status["replicas"]},
    )
