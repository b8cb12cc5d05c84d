"""The replica's line to the Controller: joins once, then reports a few times a second. No request
waits on it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from ray import serve
from ray.serve.exceptions import RayServeException

from serving.controller_handle import over_grpc
from serving.replica.errors import RegistryUnreachable
from serving.snapshot import (
    CONTROLLER_DEPLOYMENT,
    INGRESS_APPLICATION,
    ReplicaReport,
)

REPORT_PERIOD_S = 0.25
CALL_DEADLINE_S = 2.0
#: The ledger's own deadlines are shorter, and several may wait in its line.
RECORD_DEADLINE_S = 30.0
#: The ingress application may be deployed in the same breath as this replica.
JOIN_DEADLINE_S = 300.0

logger = logging.getLogger(__name__)


class Registration:
    """Sends `describe()` to the Controller and hands the internal tokens it answers with to
    `accept`.
    """

    def __init__(
        self,
        describe: Callable[[], ReplicaReport],
        accept: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._describe = describe
        self._accept = accept
        self._task: asyncio.Task[None] | None = None
        self._controller: Any = None

    async def join(self) -> None:
        """Returns once the Controller knows this replica. Raises RegistryUnreachable."""
        deadline_s = asyncio.get_running_loop().time() + JOIN_DEADLINE_S
        while not await self.report():
            if asyncio.get_running_loop().time() > deadline_s:
                raise RegistryUnreachable(
                    f"no Controller in application {INGRESS_APPLICATION!r} answered "
                    f"within {JOIN_DEADLINE_S:.0f} s; deploy the ingress application too"
                )
            await asyncio.sleep(REPORT_PERIOD_S)
        self._task = asyncio.create_task(self._keep_reporting())

    async def report(self) -> bool:
        """Tells the Controller how things stand; False when it could not be told."""
        try:
            if self._controller is None:
                self._controller = _controller_handle()
            async with asyncio.timeout(CALL_DEADLINE_S):
                self._accept(await self._controller.report.remote(self._describe()))
        except Exception as error:  # noqa: BLE001 - the boundary to another process: whatever it says, serve on
            logger.debug("report not taken: %s", error)
            return False
        return True

    async def record_counts(self, lines: bytes) -> bool:
        """Tells the ledger what the engine counted; true when it is there."""
        try:
            if self._controller is None:
                self._controller = _controller_handle()
            async with asyncio.timeout(RECORD_DEADLINE_S):
                return bool(await self._controller.record_counts.remote(lines))
        except Exception as error:  # noqa: BLE001 - the boundary to another process, as above
            logger.debug("counts not taken: %s", error)
            return False

    async def leave(self, replica_id: str) -> None:
        """Takes this replica off the Controller's list, as far as the Controller can be reached."""
        if self._task is not None:
            self._task.cancel()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CALL_DEADLINE_S):
                await self._controller.leave.remote(replica_id)

    async def _keep_reporting(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(REPORT_PERIOD_S)


def _controller_handle() -> Any:
    try:
        handle = serve.get_deployment_handle(CONTROLLER_DEPLOYMENT, INGRESS_APPLICATION)
    except RayServeException as missing:
        raise RegistryUnreachable("the ingress application is not deployed") from missing
    return over_grpc(handle)
