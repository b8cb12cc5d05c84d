"""Which machines are part of a cluster after bring-up, and what is said of the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.bringup import Failure, Patience, Progress, Step, Works, bring_up
from cluster.errors import InstallFailed
from cluster.inventory import Accelerators, Inventory, Machine, Node

#: The look after the first waits for nobody.
QUICK = Patience(autoscaler_s=0.02, join_s=0.02, look_s=0.001)
NAMES = ("head", "one", "two", "three")


def inventory() -> Inventory:
    cpu = Accelerators(kind="cpu", count=1, memory_gib=2.5)
    nodes = tuple(Node(name=name, address=f"10.0.0.{n}") for n, name in enumerate(NAMES))
    return Inventory(name="test", head="head", accelerators=cpu, nodes=nodes)


@dataclass
class World:
    """Machines that fail at the steps they are told to, and join when Ray runs there."""

    fails: dict[str, Step] = field(default_factory=dict)
    #: The autoscaler does not bring these; a login of our own does.
    forgotten: tuple[str, ...] = ()
    #: Nothing does.
    lost: tuple[str, ...] = ()
    #: They run before bring-up begins.
    up: set[str] = field(default_factory=set)
    taken: list[tuple[str, Step]] = field(default_factory=list)
    seen: list[Progress] = field(default_factory=list)

    def step(self, step: Step) -> Callable[[Machine], Awaitable[None]]:
        async def work(machine: Machine) -> None:
            self.taken.append((machine.name, step))
            if self.fails.get(machine.name) is step:
                raise InstallFailed(machine.name, f"no {step}", "mend it")

        return work

    async def start(self, machine: Machine) -> None:
        await self.step(Step.START)(machine)
        self.up |= set(NAMES) - set(self.forgotten) - set(self.lost) - set(self._unprepared())

    async def repair(self, machine: Machine) -> None:
        await self.step(Step.START)(machine)
        if machine.name not in self.lost:
            self.up.add(machine.name)

    async def alive(self) -> frozenset[str]:
        return frozenset(f"10.0.0.{n}" for n, name in enumerate(NAMES) if name in self.up)

    def _unprepared(self) -> Iterable[str]:
        return [name for name, step in self.fails.items() if step is not Step.START]

    def bring_up(self, *, fence: bool = False) -> dict[str, Failure]:
        works = Works(
            check=self.step(Step.CHECK),
            copy=self.step(Step.COPY),
            install=self.step(Step.INSTALL),
            fence=self.step(Step.FENCE) if fence else None,
            start=self.start,
            repair=self.repair,
            alive=self.alive,
        )
        return dict(asyncio.run(bring_up(inventory(), works, self.seen.append, QUICK)))


def test_every_machine_goes_through_every_step_and_the_head_is_started_once() -> None:
    world = World()
    assert world.bring_up(fence=True) == {}
    for step in (Step.CHECK, Step.COPY, Step.INSTALL, Step.FENCE):
        assert sorted(name for name, taken in world.taken if taken is step) == sorted(NAMES)
    assert [name for name, step in world.taken if step is Step.START] == ["head"]


def test_no_fence_is_raised_that_nobody_asked_for() -> None:
    world = World()
    world.bring_up()
    assert Step.FENCE not in {step for _, step in world.taken}


@pytest.mark.parametrize("step", [Step.CHECK, Step.COPY, Step.INSTALL])
def test_a_machine_that_fails_says_where_and_the_others_go_on(step: Step) -> None:
    world = World(fails={"two": step})
    assert world.bring_up() == {"two": Failure(step, f"no {step}", "mend it")}
    assert world.up == {"head", "one", "three"}
    after = [taken for name, taken in world.taken if name == "two"]
    assert after[-1] is step


def test_without_a_head_nothing_is_started_and_every_worker_is_named() -> None:
    world = World(fails={"head": Step.INSTALL})
    failed = world.bring_up()
    assert set(failed) == set(NAMES)
    assert failed["one"] == Failure(Step.JOIN, "the head did not start", "mend the head first")
    assert Step.START not in {step for _, step in world.taken}


def test_a_worker_that_the_autoscaler_does_not_bring_is_started_by_a_login_of_our_own() -> None:
    world = World(forgotten=("one",))
    assert world.bring_up() == {}
    assert ("one", Step.START) in world.taken
    assert ("two", Step.START) not in world.taken


def test_a_worker_that_cannot_be_started_has_the_cause_of_that_start() -> None:
    world = World(forgotten=("one",), fails={"one": Step.START})
    assert world.bring_up()["one"] == Failure(Step.START, "no start", "mend it")


def test_a_worker_that_runs_and_is_not_seen_is_said_to() -> None:
    failed = World(lost=("three",)).bring_up()
    assert failed["three"].step is Step.JOIN
    assert "does not see it" in failed["three"].cause


def test_a_worker_that_is_there_already_is_not_started_again() -> None:
    world = World(up={"one", "two", "three"}, forgotten=("one", "two", "three"))
    assert world.bring_up() == {}
    assert [name for name, step in world.taken if step is Step.START] == ["head"]


steps = st.sampled_from([Step.CHECK, Step.COPY, Step.INSTALL, Step.START])
some = st.lists(st.sampled_from(NAMES[1:]), unique=True).map(tuple)


@given(st.dictionaries(st.sampled_from(NAMES), steps), some, some)
def test_every_machine_is_up_or_named_and_its_last_word_agrees(
    fails: dict[str, Step], forgotten: tuple[str, ...], lost: tuple[str, ...]
) -> None:
    world = World(fails=fails, forgotten=forgotten, lost=lost)
    failed = world.bring_up()
    if "head" not in failed:
        assert set(NAMES) - set(failed) == world.up
    for name in NAMES:
        last = [seen for seen in world.seen if seen.node == name and seen.took_s is not None][-1]
        assert last.failure == failed.get(name)
