"""The loop against Serve's API on a real port: it writes what was decided, when nobody else does,
and finds it again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deployments.autoscaler import START_LIMIT_S, Autoscaler, Senses
from deployments.dashboard import DASHBOARD_APPLICATION as DASHBOARD
from deployments.deployed import Deployed
from deployments.errors import AnotherWriter, ServeError
from deployments.event import Kind
from deployments.ledger.acts import DrainReplica, RestartReplica, ScaleModel
from deployments.lock import alone
from deployments.observation import Reports
from deployments.render import render
from deployments.scaling_state import restored
from deployments.serve_control import ServeControl
from serving.snapshot import DemandReport, GatewayReport, Load, Outlook, Phase, ReplicaReport
from tests.deployments.fake_serve import FakeServe
from tests.deployments.test_plan import KNOWN, models, nodes, planned

FLEET = models(a="replicas: {min: 0, max: 2}, engine: {max_num_seqs: 10}", b="")


class Rig:
    """A loop, the Serve it writes to, and what it hears; the clock is by hand."""

    def __init__(self, serve: FakeServe, control: ServeControl, path: Path) -> None:
        self.serve = serve
        self.now_s = 1e6
        self.queued = 0
        self.running = 0
        self.told: tuple[Outlook, ...] = ()
        self.noted: list[str] = []
        deployed = Deployed(FLEET, nodes(8))
        facts = dict.fromkeys(FLEET.served(), KNOWN)
        self.suspects: dict[str, str] = {}
        self.senses = Senses(
            control=control,
            reports=self._reports,
            live=lambda: None,
            suspects=lambda: self.suspects,
            facts=lambda _: facts,
            now_s=lambda: self.now_s,
        )
        self.path = path
        self.loop = self.restarted(deployed)

    def restarted(self, deployed: Deployed) -> Autoscaler:
        return Autoscaler(deployed, self.path, self.senses, self._tell, self._note)

    def _note(self, kind: Kind, subject: str, text: str) -> None:
        self.noted.append(f"{kind} {subject} {text}")

    def _tell(self, outlooks: tuple[Outlook, ...]) -> None:
        self.told = outlooks

    def _reports(self) -> Reports:
        demand = DemandReport("a", queued=self.queued)
        gateway = GatewayReport("g", "n", 1, "127.0.0.1:8000", demands=(demand,))
        load = Load(running=self.running)
        replicas = [
            ReplicaReport(name, name, "a", "n", ("n",), "n:1", "a", Phase.READY, load=load)
            for name in self.serve.running
            if name.startswith("a.")
        ]
        return Reports(tuple(replicas), (gateway,))

    async def looks(self, count: int) -> None:
        for _ in range(count):
            self.now_s += 5
            await self.loop.look()


@asynccontextmanager
async def rigged(path: Path) -> AsyncIterator[Rig]:
    async with FakeServe().serving() as serve, ServeControl(serve.url, "token") as control:
        inventory = nodes(8)
        first = planned(FLEET, inventory)
        serve.run(render(FLEET, first.addresses(), inventory))
        yield Rig(serve, control, path)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOTILLA_HOME", str(tmp_path))
    return tmp_path / "scaling.json"


def kept_in(path: Path) -> dict[str, int]:
    kept = restored(path.read_text())
    assert kept is not None
    return kept.counts()


def spoilt(path: Path) -> None:
    path.write_text("{")


async def test_a_client_that_waits_brings_the_first_replica_and_its_absence_takes_it(
    path: Path,
) -> None:
    async with rigged(path) as rig:
        await rig.looks(3)
        assert rig.told == (Outlook("a", 130.0),)
        assert list(rig.serve.running) == ["flotilla", "b.0", DASHBOARD]
        rig.queued = 1
        await rig.looks(5)
        assert list(rig.serve.running) == ["flotilla", "a.0", "b.0", DASHBOARD]
        assert kept_in(path) == {"a": 1, "b": 1}
        rig.queued = 0
        await rig.looks(70)
        assert list(rig.serve.running) == ["flotilla", "b.0", DASHBOARD]
        assert any("a 0 -> 1" in line for line in rig.loop.status()["history"])
        assert any("a 1 -> 0" in line for line in rig.loop.status()["history"])
        decided = [" ".join(line.split()[:4]) for line in rig.noted]
        assert decided == [
            "scaling a 0 ->",
            "placement a.0 add on",
            "scaling a 1 ->",
            "placement a.0 remove",
        ]


async def test_a_restart_in_the_middle_of_a_change_finishes_it(path: Path) -> None:
    async with rigged(path) as rig:
        rig.queued = 1
        while rig.loop.status()["counts"].get("a") != 1:
            await rig.looks(1)
        assert list(rig.serve.running) == ["flotilla", "b.0", DASHBOARD]
        rig.queued = 0
        rig.loop = rig.restarted(rig.loop.deployed)
        await rig.looks(1)
        assert list(rig.serve.running) == ["flotilla", "a.0", "b.0", DASHBOARD]


async def test_while_a_command_writes_nothing_is_written(path: Path) -> None:
    async with rigged(path) as rig:
        rig.queued = 1
        with alone():
            await rig.looks(10)
        assert rig.serve.puts == []
        assert "wait for it" in rig.loop.status()["why"][""]
        await rig.looks(5)
        assert list(rig.serve.running) == ["flotilla", "a.0", "b.0", DASHBOARD]


async def test_a_replica_that_never_comes_up_is_given_up(path: Path) -> None:
    async with rigged(path) as rig:
        await rig.looks(2)
        rig.queued = 1
        rig.serve.stuck = {"a.0"}
        await rig.looks(5)
        assert "a.0" in rig.serve.running
        rig.now_s += START_LIMIT_S
        await rig.looks(3)
        assert "a.0" not in rig.serve.running


async def test_a_serve_that_does_not_answer_is_an_error_of_that_look_alone(path: Path) -> None:
    async with rigged(path) as rig:
        rig.queued = 1
        rig.serve.refusals = [503]
        with pytest.raises(ServeError):
            await rig.looks(1)
        await rig.looks(5)
        assert list(rig.serve.running) == ["flotilla", "a.0", "b.0", DASHBOARD]


async def test_a_memory_that_cannot_be_read_begins_with_what_runs(path: Path) -> None:
    spoilt(path)
    async with rigged(path) as rig:
        await rig.looks(2)
        assert rig.loop.status()["counts"] == {"a": 0, "b": 1}


async def test_an_order_to_scale_is_carried_out_by_the_next_looks_and_survives_a_restart(
    path: Path,
) -> None:
    async with rigged(path) as rig:
        await rig.looks(2)
        assert await rig.loop.obey(ScaleModel("a", 1, 0)) is None
        assert kept_in(path) == {"a": 1, "b": 1}
        rig.loop = rig.restarted(rig.loop.deployed)
        await rig.looks(1)
        assert "a.0" in rig.serve.running


async def test_a_replica_that_is_restarted_goes_and_comes_again(path: Path) -> None:
    async with rigged(path) as rig:
        rig.queued = 1
        await rig.looks(5)
        assert "a.0" in rig.serve.running
        assert await rig.loop.obey(RestartReplica("a.0", "a.0")) is None
        assert list(rig.serve.running) == ["flotilla", "b.0", DASHBOARD]
        await rig.looks(3)
        assert list(rig.serve.running) == ["flotilla", "a.0", "b.0", DASHBOARD]
        assert kept_in(path) == {"a": 1, "b": 1}


async def test_a_replica_that_is_drained_goes_and_stays_away(path: Path) -> None:
    async with rigged(path) as rig:
        rig.queued = 1
        await rig.looks(5)
        rig.queued = 0
        assert await rig.loop.obey(DrainReplica("a.0", "a.0")) is None
        await rig.looks(3)
        assert list(rig.serve.running) == ["flotilla", "b.0", DASHBOARD]


async def test_an_order_that_is_refused_changes_nothing(path: Path) -> None:
    async with rigged(path) as rig:
        await rig.looks(2)
        puts = len(rig.serve.puts)
        assert "look again" in (await rig.loop.obey(ScaleModel("a", 1, 2)) or "")
        await rig.looks(1)
        assert len(rig.serve.puts) == puts


async def test_while_a_command_writes_no_order_is_obeyed(path: Path) -> None:
    async with rigged(path) as rig:
        await rig.looks(2)
        with alone(), pytest.raises(AnotherWriter):
            await rig.loop.obey(ScaleModel("a", 1, 0))
        assert rig.loop.status()["counts"]["a"] == 0
