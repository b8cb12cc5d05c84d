"""Looks at the processes of a soak while it runs."""

import asyncio
import contextlib

from tests.soak.health import Idle, Sample, leftovers
from tests.soak.program import Program
from tests.soak.site import Site
from tests.soak.vitals import Vitals
from tests.soak.wire import Failed

#: A gateway that is busy answers late; one that is being killed does not.
ANSWER_S = 5.0
LET_GO_S = 30.0


class Watch:
    def __init__(self, site: Site) -> None:
        self._site = site
        self.samples: list[Sample] = []
        #: What Serve would have restarted a gateway for.
        self.findings: list[str] = []

    async def run(self, every_s: float) -> None:
        while True:
            for program in (*self._site.gateways, self._site.controller):
                await self._look(program)
            await asyncio.sleep(every_s)

    async def _look(self, program: Program) -> None:
        name, now_s = program.incarnation, asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(ANSWER_S):
                tasks = await program.handle.call("tasks")
            sample = Sample(name, now_s, program.rss_bytes(), program.descriptors(), tasks)
        except Failed as error:
            self.findings.append(f"{name} is not healthy: {error}")
        except (OSError, TimeoutError):
            return
        else:
            self.samples.append(sample)


async def idle_again(gateway: Program, before: Idle) -> Idle:
    """As it is when it has let go of what it can; connections to replicas are kept for a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LET_GO_S):
            while leftovers(before, await idle(gateway)):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.5)
    return await idle(gateway)


async def idle(gateway: Program) -> Idle:
    """As it is now; nobody asks it anything."""
    vitals: Vitals = await gateway.handle.call("vitals")
    return Idle(
        gateway.name,
        vitals.tasks,
        gateway.descriptors(),
        vitals.in_flight,
        vitals.reservations,
        vitals.queued,
    )
