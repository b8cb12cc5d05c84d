"""More than there is room for: rows 10, 34 and 36."""

import asyncio
from dataclasses import replace

from serving.routing.capacity import WAITING_SHARE
from serving.routing.retry import BUDGET_FLOOR, BUDGET_SHARE
from serving.snapshot import Load, Outlook, Phase, Snapshot
from tests.fakes import TOKEN, Call, FakeReplica, answers, refuses
from tests.faults.site import Faulty, Site, kind_of, replicas, until
from tests.serving.gateway.rig import HELLO, QUICK

RUNNING = 4


class Slots:
    """An engine that runs so many requests at once and lets the others wait."""

    def __init__(self, replica: FakeReplica) -> None:
        replica.most_running = RUNNING
        replica.behaviour = self.behave
        self._slots = asyncio.Semaphore(RUNNING)
        self._replica = replica
        self.go = asyncio.Event()
        self.most_at_once = 0

    async def behave(self, call: Call) -> None:
        self.most_at_once = max(self.most_at_once, self._replica.running)
        async with self._slots:
            await self.go.wait()
            await answers(call)

    def look(self) -> None:
        """As its next report says it."""
        running = min(self._replica.running, RUNNING)
        self._replica.load = Load(waiting=self._replica.running - running, running=running)


async def test_34_of_a_burst_of_20_times_the_capacity_the_rest_is_refused_at_once(
    faulty: Faulty,
) -> None:
    """What is admitted is held until the last refusal is out: none has waited for an answer."""
    two = replicas(2)
    engines = [Slots(each) for each in two]
    async with faulty(*two) as site:
        tasks = [asyncio.create_task(timed(site)) for _ in range(20 * 2 * RUNNING)]
        done: set[asyncio.Task[tuple[int, int, float]]] = set()
        while len(done) + len(site.core.accepted) < len(tasks):
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
        refused = [task.result() for task in done]
        # One after another: clients of the same process would wait for each other.
        later = [await timed(site) for _ in range(20)]
        site.measured("refused within", 1000 * max(after_s for _, _, after_s in later), "ms")
        refused += later
        assert {status for status, _, _ in refused} == {503}
        waits = {wait_s for _, wait_s, _ in refused}
        assert 1 <= min(waits) < max(waits) <= 60
        for engine in engines:
            engine.go.set()
        admitted = [await task for task in tasks if task not in done]
        assert {status for status, _, _ in admitted} == {200}
        assert len(admitted) == len(site.core.accepted) < len(tasks) / 2
    assert max(engine.most_at_once for engine in engines) <= RUNNING * (1 + WAITING_SHARE)


async def timed(site: Site) -> tuple[int, int, float]:
    """Status, the wait that was advised, and the time that the gateway took once it was asked."""
    client = await site.connect()
    began_s = site.core.loop.time()
    await client.request("POST", "/v1/chat/completions", HELLO)
    reply = await client.reply()
    after_s = site.core.loop.time() - began_s
    site.saw(kind_of(reply))
    return reply.status, int(reply.headers.get("retry-after", 0)), after_s


async def test_34_while_it_lasts_engines_stay_busy_and_queues_short(faulty: Faulty) -> None:
    """Twenty times as many clients as there is room for, who come back soon."""
    [one] = replicas(1)
    engine = Slots(one)
    engine.go.set()
    answered = 0

    async def client() -> None:
        nonlocal answered
        while answered < 20:
            answered += (await site.chat()).status == 200
            await asyncio.sleep(0.1)

    async def reports() -> None:
        while True:
            engine.look()
            site.rig.publish()
            await asyncio.sleep(0.05)

    async with faulty(one) as site:
        reporting = asyncio.create_task(reports())
        await asyncio.gather(*(client() for _ in range(20 * RUNNING)))
        reporting.cancel()
        one.load = Load()
        site.rig.publish()
        assert engine.most_at_once <= RUNNING * (1 + WAITING_SHARE)


