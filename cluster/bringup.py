"""The machines of an inventory become one Ray cluster, or it is said which one failed where.

Rules
1. A machine that fails costs its own result and nobody else's time; only without the head nothing
   goes on.
2. What runs is left running: every step may be repeated, and a second run repairs the first.
3. `ray up` starts Ray on the head, and the head's autoscaler on the workers. It says neither that a
   worker did not come nor why, so each one is waited for, and one that is late is started by a
   login of our own, which has the cause.
4. Every machine ends with one result: it is part of the cluster, or where it failed, why, and what
   to do.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cluster.errors import NodeFailed
from cluster.inventory import Inventory, Machine

#: Of logins at once.
MAX_AT_ONCE = 32
#: How long the autoscaler is left alone with a worker; it looks every five seconds, and then logs
#: in, copies and installs what is there already.
AUTOSCALER_PATIENCE_S = 90.0
JOIN_DEADLINE_S = 60.0
LOOK_PERIOD_S = 2.0


class Step(StrEnum):
    """What is done on each machine: up to JOIN in this order."""

    CHECK = "check"
    COPY = "copy"
    INSTALL = "install"
    FENCE = "fence"
    START = "start"
    JOIN = "join"
    #: Out of a cluster that goes on.
    LEAVE = "leave"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Failure:
    """Where a machine stopped, why, and what to do; the texts are a line each."""

    step: Step
    cause: str
    fix: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A machine has begun a step (`took_s` is None), or has ended it, well or not."""

    node: str
    step: Step
    took_s: float | None = None
    failure: Failure | None = None


Work = Callable[[Machine], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Works:
    """What each step does; each raises NodeFailed."""

    check: Work
    copy: Work
    install: Work
    #: None where nobody asked for one.
    fence: Work | None
    #: On the head: `ray up`.
    start: Work
    #: On a worker that the autoscaler did not bring.
    repair: Work
    #: The addresses that are part of the cluster now.
    alive: Callable[[], Awaitable[frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker is waited for, and how often to look."""

    autoscaler_s: float = AUTOSCALER_PATIENCE_S
    join_s: float = JOIN_DEADLINE_S
    look_s: float = LOOK_PERIOD_S


@dataclass(slots=True)
class _Run:
    report: Callable[[Progress], None]
    failed: dict[str, Failure] = field(default_factory=dict)
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_AT_ONCE))

    def sound(self, machines: Iterable[Machine]) -> list[Machine]:
        return [machine for machine in machines if machine.name not in self.failed]

    def fail(self, machine: Machine, failure: Failure, took_s: float = 0.0) -> None:
        self.failed[machine.name] = failure
        self.report(Progress(machine.name, failure.step, took_s, failure))

    async def step(self, machine: Machine, step: Step, work: Work) -> None:
        async with self.gate:
            began_s = time.monotonic()
            self.report(Progress(machine.name, step))
            try:
                await work(machine)
            except NodeFailed as error:
                failure = Failure(step, error.cause, error.fix)
                self.fail(machine, failure, time.monotonic() - began_s)
            else:
                self.report(Progress(machine.name, step, time.monotonic() - began_s))

    async def everywhere(self, machines: Iterable[Machine], step: Step, work: Work) -> None:
        steps = (self.step(machine, step, work) for machine in self.sound(machines))
        await asyncio.gather(*steps)


async def bring_up(
    inventory: Inventory,
    works: Works,
    report: Callable[[Progress], None],
    patience: Patience | None = None,
) -> Mapping[str, Failure]:
    """Takes every machine as far as it comes; answers with those that failed. The inventory has a
    head.
    """
    head = inventory.head_machine()
    if head is None:
        raise ValueError("the inventory names no head")
    run, workers = _Run(report), inventory.workers()
    machines = (head, *workers)
    await run.everywhere(machines, Step.CHECK, works.check)
    await run.everywhere(machines, Step.COPY, works.copy)
    await run.everywhere(machines, Step.INSTALL, works.install)
    if works.fence is not None:
        await run.everywhere(machines, Step.FENCE, works.fence)
    await run.everywhere([head], Step.START, works.start)
    if head.name in run.failed:
        for machine in run.sound(workers):
            run.fail(machine, Failure(Step.JOIN, "the head did not start", "mend the head first"))
    else:
        await _join(run, run.sound(workers), works, patience or Patience())
    return run.failed


async def _join(run: _Run, workers: list[Machine], works: Works, patience: Patience) -> None:
    """Waits for the workers, and starts those that do not come by themselves."""
    began_s = time.monotonic()
    for worker in workers:
        run.report(Progress(worker.name, Step.JOIN))
    late = await _awaited(run, workers, works, patience, began_s, patience.autoscaler_s)
    await run.everywhere(late, Step.START, works.repair)
    late = run.sound(late)
    for worker in await _awaited(run, late, works, patience, began_s, patience.join_s):
        fix = f"`ray.log` in ~/.flotilla/nodes/{worker.name} on it says more"
        run.fail(worker, Failure(Step.JOIN, "Ray runs there and the head does not see it", fix))


async def _awaited(  # noqa: PLR0913 - one wait, used twice
    run: _Run,
    workers: list[Machine],
    works: Works,
    patience: Patience,
    began_s: float,
    wait_s: float,
) -> list[Machine]:
    """Reports each that joins; answers with those that have not when time is up."""
    end_s = time.monotonic() + wait_s
    while workers:
        alive = await works.alive()
        for worker in workers:
            if worker.address in alive:
                run.report(Progress(worker.name, Step.JOIN, time.monotonic() - began_s))
        workers = [worker for worker in workers if worker.address not in alive]
        if not workers or time.monotonic() > end_s:
            break
        await asyncio.sleep(patience.look_s)
    return workers
