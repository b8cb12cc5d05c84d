"""What a client gets when all is well."""

import asyncio
import json

from tests.fakes import Call, FakeReplica, pours, streams
from tests.serving.gateway.rig import CHAT, HELLO, KEY, TEXT, Rig


async def test_a_chat_reply_has_the_seeds_keys_in_the_seeds_order(rig: Rig) -> None:
    reply = await rig.chat()
    assert reply.status == 200
    body = reply.json
    assert ",".join(body) == (
        "id,choices,created,model,object,system_fingerprint,usage,service_tier"
    )
    assert list(body["choices"][0]) == ["finish_reason", "index", "message"]
    assert body["choices"][0]["message"] == {
        "content": "Hello there.",
        "role": "assistant",
        "tool_calls": None,
        "function_call": None,
    }
    assert list(body["usage"]) == ["completion_tokens", "prompt_tokens", "total_tokens"]
    assert body["system_fingerprint"] is None
    assert body["id"].startswith("chat-")
    assert len(body["id"]) == len("chat-") + 32


async def test_a_completion_reply_has_the_seeds_keys_in_the_seeds_order(rig: Rig) -> None:
    reply = await rig.ask("POST", TEXT, {"model": "tiny", "prompt": "Computers are"})
    body = reply.json
    assert list(body) == [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
    ]
    assert ",".join(body["choices"][0]) == "stop_reason,finish_reason,index,text,logprobs"
    assert body["id"].startswith("cmpl-")


async def test_a_completion_without_max_tokens_asks_for_the_rest_of_the_window(
    rig: Rig, replica: FakeReplica
) -> None:
    await rig.ask("POST", TEXT, {"model": "tiny", "prompt": "x", "max_tokens": None})
    assert replica.calls[0].body["max_tokens"] == 4_096


async def test_a_chat_without_max_tokens_sends_none(rig: Rig, replica: FakeReplica) -> None:
    await rig.chat()
    assert "max_tokens" not in replica.calls[0].body


async def test_the_engine_gets_what_was_checked_and_our_headers_only(
    rig: Rig, replica: FakeReplica
) -> None:
    client = await rig.connect()
    extra = {"cookie": "a=b", "x-request-id": "mine", "x-custom": "y"}
    await client.request("POST", CHAT, {**HELLO, "user": "me", "seed": None}, **extra)
    reply = await client.reply()
    call = replica.calls[0]
    assert call.body == HELLO
    expected = {"host", "authorization", "content-type", "content-length", "x-request-id"}
    assert set(call.headers) == expected
    assert call.headers["x-request-id"] != "mine"
    assert reply.headers["x-request-id"] == "mine"


async def test_a_stream_is_passed_on_with_our_id_and_without_the_usage_nobody_asked_for(
    rig: Rig,
) -> None:
    reply = await rig.chat(stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *chunks, done = reply.events
    assert done == "[DONE]"
    parsed = [json.loads(chunk) for chunk in chunks]
    assert all(chunk["id"].startswith("chat-") for chunk in parsed)
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in parsed)
    assert text == "Hello there."


async def test_a_stream_carries_usage_for_who_asked_for_it(rig: Rig) -> None:
    reply = await rig.chat(stream=True, stream_options={"include_usage": True})
    usage = json.loads(reply.events[-2])
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3


async def test_the_public_name_stands_in_every_event(rig: Rig, replica: FakeReplica) -> None:
    replica.served_name = "checkpoint"
    rig.publish()
    reply = await rig.chat(stream=True)
    assert {json.loads(event)["model"] for event in reply.events[:-1]} == {"tiny"}
    assert replica.calls[0].body["model"] == "checkpoint"
    unary = await rig.chat()
    assert unary.json["model"] == "tiny"