class Rounds:
    """Engines that refuse, all at once as soon as each client's try is at one of them: so each try
    takes as long as any other.
    """

    def __init__(self, clients: int) -> None:
        self._clients = clients
        self._waiting = 0
        self._over = asyncio.Event()

    async def refuse(self, call: Call) -> None:
        self._waiting += 1
        over = self._over
        self._end_if_complete()
        await over.wait()
        await refuses(503)(call)

    def leaves(self) -> None:
        """A client that asks no more."""
        self._clients -= 1
        self._end_if_complete()

    def _end_if_complete(self) -> None:
        if self._waiting == self._clients:
            self._over.set()
            self._waiting, self._over = 0, asyncio.Event()


async def test_36_retries_stay_inside_their_budget(faulty: Faulty) -> None:
    """Clients that try again, as SDKs do, while every replica refuses. They are so many that the
    floor of the budget, which is for few requests, does not matter.
    """
    three, clients, requests = replicas(3), 100, 500
    rounds, asked, most_retrying = Rounds(clients), 0, 0

    async def refuses_late(call: Call) -> None:
        nonlocal most_retrying
        most_retrying = max(most_retrying, site.core.budget.retrying)
        await rounds.refuse(call)

    async def client() -> None:
        nonlocal asked
        while asked < requests:
            asked += 1
            reply = await site.chat()
            assert (reply.status, reply.error["code"]) == (503, "server_is_overloaded")
            assert 1 <= int(reply.headers["retry-after"]) <= 60
        rounds.leaves()

    for each in three:
        each.behaviour = refuses_late
    async with faulty(*three) as site:
        await asyncio.gather(*(client() for _ in range(clients)))
        calls = sum(len(each.calls) for each in three)
        site.measured("tries for each request", calls / requests, "")
        assert BUDGET_FLOOR < most_retrying <= BUDGET_SHARE * (clients - most_retrying)
        # Without the budget there are three for each.
        assert requests < calls <= (1 + BUDGET_SHARE) * requests
        site.heals()


async def test_10_a_request_waits_for_a_replica_that_starts(faulty: Faulty) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        expect(site, 1.0)
        tasks = [asyncio.create_task(site.chat()) for _ in range(5)]
        await until(lambda: site.core.meters.of("tiny").queued == 5)
        site.strikes()
        site.rig.publish()
        assert [(await task).status for task in tasks] == [200] * 5


async def test_10_a_crowd_that_waited_for_the_first_replica_is_not_too_many_for_it(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    engine = Slots(one)
    async with faulty(one) as site:
        expect(site, 1.0)
        tasks = [asyncio.create_task(site.chat()) for _ in range(10 * RUNNING)]
        await until(lambda: site.core.meters.of("tiny").queued == 10 * RUNNING)
        site.strikes()
        site.rig.publish()
        engine.go.set()
        assert [(await task).status for task in tasks] == [200] * (10 * RUNNING)
    assert engine.most_at_once <= RUNNING * (1 + WAITING_SHARE)


async def test_10_what_comes_too_late_is_told_at_once_and_when_to_come_again(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    async with faulty(one, deadlines=replace(QUICK, request_s=10.0)) as site:
        for ready_in_s, told in ((15.0, "15"), (1_000.0, "60")):
            expect(site, ready_in_s)
            reply = await site.chat()
            assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
            assert reply.headers["retry-after"] == told
        site.rig.publish()
        site.heals()


def expect(site: Site, ready_in_s: float) -> None:
    """There is no replica, and one will come."""
    site.rig._version += 1
    outlook = Outlook("tiny", ready_in_s)
    for slot in list(site.core._table.by_id.values()):
        slot.report = replace(slot.report, phase=Phase.STARTING)
        slot.update(slot.report)
    site.core.apply_snapshot(Snapshot(site.rig._version, site.rig.keys, (), TOKEN, (outlook,)))
