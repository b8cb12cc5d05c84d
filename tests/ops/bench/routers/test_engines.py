"""The emulated engine's wire, read by the official client's own types and through a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from ops.bench import wire
from ops.bench.routers import metrics
from ops.bench.routers.engine import Engine
from ops.bench.routers.engines import Clock, Connection, Port
from ops.bench.routers.service import Service
from serving.gateway.sse import Tokens

#: So fast that every answer is there at once.
SPEED = 1e6
SERVICE = Service(cache_blocks=4)


class Watched(Connection):
    """A connection that says when it is over."""

    def __init__(self, port: Port, gone: list[asyncio.Future[None]]) -> None:
        super().__init__(port)
        self.gone = asyncio.get_running_loop().create_future()
        gone.append(self.gone)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.gone.set_result(None)


@asynccontextmanager
async def engine_port(speed: float = SPEED) -> AsyncIterator[tuple[Port, int]]:
    """An engine and its port; leaving waits until every client has left."""
    loop, gone = asyncio.get_running_loop(), list[asyncio.Future[None]]()
    port = Port("tiny", Clock(loop.time, speed), loop, Engine(SERVICE))
    server = await loop.create_server(partial(Watched, port, gone), "127.0.0.1", 0)
    async with server:
        yield port, server.sockets[0].getsockname()[1]
    await asyncio.gather(*gone)


async def ask(number: int, path: str, body: bytes = b"", *, method: str = "POST") -> bytes:
    """The whole of one HTTP reply, head and framing included."""
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    reply = await reader.readuntil(b"\r\n\r\n")
    if b"chunked" in reply:
        reply += await reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        size = int(reply.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        reply += await reader.readexactly(size)
    writer.close()
    await writer.wait_closed()
    return reply


def chat(words: int, tokens: int, **more: object) -> bytes:
    messages = [{"role": "user", "content": "seven77 " * words}]
    return json.dumps({"model": "tiny", "messages": messages, "max_tokens": tokens} | more).encode()


def events(reply: bytes) -> Iterator[str]:
    for line in reply.decode().splitlines():
        if line.startswith("data: "):
            yield line.removeprefix("data: ")


async def test_a_streamed_chat_is_one_to_the_official_client_and_carries_usage() -> None:
    async with engine_port() as (_, number):
        wanted = chat(600, 20, stream=True, stream_options={"include_usage": True})
        await ask(number, "/v1/chat/completions", wanted)
        reply = await ask(number, "/v1/chat/completions", wanted)

    *told, done = events(reply)
    chunks = [ChatCompletionChunk.model_validate_json(event, strict=True) for event in told]
    assert done == "[DONE]"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == wire.WORD * 20
    assert chunks[-2].choices[0].finish_reason == "length"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    # 1,200 tokens: two whole blocks were there.
    assert (usage.prompt_tokens, usage.completion_tokens) == (1_200, 20)
    assert usage.prompt_tokens_details.cached_tokens == 1_024


def test_our_own_gateway_finds_the_cached_tokens_in_it() -> None:
    usage = wire.Usage(prompt_tokens=100, cached_tokens=64, output_tokens=7)

    assert msgspec.convert(usage.as_json(), Tokens).cached_tokens == 64


async def test_a_whole_chat_and_a_text_completion_are_what_the_client_expects() -> None:
    async with engine_port() as (_, number):
        whole = await ask(number, "/v1/chat/completions", chat(1, 3))
        prompt = json.dumps({"model": "tiny", "prompt": "hi", "max_tokens": 3}).encode()
        text = await ask(number, "/v1/completions", prompt)

    chat_reply = ChatCompletion.model_validate_json(whole.partition(b"\r\n\r\n")[2])
    text_reply = Completion.model_validate_json(text.partition(b"\r\n\r\n")[2])
    assert chat_reply.choices[0].message.content == text_reply.choices[0].text == wire.WORD * 3
    assert chat_reply.usage is not None
    assert chat_reply.usage.completion_tokens == 3


async def test_a_streamed_text_completion_ends_with_its_reason() -> None:
    async with engine_port() as (_, number):
        body = json.dumps({"prompt": "hi", "max_tokens": 18, "stream": True}).encode()
        *told, done = events(await ask(number, "/v1/completions", body))

    # The client's own type has no chunk without a reason; vLLM sends them, and it lets them pass.
    choices = [json.loads(event)["choices"][0] for event in told]
    assert done == "[DONE]"
    assert "".join(choice["text"] for choice in choices) == wire.WORD * 18
    assert [choice["finish_reason"] for choice in choices] == [*[None] * 3, "length"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", b"truncated"),
        (chat(10_000, 1), b"the cache is smaller than this request"),
    ],
)
async def test_what_it_cannot_answer_is_refused_as_vllm_does(body: bytes, words: bytes) -> None:
    async with engine_port() as (_, number):
        reply = await ask(number, "/v1/chat/completions", body)

    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b'"type":"BadRequestError"' in reply
    assert words in reply


async def test_it_answers_what_routers_look_at() -> None:
    async with engine_port() as (_, number):
        for path in ("/health", "/version", "/load", "/v1/models", "/metrics"):
            assert (await ask(number, path, method="GET")).startswith(b"HTTP/1.1 200 OK")
        assert (await ask(number, "/nowhere", method="GET")).startswith(b"HTTP/1.1 404 ")


async def test_its_metrics_say_what_it_saw() -> None:
    async with engine_port() as (_, number):
        for _ in range(2):
            await ask(number, "/v1/chat/completions", chat(300, 5))
        text = (await ask(number, "/metrics", method="GET")).partition(b"\r\n\r\n")[2].decode()

    seen = metrics.seen(text)
    assert (seen.requests, seen.prompt_tokens, seen.cached_tokens) == (2, 1_200, 512)
    assert seen.output_tokens == 10
    assert 'vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.0' in text


async def test_a_client_that_leaves_is_forgotten() -> None:
    # So slow that the reply cannot be over.
    async with engine_port(speed=1e-3) as (port, number):
        _, writer = await asyncio.open_connection("127.0.0.1", number)
        body = chat(1, 1_000)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n")
        writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
        while not port.engine.running:
            await ask(number, "/health", method="GET")
        writer.close()
        await writer.wait_closed()

    assert port.engine.running == port.engine.cache.used_blocks == 0
