"""OpenAI's client for Python, which here holds every reply against its types."""

import json

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.conformance.engine import ARGUMENTS, DIE
from tests.serving.gateway.rig import KEY, Rig

USER: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "of a city",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]


def client(rig: Rig, *, retries: int = 0, is_strict: bool = True) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{rig.port}/v1",
        api_key=KEY,
        max_retries=retries,
        _strict_response_validation=is_strict,
    )


async def test_tools_are_called_and_answered(rig: Rig) -> None:
    async with client(rig) as api:
        asked = await api.chat.completions.create(model="tiny", messages=USER, tools=TOOLS)
        message = asked.choices[0].message
        assert message.tool_calls is not None
        call = message.tool_calls[0]
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "Rome"}
        heard: list[ChatCompletionMessageParam] = [
            *USER,
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": "weather", "arguments": ARGUMENTS},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
        ]
        told = await api.chat.completions.create(model="tiny", messages=heard)
        assert told.choices[0].message.content == "Hello there."


async def test_a_streamed_call_is_put_together(rig: Rig) -> None:
    async with client(rig) as api:
        stream = await api.chat.completions.create(
            model="tiny", messages=USER, tools=TOOLS, stream=True
        )
        deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
    pieces = [call for delta in deltas for call in delta.tool_calls or ()]
    assert "".join(p.function.arguments or "" for p in pieces if p.function) == ARGUMENTS


async def test_logprobs_and_a_shape_of_the_answer_are_taken(rig: Rig) -> None:
    async with client(rig) as api:
        reply = await api.chat.completions.create(
            model="tiny",
            messages=USER,
            logprobs=True,
            top_logprobs=1,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "s", "schema": {"type": "object"}},
            },
        )
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert logprobs.content[0].top_logprobs[0].token == "Hi"


async def test_a_streamed_text_ends_with_its_usage(rig: Rig) -> None:
    """Not strict: the types want a `finish_reason` in every chunk, which OpenAI itself does not
    send.
    """
    async with client(rig, is_strict=False) as api:
        stream = await api.completions.create(
            model="tiny", prompt="hi", stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].text for c in chunks if c.choices) == "Hello there."
    assert chunks[-1].usage is not None


async def test_the_raw_answer_carries_an_id_and_errors_show_it(rig: Rig) -> None:
    async with client(rig) as api:
        raw = await api.chat.completions.with_raw_response.create(model="tiny", messages=USER)
        assert raw.headers["x-request-id"]
        with pytest.raises(openai.BadRequestError) as refused:
            await api.chat.completions.create(
                model="tiny", messages=USER, extra_body={"cache_salt": "x"}
            )
    assert refused.value.code == "unknown_parameter"
    assert refused.value.param == "cache_salt"
    assert refused.value.request_id


async def test_a_request_that_is_wrong_is_not_sent_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    new_id = rig.core.new_id

    def counted() -> str:
        ids.append(new_id())
        return ids[-1]

    monkeypatch.setattr(rig.core, "new_id", counted)
    async with client(rig, retries=2) as api:
        with pytest.raises(openai.NotFoundError):
            await api.chat.completions.create(model="nobody", messages=USER)
        with pytest.raises(openai.BadRequestError):
            await api.chat.completions.create(model="tiny", messages=USER, n=99)
    assert len(ids) == 2
    assert rig.replicas[0].calls == []


async def test_a_cut_stream_raises(rig: Rig) -> None:
    async with client(rig) as api:
        stream = await api.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": DIE}], stream=True
        )
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass
