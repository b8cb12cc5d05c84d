"""A saturated model over real sockets: requests wait at the gateway, tenants take turns, and what
does not fit is refused.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from serving.fairness import fair_queue
from serving.gateway import turns
from serving.gateway.turns import Line
from serving.limits.terms import Priority
from serving.routing.route import Ask, Choice
from serving.snapshot import Load
from tests.fakes import Behaviour, Call, FakeReplica, answers, dies, fake_replica
from tests.serving.gateway.rig import (
    CHAT,
    HELLO,
    KEY_RECORD,
    OTHER_KEY,
    OTHER_RECORD,
    QUICK,
    Reply,
    Rig,
    gateway,
    model,
)
from tests.serving.gateway.watched import WatchedCore


def when(release: asyncio.Semaphore) -> Behaviour:
    """Answers one request for each release, in the order in which they came."""

    async def behave(call: Call) -> None:
        await release.acquire()
        await answers(call)

    return behave


@pytest.fixture
def release() -> asyncio.Semaphore:
    return asyncio.Semaphore(0)


@pytest.fixture
async def rig(
    replica: FakeReplica,
    tmp_path: Path,
    release: asyncio.Semaphore,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Rig]:
    """One replica that runs one request at a time, a queue for many, and two keys."""
    monkeypatch.setattr(fair_queue, "LEAST_WAITING", 32)
    replica.most_running = 1
    replica.behaviour = when(release)
    async with gateway(tmp_path, replica) as running:
        running.keys = (KEY_RECORD, OTHER_RECORD)
        running.publish()
        yield running
        release.release()
        assert (line(running).queue.running, line(running).queue.waiting) == (0, 0)


def line(rig: Rig) -> Line:
    found = rig.core.lines.of("tiny")
    assert found is not None
    return found


def ask(rig: Rig, name: str = "a", **headers: str) -> asyncio.Task[Reply]:
    return asyncio.create_task(
        rig.ask("POST", CHAT, {**HELLO, "user": name, "stop": name}, **headers)
    )


def by_other(rig: Rig, name: str) -> asyncio.Task[Reply]:
    return ask(rig, name, authorization=f"Bearer {OTHER_KEY}")


async def waiting(rig: Rig, requests: int) -> None:
    """Returns when one runs and so many wait."""
    await rig.replicas[0].until(lambda: rig.replicas[0].running == 1)
    while line(rig).queue.waiting != requests:  # noqa: ASYNC110 - a plain count
        await asyncio.sleep(0)


def order(rig: Rig) -> list[str]:
    """Who reached the engine, in that order."""
    return [call.body["stop"] for call in rig.replicas[0].calls]


async def test_what_an_engine_cannot_run_waits_here_for_its_turn(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    tasks = [ask(rig) for _ in range(4)]
    await waiting(rig, 3)
    assert len(rig.replicas[0].calls) == 1
    [demand] = rig.core.meters.report()
    assert (demand.arrivals, demand.queued) == (4, 3)
    for _ in tasks:
        release.release()
    assert [reply.status for reply in await asyncio.gather(*tasks)] == [200] * 4


async def test_37_who_comes_late_does_not_wait_for_a_noisy_tenant(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    noisy = [ask(rig, "noisy") for _ in range(10)]
    await waiting(rig, 9)
    quiet = [by_other(rig, "quiet") for _ in range(2)]
    await waiting(rig, 11)
    for _ in range(12):
        release.release()
    replies = await asyncio.gather(*noisy, *quiet)
    assert {reply.status for reply in replies} == {200}
    assert order(rig)[:4].count("quiet") == 2


async def test_39_a_client_that_leaves_the_queue_never_reaches_a_replica(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    first = ask(rig)
    await waiting(rig, 0)
    client = await rig.connect()
    await client.request("POST", CHAT, {**HELLO, "stop": "gone"})
    last = ask(rig)
    await waiting(rig, 2)
    client.reset()
    await waiting(rig, 1)
    for _ in range(2):
        release.release()
    assert [(await task).status for task in (first, last)] == [200, 200]
    assert "gone" not in order(rig)


async def test_a_tenant_that_fills_its_part_of_the_queue_is_refused_and_no_other(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    tasks = [ask(rig, "noisy") for _ in range(17)]
    await waiting(rig, 16)
    refused = await ask(rig, "noisy")
    assert (refused.status, refused.error["code"]) == (503, "server_is_overloaded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert rig.core.meters.report()[0].arrivals == 18
    other = by_other(rig, "quiet")
    await waiting(rig, 17)
    for _ in range(2 + len(tasks)):
        release.release()
    assert {reply.status for reply in await asyncio.gather(other, *tasks)} == {200}


async def test_a_turn_that_does_not_come_is_refused(
    rig: Rig, release: asyncio.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_WAIT_S", 0.05)
    first = ask(rig)
    await waiting(rig, 0)
    assert (await ask(rig)).status == 503
    release.release()
    assert (await first).status == 200


async def test_a_replica_that_comes_takes_from_the_queue(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    tasks = [ask(rig) for _ in range(3)]
    await waiting(rig, 2)
    async with fake_replica(FakeReplica(replica_id="tiny.1-b", most_running=4)) as other:
        rig.publish([rig.replicas[0].report(), other.report()])
        await other.until(lambda: bool(other.calls))
        assert line(rig).queue.waiting == 0
        for _ in tasks:
            release.release()
        assert {reply.status for reply in await asyncio.gather(*tasks)} == {200}


async def test_when_the_replica_is_gone_those_who_wait_are_told(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    rig.replicas[0].script = [dies]
    tasks = [ask(rig) for _ in range(3)]
    for _ in tasks:
        release.release()
    assert {reply.status for reply in await asyncio.gather(*tasks)} <= {200, 502, 503}


@pytest.mark.parametrize(
    ("claimed", "status", "code"),
    [
        ("interactive", 403, "permission_denied"),
        ("Batch", 400, None),
        ("urgent", 400, None),
        ("standard", 200, None),
        ("batch", 200, None),
    ],
)
async def test_a_class_is_claimed_by_those_who_may(
    rig: Rig, release: asyncio.Semaphore, claimed: str, status: int, code: str | None
) -> None:
    release.release()
    reply = await ask(rig, x_flotilla_priority=claimed)
    assert reply.status == status
    if status != 200:
        assert reply.error["code"] == code


async def test_a_higher_class_goes_first_and_a_key_may_be_given_one(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    rig.keys = (replace(KEY_RECORD, priority=Priority.INTERACTIVE), OTHER_RECORD)
    rig.publish()
    first = ask(rig, "first")
    await waiting(rig, 0)
    tasks = [by_other(rig, "standard") for _ in range(4)]
    await waiting(rig, 4)
    tasks += [ask(rig, "urgent", x_flotilla_priority="interactive") for _ in range(4)]
    await waiting(rig, 8)
    for _ in range(9):
        release.release()
    await asyncio.gather(first, *tasks)
    assert order(rig)[1:6].count("urgent") == 4


async def test_an_answer_that_shows_no_first_token_does_not_keep_prompts_away_for_long(
    replica: FakeReplica,
    tmp_path: Path,
    release: asyncio.Semaphore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "PROMPT_LEAST_S", 0.0)
    monkeypatch.setattr(turns, "PROMPT_TOKENS_PER_S", 1e9)
    replica.most_running, replica.behaviour = 8, when(release)
    long = {**HELLO, "messages": [{"role": "user", "content": "x" * 60_000}]}
    models = [model(window_tokens=200_000)]
    replica.window_tokens = 200_000
    async with gateway(tmp_path, replica, models=models, deadlines=QUICK) as rig:
        tasks = [asyncio.create_task(rig.ask("POST", CHAT, long)) for _ in range(3)]
        await replica.until(lambda: replica.running == 3)
        for _ in tasks:
            release.release()
        assert {reply.status for reply in await asyncio.gather(*tasks)} == {200}
        assert line(rig).queue.prompt_tokens == 0


async def test_what_other_gateways_send_leaves_fewer_places(
    rig: Rig, release: asyncio.Semaphore
) -> None:
    busy = replace(rig.replicas[0].report(), most_running=4, load=Load(running=4))
    rig.publish([busy])
    tasks = [ask(rig) for _ in range(3)]
    await waiting(rig, 2)
    for _ in tasks:
        release.release()
    assert {reply.status for reply in await asyncio.gather(*tasks)} == {200}


class _RouteCounter(WatchedCore):
    routed = 0

    def route(self, replica_set: str, ask: Ask, tried: Collection[str] = ()) -> Choice | None:
        self.routed += 1
        return super().route(replica_set, ask, tried)


async def test_a_prompt_that_is_looked_at_closely_is_routed_once(
    replica: FakeReplica, tmp_path: Path, release: asyncio.Semaphore
) -> None:
    """The first fills most of the room for prompts; of the second, which is the same, little is
    left to compute, which only a look at the caches shows.
    """
    replica.most_running, replica.behaviour, replica.window_tokens = 8, when(release), 200_000
    body = {**HELLO, "messages": [{"role": "user", "content": "x" * 28_000}]}
    models = [model(window_tokens=200_000)]
    async with gateway(tmp_path, replica, models=models, core_type=_RouteCounter) as rig:
        assert isinstance(rig.core, _RouteCounter)
        tasks = []
        for number in (1, 2):
            tasks.append(asyncio.create_task(rig.ask("POST", CHAT, body)))
            await replica.until(lambda number=number: replica.running == number)  # type: ignore[misc]
        assert rig.core.routed == 2
        for _ in tasks:
            release.release()
        assert {reply.status for reply in await asyncio.gather(*tasks)} == {200}
