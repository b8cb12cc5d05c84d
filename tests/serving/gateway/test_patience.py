"""What callers say of how long they wait."""

import asyncio
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import openai
import pytest

from serving.errors import ApiError
from serving.gateway.parser import Head
from serving.gateway.patience import ENDLESS, Patience, patience_of
from tests.fakes import FakeReplica, hangs, streams
from tests.serving.gateway.rig import CHAT, HELLO, KEY, QUICK, Rig, gateway
from tests.serving.gateway.watched import WatchedCore


@pytest.mark.parametrize(
    ("headers", "patience"),
    [
        ({}, ENDLESS),
        ({b"x-flotilla-timeout": b"20"}, Patience(20.0, inf)),
        ({b"x-flotilla-timeout": b"0.25"}, Patience(0.25, inf)),
        ({b"x-stainless-read-timeout": b"600.0"}, Patience(inf, 600.0)),
        ({b"x-stainless-timeout": b"60"}, Patience(inf, 60.0)),
        ({b"x-stainless-timeout": b"60", b"x-stainless-read-timeout": b"5"}, Patience(inf, 5.0)),
        ({b"x-stainless-timeout": b"6", b"x-flotilla-timeout": b"60"}, Patience(60.0, 6.0)),
        ({b"x-stainless-read-timeout": b"None"}, ENDLESS),
        ({b"x-stainless-timeout": b"0"}, ENDLESS),
    ],
)
def test_a_caller_says_how_long_it_waits(headers: dict[bytes, bytes], patience: Patience) -> None:
    assert patience_of(headers) == patience


@pytest.mark.parametrize(
    "said", [b"", b"0", b"0.0", b"-1", b"+1", b"1e3", b"20s", b"inf", b"nan", b"1,5", b"1" * 7]
)
def test_what_is_no_time_is_refused_by_name(said: bytes) -> None:
    with pytest.raises(ApiError, match="X-Flotilla-Timeout"):
        patience_of({b"x-flotilla-timeout": said})


async def _ask(rig: Rig, **headers: str) -> Any:
    return await rig.ask("POST", CHAT, HELLO, **headers)


async def test_a_time_that_is_none_never_reaches_an_engine(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica) as rig:
        reply = await _ask(rig, x_flotilla_timeout="soon")
        assert (reply.status, reply.error["code"]) == (400, None)
        assert (await rig.chat()).status == 200
    assert len(replica.calls) == 1


async def test_a_caller_cannot_wait_longer_than_the_gateway(
    tmp_path: Path, replica: FakeReplica
) -> None:
    replica.behaviour = hangs
    async with gateway(tmp_path, replica, deadlines=replace(QUICK, request_s=0.1)) as rig:
        reply = await _ask(rig, x_flotilla_timeout="600")
        assert (reply.status, reply.error["code"]) == (504, "deadline_exceeded")


async def test_what_a_client_waits_for_the_first_byte_ends_no_stream(
    tmp_path: Path, replica: FakeReplica
) -> None:
    pause = asyncio.Event()
    replica.behaviour = streams("a", "b", pause=pause, before=1)
    async with gateway(tmp_path, replica) as rig:
        client = await rig.connect()
        patience_s = 1.0  # a busy machine has its first byte out by then
        given = {"x_stainless_read_timeout": str(patience_s)}
        await client.request("POST", CHAT, {**HELLO, "stream": True}, **given)
        await client.reader.readuntil(b'"content":"a"')
        await asyncio.sleep(patience_s + 2 * QUICK.tick_s)  # the sweep has looked
        pause.set()
        assert b"[DONE]" in await client.reader.readuntil(b"0\r\n\r\n")


class _Listener(WatchedCore):
    heard_last = ENDLESS

    def check_head(self, head: Head) -> ApiError | None:
        refused = super().check_head(head)
        self.heard_last = head.patience
        return refused


async def test_openais_client_says_how_long_it_waits(tmp_path: Path, replica: FakeReplica) -> None:
    async with gateway(tmp_path, replica, core_type=_Listener) as rig:
        base_url = f"http://127.0.0.1:{rig.port}/v1"
        async with openai.AsyncOpenAI(base_url=base_url, api_key=KEY) as api:
            await api.with_options(timeout=7).chat.completions.create(
                model="tiny", messages=[{"role": "user", "content": "hi"}]
            )
        assert isinstance(rig.core, _Listener)
        assert rig.core.heard_last == Patience(inf, 7.0)