async def test_asked_for_logprobs_and_tools_fill_their_places(
    rig: Rig, replica: FakeReplica
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    async def behave(given: Call) -> None:
        body = given.whole()
        body["choices"][0]["logprobs"] = {"content": []}
        body["choices"][0]["message"] |= {"tool_calls": [call], "content": None}
        await given.reply_json(body)

    replica.behaviour = behave
    choice = (await rig.chat(logprobs=True, top_logprobs=2)).json["choices"][0]
    assert choice["logprobs"] == {"content": []}
    assert choice["message"]["tool_calls"] == [call]


async def test_n_sequences_are_all_there(rig: Rig) -> None:
    assert len((await rig.chat(n=3)).json["choices"]) == 3


async def test_models_are_listed_in_the_seeds_shape(rig: Rig) -> None:
    reply = await rig.ask("GET", "/v1/models")
    card = {"id": "tiny", "object": "model", "created": 1_724_347_380, "owned_by": "lambda"}
    assert reply.json == {"data": [card], "object": "list"}
    assert list(reply.json) == ["data", "object"]
    assert (await rig.ask("GET", "/v1/models/tiny")).json == card
    assert (await rig.ask("GET", "/v1/models/%74iny")).json == card


async def test_health_needs_no_key_and_says_one_word(rig: Rig) -> None:
    for path in ("/healthz", "/readyz"):
        reply = await rig.ask("GET", path, authorization="-")
        assert (reply.status, reply.json) == (200, {"status": "ok"})


async def test_every_answer_has_an_id_and_is_not_kept(rig: Rig) -> None:
    for path in ("/v1/models", "/nowhere", "/healthz"):
        reply = await rig.ask("GET", path)
        assert len(reply.headers["x-request-id"]) == 32
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers


async def test_each_accepted_request_leaves_one_record(rig: Rig) -> None:
    await rig.chat()
    await rig.chat(stream=True)
    await rig.chat(model="unknown")
    records = await rig.records()
    assert [r["outcome"] for r in records] == ["complete", "complete"]
    assert [r["completion_tokens"] for r in records] == [2, 3]
    assert {r["key_id"] for r in records} == {KEY[3:11]}


async def test_events_split_anywhere_come_out_whole(rig: Rig, replica: FakeReplica) -> None:
    async def behave(call: Call) -> None:
        await call.start_stream()
        event = json.dumps(call.chunk("né"), separators=(",", ":"), ensure_ascii=False)
        for byte in f"data: {event}\n\ndata: [DONE]\n\n".encode():
            await call.send(bytes([byte]))
        await call.end_stream()

    replica.behaviour = behave
    reply = await rig.chat(stream=True)
    assert json.loads(reply.events[0])["choices"][0]["delta"]["content"] == "né"
    assert reply.events[1:] == ["[DONE]"]


async def test_done_in_a_read_of_its_own_ends_the_stream_once(
    rig: Rig, replica: FakeReplica
) -> None:
    go = asyncio.Event()

    async def behave(call: Call) -> None:
        await call.start_stream()
        await call.event(call.chunk("a"))
        await go.wait()
        await call.send(b"data: [DONE]\n\n")
        await call.end_stream()

    replica.behaviour = behave
    client = await rig.connect()
    await client.request("POST", CHAT, {**HELLO, "stream": True})
    await client.head()
    chunks = client.chunks()
    assert b'"content":"a"' in await anext(chunks)
    go.set()
    assert [chunk async for chunk in chunks] == [b"data: [DONE]\n\n"]


async def test_a_stream_of_nothing_but_done_is_passed_on(rig: Rig, replica: FakeReplica) -> None:
    replica.behaviour = pours(b"data: [DONE]\n\n")
    reply = await rig.chat(stream=True)
    assert (reply.status, reply.events) == (200, ["[DONE]"])


async def test_a_connection_is_used_again_on_both_sides(rig: Rig, replica: FakeReplica) -> None:
    client = await rig.connect()
    for body in (HELLO, {**HELLO, "stream": True}, HELLO):
        await client.request("POST", CHAT, body)
        assert (await client.reply()).status == 200
    assert len({id(call.writer) for call in replica.calls}) == 1


async def test_http_1_0_streams_to_the_end_of_the_connection(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.behaviour = streams("a", "b")
    client = await rig.connect()
    raw = json.dumps({**HELLO, "stream": True})
    await client.send(
        f"POST {CHAT} HTTP/1.0\r\nauthorization: Bearer {KEY}\r\nconnection: keep-alive\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n{raw}".encode()
    )
    reply = await client.reply()
    assert "transfer-encoding" not in reply.headers
    assert reply.events[-1] == "[DONE]"
