"""Stand-ins that speak the real wire. FakeReplica is an HTTP server that behaves by its script.

A behaviour is an async function over a Call; while it runs `running` counts it, and when the
caller's connection closes under it, it is cancelled and `aborted` counts that, as vLLM would abort.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from serving.snapshot import Load, Phase, ReplicaReport, TokenFacts
from tests.incoming import Incoming

TOKEN = "internal-token"
CREATED = 1_723_728_526


@dataclass
class Call:
    """One request as the engine sees it, and the way to answer."""

    replica: "FakeReplica"
    writer: asyncio.StreamWriter
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    #: Tokens of its stream so far.
    made: int = 0
    #: The engine's own count, prompt and completion; None before it has told.
    told: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        return self.headers["x-request-id"]

    async def reply(self, body: bytes, status: int = 200) -> None:
        head = f"HTTP/1.1 {status} X\r\n{self._identity()}content-type: application/json\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await self.writer.drain()

    async def reply_json(self, body: Any, status: int = 200) -> None:
        self._count(body)
        await self.reply(json.dumps(body, separators=(",", ":")).encode(), status)

    async def start_stream(self) -> None:
        head = (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
        )
        self.writer.write(f"{head}{self._identity()}\r\n".encode())
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()

    async def event(self, body: Any) -> None:
        self._count(body)
        await self.send(b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n")

    async def end_stream(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def _count(self, body: dict[str, Any]) -> None:
        """A token for each event with a choice."""
        self.made += bool(body.get("choices"))
        if said := body.get("usage"):
            self.told = said["prompt_tokens"], said["completion_tokens"]

    def die(self) -> None:
        """Cuts the connection as a killed process would."""
        self.writer.transport.abort()

    def _identity(self) -> str:
        shown = self.replica.shown_id
        return "" if shown is None else f"x-flotilla-replica: {shown}\r\n"

    # vLLM's shapes
    @property
    def is_chat(self) -> bool:
        return self.path == "/v1/chat/completions"

    def whole(self, text: str = "Hello there.", **extra: Any) -> dict[str, Any]:
        kind = "chat.completion" if self.is_chat else "text_completion"
        prefix = "chatcmpl-" if self.is_chat else "cmpl-"
        return {
            "id": prefix + self.id,
            "object": kind,
            "created": CREATED,
            "model": self.replica.served_name,
            "choices": [self._choice(text, n) for n in range(self.body.get("n", 1))],
            "service_tier": None,
            "system_fingerprint": "vllm-0.32.0-abcdef12",
            "usage": usage(5, 2),
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "prompt_text": None,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
            **extra,
        }

    def _choice(self, text: str, index: int) -> dict[str, Any]:
        common = {"index": index, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
        if not self.is_chat:
            return {**common, "text": text, "token_ids": None, "prompt_logprobs": None}
        message = {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "reasoning": None,
        }
        return {**common, "message": message, "token_ids": None, "routed_experts": None}

    def chunk(self, text: str, finish: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish}
        if self.is_chat:
            choice["delta"] = {"content": text}
        else:
            choice["text"] = text
        return {**self._chunk_head(), "choices": [choice]}

    def usage_chunk(self, tokens: int) -> dict[str, Any]:
        return {**self._chunk_head(), "choices": [], "usage": usage(5, tokens)}

    def _chunk_head(self) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return {
            "id": ("chatcmpl-" if self.is_chat else "cmpl-") + self.id,
            "object": kind,
            "created": CREATED,
            "model": self.replica.served_name,
        }


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": None,
    }


Behaviour = Callable[[Call], Awaitable[None]]


async def answers(call: Call) -> None:
    """What a healthy engine does."""
    if call.body.get("stream"):
        await streams("Hello", " there", ".")(call)
    else:
        await call.reply_json(call.whole())


def streams(*tokens: str, pause: asyncio.Event | None = None, before: int = 0) -> Behaviour:
    """Tokens one by one; waits for `pause` before the token number `before`."""

    async def behave(call: Call) -> None:
        await call.start_stream()
        for index, token in enumerate(tokens):
            if pause is not None and index == before:
                await pause.wait()
            await call.event(call.chunk(token, "stop" if index == len(tokens) - 1 else None))
        await call.event(call.usage_chunk(len(tokens)))
        await call.send(b"data: [DONE]\n\n")
        await call.end_stream()

    return behave


async def hangs(call: Call) -> None:
    """Takes the request and makes nothing of it."""
    await asyncio.Event().wait()


async def dies(call: Call) -> None:
    call.die()


def refuses(status: int, message: str = "no", code: int | None = None) -> Behaviour:
    """vLLM's error shape: the code a number, the type a class name."""

    async def behave(call: Call) -> None:
        inner = {
            "message": message,
            "type": "BadRequestError",
            "param": None,
            "code": code or status,
        }
        await call.reply_json({"error": inner}, status)

    return behave


def dies_after(*tokens: str) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.start_stream()
        for token in tokens:
            await call.event(call.chunk(token))
        call.die()

    return behave


def ends_after(*tokens: str) -> Behaviour:
    """A stream that ends properly but for its `[DONE]`."""

    async def behave(call: Call) -> None:
        await call.start_stream()
        for token in tokens:
            await call.event(call.chunk(token))
        await call.end_stream()

    return behave


