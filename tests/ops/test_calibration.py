"""Measuring an engine over HTTP, with one that answers as fast as it can and writes down what it
was asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from deployments.calibration import Batch, Spread
from deployments.calibration_file import load_calibration
from ops.calibration import Rounds, Subject, calibrated, spread
from ops.cli import main
from ops.errors import EngineUnmeasurable
from ops.timed_engine import timed_engine

METRICS = 'vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="100"} 1.0\n'
SUBJECT = Subject(
    model="m",
    accelerator="cpu",
    tensor=1,
    pipeline=1,
    window_tokens=512,
    batch=Batch(tokens=256, sequences=4),
    origin="a test",
    start=None,
)


@dataclass
class FakeEngine:
    """vLLM's wire, and no time at all."""

    metrics: str = METRICS
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if self.status != 200:
            return web.json_response({"error": {"message": "no"}}, status=self.status)
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        for _ in range(body["max_tokens"]):
            chunk = {"choices": [{"text": "a", "index": 0}]}
            await reply.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await reply.write(b"data: [DONE]\n\n")
        return reply

    async def say_metrics(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=self.metrics)


@asynccontextmanager
async def served(engine: FakeEngine) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/v1/completions", engine.complete)
    application.router.add_get("/metrics", engine.say_metrics)
    server = TestServer(application)
    await server.start_server()
    try:
        yield str(server.make_url("/v1"))
    finally:
        await server.close()


async def test_an_engine_is_measured_with_prompts_that_no_cache_holds() -> None:
    engine, heard = FakeEngine(), list[str]()
    async with served(engine) as url, timed_engine(url, None, "m") as timed:
        found = await calibrated(timed, SUBJECT, Rounds(2, heard.append))
    assert [point.tokens for point in found.prefill] == [16, 32, 64, 128, 256, 511]
    assert [point.sequences for point in found.decode] == [1, 2, 4]
    assert [point.sequences for point in found.long_decode] == [1]
    assert (found.cache.blocks, found.cache.block_tokens) == (100, 16)
    assert (found.basis, found.origin) == ("measured", "a test")
    assert len(heard) == 6 + 3 + 1
    beginnings = [tuple(body["prompt"][:16]) for body in engine.asked]
    assert len(set(beginnings)) == len(beginnings)
    assert all(body["ignore_eos"] and body["stream"] for body in engine.asked)


async def test_the_command_writes_what_it_measured(tmp_path: Path) -> None:
    fleet, output = tmp_path / "fleet.yaml", tmp_path / "measured.yaml"
    engine = "{kv_cache_memory_bytes: 64M, max_num_seqs: 2, max_num_batched_tokens: 64}"
    fleet.write_text(
        f"device: cpu\nmodels:\n  m: {{source: /m, max_model_len: 128, engine: {engine}}}\n"
    )
    async with served(FakeEngine()) as url:
        asked = ("--url", url, "--model", "m", "--rounds", "1", "--output", str(output))
        command = ["calibrate", str(fleet), *asked]
        done = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert done.exit_code == 0, done.output
    assert load_calibration(output).model == "m"


async def test_a_gateway_is_no_engine() -> None:
    async with served(FakeEngine(metrics="nothing")) as url, timed_engine(url, None, "m") as timed:
        with pytest.raises(EngineUnmeasurable, match="name a vLLM engine, not a gateway"):
            await calibrated(timed, SUBJECT, Rounds(1, print))


async def test_what_an_engine_refuses_is_passed_on() -> None:
    async with served(FakeEngine(status=401)) as url, timed_engine(url, None, "m") as timed:
        with pytest.raises(EngineUnmeasurable, match="answered 401"):
            await calibrated(timed, SUBJECT, Rounds(1, print))


async def test_an_engine_that_is_not_there_is_named() -> None:
    url = "http://127.0.0.1:9/v1"
    async with timed_engine(url, None, "m") as timed:
        with pytest.raises(EngineUnmeasurable, match=url):
            await calibrated(timed, SUBJECT, Rounds(1, print))


def test_a_spread_is_the_median_and_its_range() -> None:
    assert spread([0.3, 0.1, 0.2]) == Spread(median=0.2, low=0.1, high=0.3)
