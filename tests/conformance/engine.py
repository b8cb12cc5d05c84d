"""The script of an engine that does what the request asks of it, in vLLM's shapes."""

from typing import Any

from tests.fakes import Call, answers, dies_after

#: Asks the engine to die in the middle of its answer.
DIE = "die"
ARGUMENTS = '{"city":"Rome"}'


async def speaks(call: Call) -> None:
    if _last_word(call.body) == DIE:
        await dies_after("a", "b")(call)
    elif call.body.get("stream") and "tools" in call.body:
        await _stream_a_call(call)
    elif "tools" in call.body:
        await call.reply_json(_whole_call(call))
    elif call.body.get("logprobs") and call.is_chat:
        await call.reply_json(_with_logprobs(call))
    else:
        await answers(call)


def _last_word(body: dict[str, Any]) -> object:
    return body["messages"][-1].get("content") if "messages" in body else body["prompt"]


def _tool_call(call: Call) -> dict[str, Any]:
    name = call.body["tools"][0]["function"]["name"]
    function = {"name": name, "arguments": ARGUMENTS}
    return {"id": "call-1", "type": "function", "function": function}


def _whole_call(call: Call) -> dict[str, Any]:
    reply = call.whole()
    choice = reply["choices"][0]
    choice["finish_reason"] = "tool_calls"
    choice["message"] |= {"content": None, "tool_calls": [_tool_call(call)]}
    return reply


def _with_logprobs(call: Call) -> dict[str, Any]:
    reply = call.whole()
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}
    reply["choices"][0]["logprobs"] = {"content": [{**token, "top_logprobs": [token]}]}
    return reply


async def _stream_a_call(call: Call) -> None:
    """The name first, the arguments in pieces, as vLLM does it."""
    whole = _tool_call(call)
    name, arguments = whole["function"]["name"], whole["function"]["arguments"]
    first = {**whole, "index": 0, "function": {"name": name, "arguments": ""}}
    pieces = [
        {"index": 0, "function": {"arguments": part}} for part in (arguments[:5], arguments[5:])
    ]
    await call.start_stream()
    for delta in (first, *pieces):
        chunk = call.chunk("")
        chunk["choices"][0]["delta"] = {"tool_calls": [delta]}
        await call.event(chunk)
    await call.event(call.chunk("", "tool_calls"))
    await call.event(call.usage_chunk(3))
    await call.send(b"data: [DONE]\n\n")
    await call.end_stream()
