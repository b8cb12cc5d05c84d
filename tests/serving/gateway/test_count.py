"""A prompt is counted by some replica, whatever becomes of the first try."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.snapshot import Load
from tests.fakes import FakeReplica, fake_replica
from tests.serving.gateway.rig import CHAT, HELLO, QUICK, Rig, gateway, model

MODELS = [model(window_tokens=1_000)]
#: May fit, and may not.
LONG = {**HELLO, "messages": [{"role": "user", "content": "x" * 3_000}], "max_tokens": 20}
TOO_LONG = (400, "context_length_exceeded")


@pytest.fixture
async def one() -> AsyncIterator[FakeReplica]:
    async with fake_replica(FakeReplica(count=lambda body: 990)) as running:
        yield running


@pytest.fixture
async def two() -> AsyncIterator[FakeReplica]:
    """Asked second: it looks busy."""
    busy = FakeReplica("tiny.1-b", count=lambda body: 990, load=Load(running=5))
    async with fake_replica(busy) as running:
        yield running


async def outcome(rig: Rig) -> tuple[int, str]:
    reply = await rig.ask("POST", CHAT, LONG)
    return reply.status, reply.error["code"]


def lost_once(replica: FakeReplica) -> None:
    """Its next connection with a count breaks."""
    count = replica.count

    def breaks(_: dict[str, Any]) -> int:
        replica.count = count
        raise ConnectionResetError

    replica.count = breaks


async def test_a_kept_connection_that_breaks_costs_the_count_nothing(
    tmp_path: Path, one: FakeReplica
) -> None:
    async with gateway(tmp_path, one, models=MODELS) as rig:
        assert (await rig.chat(max_tokens=5)).status == 200
        lost_once(one)
        assert await outcome(rig) == TOO_LONG
    assert one.counts == 2


async def test_what_one_replica_does_not_count_another_does(
    tmp_path: Path, one: FakeReplica, two: FakeReplica
) -> None:
    short = replace(QUICK, count_s=0.1)
    async with gateway(tmp_path, one, two, models=MODELS, deadlines=short) as rig:
        lost_once(one)
        assert await outcome(rig) == TOO_LONG
        one.count = None
        assert await outcome(rig) == TOO_LONG
    assert (one.counts, two.counts) == (2, 2)


async def test_the_only_replica_is_given_longer(
    tmp_path: Path, one: FakeReplica, two: FakeReplica
) -> None:
    deadlines = replace(QUICK, connect_s=1.0, lone_s=7.0)
    async with gateway(tmp_path, one, two, models=MODELS, deadlines=deadlines) as rig:
        core = rig.core
        first, second = sorted(core.slots(), key=lambda slot: slot.replica_id)
        assert core.given_s(1.0, first, ()) == 1.0
        assert core.given_s(1.0, first, (second.replica_id,)) == 7.0
        assert core.given_s(9.0, first, (second.replica_id,)) == 9.0
        rig.publish([one.report()])
        assert core.given_s(1.0, first, ()) == 7.0
