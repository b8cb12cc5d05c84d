"""A gateway asks for its shares in the background and lives with a Controller that is away."""

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from serving.gateway import leasing
from serving.gateway.leasing import Leasing
from serving.limits.gate import Gate
from serving.limits.lease import Lease, ShareReport
from serving.limits.lender import SETTLE_S, Lender
from serving.limits.terms import Limits
from serving.limits.window import WINDOW_S
from serving.snapshot import KeyRecord
from tests.fakes import FakeReplica
from tests.serving.gateway.rig import KEY_RECORD, gateway
from tests.serving.limits.clock import Clock

LIMITED = KeyRecord("k", "key", b"", 0, Limits(requests_per_minute=1))


class Lending:
    """A Controller with a script: leases, silence (None) or failures, in order."""

    def __init__(self, *script: Lease | Exception | None) -> None:
        self.script = list(script)
        self.reports: list[ShareReport] = []
        self.done = asyncio.Event()

    async def __call__(self, report: ShareReport) -> Lease | None:
        self.reports.append(report)
        if not self.script:
            self.done.set()
            return None
        said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "PAUSE_S", 0.0)


def gate(*records: KeyRecord) -> Gate:
    made = Gate(asyncio.get_running_loop().time)
    made.set_keys(records, [])
    return made


async def run(one: Leasing, lending: Lending) -> None:
    task = asyncio.create_task(one.run())
    await asyncio.wait_for(lending.done.wait(), 5)
    task.cancel()


async def test_it_goes_on_asking_whatever_the_controller_says() -> None:
    limited = gate(LIMITED)
    leases = Lease(0.5, again_in_s=0.0), Lease(1.0, again_in_s=0.0)
    lending = Lending(None, RuntimeError("away"), TimeoutError(), *leases)
    await run(Leasing("g", limited, lending), lending)
    assert [report.number for report in lending.reports[:6]] == [1, 2, 3, 4, 5, 6]
    assert [report.base for report in lending.reports[:6]] == [0, 0, 0, 0, 0.5, 1.0]
    assert limited.has_lease


async def test_while_nobody_is_limited_it_asks_nothing() -> None:
    lending = Lending()
    one = Leasing("g", gate(), lending)
    task = asyncio.create_task(one.run())
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    assert lending.reports == []


@pytest.mark.parametrize("said", [None, RuntimeError("away")])
async def test_its_last_word_is_that_it_leaves(said: Exception | None) -> None:
    lending = Lending(said)
    await Leasing("g", gate(LIMITED), lending).leave()
    assert [report.is_leaving for report in lending.reports] == [True]


async def test_35_two_gateways_keep_one_limit_together(
    tmp_path: Path, replica: FakeReplica
) -> None:
    """Over real sockets; where all requests come in through one of them, it has all of it."""
    lender = Lender(asyncio.get_running_loop().time() - SETTLE_S)

    async def lend(report: ShareReport) -> Lease | None:
        return lender.lend(report, asyncio.get_running_loop().time())

    limited = replace(KEY_RECORD, limits=Limits(requests_per_minute=12))
    async with gateway(tmp_path / "a", replica) as one, gateway(tmp_path / "b", replica) as two:
        lessees = [Leasing(name, rig.core.gate, lend) for name, rig in (("a", one), ("b", two))]
        for rig in (one, two):
            rig.keys = (limited,)
            rig.publish()
        statuses = []
        for rig in (one, two, *[two] * 18):
            for lessee in lessees:
                await lessee.renew()
            statuses.append((await rig.chat()).status)
        assert 12 <= statuses.count(200) <= 12 + 2
        assert {(await rig.chat()).status for rig in (one, two)} == {429}


async def test_35_four_gateways_keep_one_limit_together_minute_after_minute(
    tmp_path: Path, replica: FakeReplica
) -> None:
    """Over real sockets and on a clock that is turned by hand: for three minutes six times as much
    is asked for as is allowed, in each mostly at another gateway.
    """
    limit, clock, dice = 40, Clock(), random.Random(3)  # noqa: S311 - not a secret
    lender, let_in = Lender(clock() - SETTLE_S), list[float]()

    async def lend(report: ShareReport) -> Lease | None:
        return lender.lend(report, clock())

    limited = replace(KEY_RECORD, limits=Limits(requests_per_minute=limit))
    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(gateway(tmp_path / n, replica)) for n in "abcd"]
        for rig in rigs:
            rig.core.gate = Gate(clock)
            rig.keys = (limited,)
            rig.publish()
        lessees = [Leasing(str(n), rig.core.gate, lend) for n, rig in enumerate(rigs)]
        for second in range(3 * WINDOW_S):
            for lessee in lessees:
                await lessee.renew()
            weights = [8 if n == second // WINDOW_S else 1 for n in range(4)]
            for rig in dice.choices(rigs, weights, k=4):
                if (await rig.chat()).status == 200:
                    let_in.append(clock())
            clock.pass_(1.0)
    minutes = [sum(end - WINDOW_S < at <= end for at in let_in) for end in let_in]
    assert max(minutes) <= limit + 4
    assert len(let_in) >= 0.85 * 3 * limit
