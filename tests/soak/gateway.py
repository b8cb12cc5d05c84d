"""A gateway as a process of its own: the real deployment, with a line to the Controller that is not
Ray's and deadlines that a soak can wait for.

python -m tests.soak.gateway NAME FOLDER PORT
"""

import asyncio
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvloop

from serving.bounds import Deadlines
from serving.gateway import deployment
from serving.gateway.core import GatewayCore
from serving.gateway.deployment import Controller, Gateway
from tests.bad_input.case import MODELS
from tests.soak.program import socket_path, told_to_end
from tests.soak.vitals import Vitals
from tests.soak.wire import Handle, serving

DEADLINES = Deadlines(
    body_s=10.0,
    write_s=10.0,
    first_token_s=3.0,
    probe_token_s=1.0,
    between_tokens_s=3.0,
    upstream_idle_s=5.0,
    notice_s=0.5,
)
#: Of a whole request.
DEADLINE_S = 12.0
CONFIG: dict[str, Any] = {
    "models": MODELS,
    "limits": {"deadline_s": DEADLINE_S, "grace_s": DEADLINE_S},
}


class Body:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.is_leaving = False

    async def is_ready(self) -> bool:
        return True

    async def has_lease(self) -> bool:
        """Whether limited keys are let in."""
        return self._gateway._core.gate.has_lease

    async def tasks(self) -> int:
        """Raises RuntimeError where Serve would restart it."""
        if not self.is_leaving:
            await self._gateway.check_health()
        return len(asyncio.all_tasks())

    async def vitals(self) -> Vitals:
        core = self._gateway._core
        return Vitals(
            tasks=len(asyncio.all_tasks()),
            in_flight=sum(count for _, count in core.in_flight()) + core.budget.in_flight,
            reservations=sum(each.in_flight for each in core.gate._accounts.values()),
            queued=sum(each.queued for each in core.meters.report()),
        )


async def main(name: str, folder: Path, port: int) -> None:
    made = partial(GatewayCore, deadlines=DEADLINES)
    deployment.GatewayCore = made  # type: ignore[assignment,attr-defined]
    gateway = Gateway.__new__(Gateway)
    controller = cast(Controller, Handle(socket_path(folder, "controller")))
    await Gateway.__init__(gateway, controller, "127.0.0.1", port)
    await gateway.reconfigure(CONFIG)
    body = Body(gateway)
    async with serving(body, socket_path(folder, name)):
        await told_to_end()
        body.is_leaving = True
        leaving = gateway.__del__()
        assert leaving is not None
        await leaving


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