def hangs_after(*tokens: str) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.start_stream()
        for token in tokens:
            await call.event(call.chunk(token))
        await asyncio.Event().wait()

    return behave


def errs_after(*tokens: str, status: int = 500, message: str = "engine died") -> Behaviour:
    """vLLM's way to fail inside a stream: an error event, and `[DONE]` behind it."""

    async def behave(call: Call) -> None:
        await call.start_stream()
        for token in tokens:
            await call.event(call.chunk(token))
        inner = {"message": message, "type": "InternalServerError", "param": None, "code": status}
        await call.event({"error": inner})
        await call.send(b"data: [DONE]\n\n")
        await call.end_stream()

    return behave


async def floods(call: Call) -> None:
    """Ignores `max_tokens`."""
    await call.start_stream()
    while True:
        await call.event(call.chunk(" more"))


def says(raw: bytes) -> Behaviour:
    """A 200 with this body, whatever it is."""

    async def behave(call: Call) -> None:
        await call.reply(raw)

    return behave


def pours(raw: bytes) -> Behaviour:
    """A stream of these bytes, whatever they are."""

    async def behave(call: Call) -> None:
        await call.start_stream()
        await call.send(raw)
        await call.end_stream()

    return behave


@dataclass
class FakeReplica:
    """An engine's HTTP port with a script; use `fake_replica` to have one run."""

    replica_id: str = "tiny.0-a"
    replica_set: str = "tiny"
    served_name: str = "tiny"
    window_tokens: int = 4_096
    behaviour: Behaviour = answers
    #: Behaviours for the next calls, in order; `behaviour` when they are used up.
    script: list[Behaviour] = field(default_factory=list)
    #: Answers of /tokenize; None hangs.
    count: Callable[[dict[str, Any]], int] | None = field(default=lambda body: 7)
    facts: TokenFacts | None = field(default_factory=lambda: TokenFacts(8, 8, 16))
    load: Load = field(default_factory=Load)
    #: Requests that it says it runs at once; it runs whatever comes, unless its script waits.
    most_running: int = 0
    token: str = TOKEN
    #: Taken too, while the token is being changed.
    old_token: str | None = None
    #: What it calls itself; a stale address answers with another name or with none.
    shown_id: str | None = ""
    calls: list[Call] = field(default_factory=list)
    counts: int = 0
    running: int = 0
    aborted: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.shown_id == "":
            self.shown_id = self.replica_id

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def report(self, phase: Phase = Phase.READY) -> ReplicaReport:
        return ReplicaReport(
            replica_id=self.replica_id,
            application=self.replica_id.partition("-")[0],
            replica_set=self.replica_set,
            node="node-1",
            stages=("127.0.0.1",),
            address=self.address,
            served_name=self.served_name,
            phase=phase,
            window_tokens=self.window_tokens,
            facts=self.facts,
            load=self.load,
            most_running=self.most_running,
        )

    @property
    def is_up(self) -> bool:
        return self._server is not None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Dies: the port is closed and every connection cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()
        await self.until(lambda: not self._writers)

    def close_idle(self) -> None:
        for writer in tuple(self._writers):
            writer.close()

    async def until(self, holds: Callable[[], bool], limit_s: float = 5.0) -> None:
        """Waits for something to be so, woken by every change."""
        async with asyncio.timeout(limit_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def _note(self) -> None:
        self._changed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        incoming = Incoming(reader)
        try:
            while await self._one(incoming, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)
            self._note()

    async def _one(self, incoming: Incoming, writer: asyncio.StreamWriter) -> bool:
        head = (await incoming.head()).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        raw = await incoming.exactly(int(headers.get("content-length", "0")))
        call = Call(self, writer, first.split(" ")[1], headers, json.loads(raw))
        taken = (f"Bearer {self.token}", f"Bearer {self.old_token}")
        if headers.get("authorization") not in taken:
            await call.reply_json({"error": "Unauthorized"}, 401)
            return True
        if call.path == "/tokenize":
            return await self._tokenize(call, incoming)
        self.calls.append(call)
        behaviour = self.script.pop(0) if self.script else self.behaviour
        return await self._run(behaviour(call), incoming)

    async def _tokenize(self, call: Call, incoming: Incoming) -> bool:
        self.counts += 1
        count = self.count
        if count is None:
            return await self._run(hangs(call), incoming)
        await call.reply_json({"count": count(call.body), "max_model_len": self.window_tokens})
        return True

    async def _run(self, work: Awaitable[None], incoming: Incoming) -> bool:
        """Works until done or until the caller's connection closes."""
        self.running += 1
        self._note()
        job = asyncio.ensure_future(work)
        left = asyncio.ensure_future(incoming.end())
        try:
            await asyncio.wait((job, left), return_when=asyncio.FIRST_COMPLETED)
            if job.done() and not isinstance(job.exception(), ConnectionError):
                job.result()
                return not left.done()
            self.aborted += 1
            return False
        finally:
            job.cancel()
            left.cancel()
            await asyncio.gather(job, left, return_exceptions=True)
            self.running -= 1
            self._note()


@asynccontextmanager
async def fake_replica(replica: FakeReplica | None = None) -> AsyncIterator[FakeReplica]:
    """A running replica, gone at the end."""
    replica = replica or FakeReplica()
    await replica.start()
    try:
        yield replica
    finally:
        await replica.stop()
