"""Which replica a client's request reaches, through a real gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.bounds import SESSION_BYTES
from serving.routing import prefix
from tests.fakes import Call, FakeReplica, fake_replica, streams
from tests.serving.gateway.rig import (
    CHAT,
    HELLO,
    KEY,
    KEY_RECORD,
    OTHER_KEY,
    OTHER_RECORD,
    Rig,
    gateway,
    handed,
    model,
)

LONG = "The same beginning of every turn of this conversation. " * 100


def turn(text: str, **changes: Any) -> dict[str, Any]:
    return {**HELLO, "messages": [{"role": "user", "content": text}], **changes}


def caches(tokens: int | None) -> Any:
    """Says how many of its five prompt tokens were in its cache."""

    async def behave(call: Call) -> None:
        body = call.whole()
        body["usage"]["prompt_tokens_details"] = {"cached_tokens": tokens}
        await call.reply_json(body)

    return behave


@asynccontextmanager
async def fleet(tmp_path: Path, routing: str = "prefix") -> AsyncIterator[Rig]:
    """Four replicas of one model behind a gateway that takes two keys."""
    made = [FakeReplica(f"tiny.{number}-a", window_tokens=100_000) for number in range(4)]
    async with (
        fake_replica(made[0]),
        fake_replica(made[1]),
        fake_replica(made[2]),
        fake_replica(made[3]),
        gateway(tmp_path, *made) as rig,
    ):
        models = [model(window_tokens=100_000)]
        rig.core.apply_user_config({"models": models, "routing": routing})
        rig.keys = (*rig.keys, OTHER_RECORD)
        rig.publish()
        yield rig


def reached(rig: Rig) -> list[int]:
    return [len(replica.calls) for replica in rig.replicas]


async def test_all_turns_of_a_conversation_reach_the_replica_of_its_beginning(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path) as rig:
        for number in range(12):
            reply = await rig.ask("POST", CHAT, turn(LONG + f"Turn {number}." * (1 + number)))
            assert reply.status == 200
        assert sorted(reached(rig)) == [0, 0, 0, 12]


async def test_least_load_looks_at_no_prompt(tmp_path: Path) -> None:
    async with fleet(tmp_path, "least-load") as rig:
        for _ in range(40):
            await rig.ask("POST", CHAT, turn(LONG))
        assert min(reached(rig)) > 0


async def test_short_prompts_spread(tmp_path: Path) -> None:
    async with fleet(tmp_path) as rig:
        for _ in range(40):
            await rig.chat()
        assert min(reached(rig)) > 0


async def test_a_session_keeps_short_prompts_together_and_belongs_to_its_key(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path) as rig:
        homes = set()
        for session in map(str, range(8)):
            for key in (KEY, OTHER_KEY):
                before = reached(rig)
                for _ in range(3):
                    headers = {"authorization": f"Bearer {key}", "x-session-id": session}
                    await rig.ask("POST", CHAT, HELLO, **headers)
                gained = [after - old for old, after in zip(before, reached(rig), strict=True)]
                assert sorted(gained) == [0, 0, 0, 3]
                homes.add((key, gained.index(3)))
        assert len(homes) > 2


async def test_a_conversation_leaves_a_replica_that_is_busy_with_more_than_it_saves(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path) as rig:
        await rig.ask("POST", CHAT, turn(LONG))
        holder = next(replica for replica in rig.replicas if replica.calls)
        pause = asyncio.Event()
        holder.behaviour = streams("a", "b", pause=pause)
        client = await rig.connect()
        await client.request("POST", CHAT, turn(LONG + "more " * 8_000, stream=True))
        await holder.until(lambda: holder.running == 1)
        assert (await rig.ask("POST", CHAT, turn(LONG))).status == 200
        assert len(holder.calls) == 2
        pause.set()
        await client.reply()


async def test_what_an_engine_says_of_its_cache_is_what_its_claims_are_worth(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path) as rig:
        for replica in rig.replicas:
            replica.behaviour = caches(0)
        for _ in range(30):
            await rig.ask("POST", CHAT, turn(LONG))
        credits = [rig.core.router.index.credit(r.replica_id) for r in rig.replicas]
        assert min(credits) < 0.5
        for replica in rig.replicas:
            replica.behaviour = caches(5)
        for _ in range(60):
            await rig.ask("POST", CHAT, turn(LONG))
        credits = [rig.core.router.index.credit(r.replica_id) for r in rig.replicas]
        assert max(credits) > 0.9


async def test_an_engine_that_says_nothing_of_its_cache_is_believed(tmp_path: Path) -> None:
    async with fleet(tmp_path) as rig:
        for replica in rig.replicas:
            replica.behaviour = caches(None)
        for _ in range(10):
            await rig.ask("POST", CHAT, turn(LONG))
        assert {rig.core.router.index.credit(r.replica_id) for r in rig.replicas} == {1.0}


async def test_a_replica_that_left_the_snapshot_is_claimed_to_hold_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path) as rig:
        await rig.ask("POST", CHAT, turn(LONG))
        holder = next(replica for replica in rig.replicas if replica.calls)
        successor = FakeReplica(
            f"{holder.replica_id}-again", port=holder.port, window_tokens=100_000
        )
        others = [replica for replica in rig.replicas if replica is not holder]
        index, space = rig.core.router.index, prefix.space_of(KEY_RECORD.id, "tiny")
        prompt = prefix.of_text(space, b"user\0" + LONG.encode())
        assert index.look_up(prompt).tokens(holder.replica_id) > 1_000
        rig.publish([replica.report() for replica in (*others, successor)])
        assert index.look_up(prompt).most_tokens == 0
        reply = await rig.ask("POST", CHAT, turn(LONG))
        assert reply.status == 200


@pytest.mark.parametrize("session", ["x" * (SESSION_BYTES + 1), "two words", "caf\xe9"])
async def test_a_session_that_cannot_be_one_is_refused_with_what_to_send(
    tmp_path: Path, session: str
) -> None:
    async with fleet(tmp_path) as rig:
        reply = await rig.ask("POST", CHAT, HELLO, **{"x-session-id": session})
        assert reply.status == 400
        assert "Send 'X-Session-ID' as 1 to 128 visible ASCII characters" in reply.error["message"]
        assert reached(rig) == [0, 0, 0, 0]


async def test_two_sessions_at_once_are_refused(tmp_path: Path) -> None:
    async with fleet(tmp_path) as rig:
        reply = await rig.ask("POST", CHAT, HELLO, **{"x-session-id": "a", "X-Session-ID": "b"})
        assert reply.status == 400


async def test_the_longest_session_is_taken(tmp_path: Path) -> None:
    async with fleet(tmp_path) as rig:
        reply = await rig.ask("POST", CHAT, HELLO, **{"x-session-id": "x" * SESSION_BYTES})
        assert reply.status == 200


async def test_nothing_counts_as_ahead_when_all_is_answered(tmp_path: Path) -> None:
    async with fleet(tmp_path) as rig:
        for stream in (False, True):
            await rig.ask("POST", CHAT, turn(LONG, stream=stream))
        ahead = [slot.ahead_tokens for slot in rig.core._table.of("tiny")]
        assert ahead == [0.0] * 4


@pytest.mark.parametrize("text", ["hi", LONG], ids=["short", "long"])
async def test_what_comes_in_one_turn_is_spread_though_nobody_is_connected_yet(
    tmp_path: Path, text: str
) -> None:
    async with fleet(tmp_path) as rig:
        exchanges = [handed(rig.core, turn(text), f"{number:032x}") for number in range(16)]
        assert [count for _, count in rig.core.in_flight()] == [4, 4, 4, 4]
        for exchange in exchanges:
            exchange.client_left()
        assert [count for _, count in rig.core.in_flight()] == [0, 0, 0, 0]
