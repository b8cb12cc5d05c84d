"""One look at a fleet: what Serve says of its applications and the Controller of its replicas, put
together. Many looks share two connections.
"""

from types import TracebackType
from typing import Any, Self

from deployments.serve_control import ServeControl
from ops.control_client import ControlClient
from ops.errors import ControllerMissing
from ops.fleet_status import fleet_status


class FleetLook:
    """Use as an async context manager."""

    def __init__(self) -> None:
        self._serve = ServeControl()
        self._controller = ControlClient()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._controller.__aexit__(kind, error, trace)
        await self._serve.__aexit__(kind, error, trace)

    async def look(self) -> dict[str, Any]:
        """The view that `flotilla status` prints. Raises ServeError."""
        applications = await self._serve.applications()
        try:
            known: dict[str, Any] | str = await self._controller.status()
        except ControllerMissing as missing:
            known = str(missing)
        return fleet_status(applications, known)


async def look_once() -> dict[str, Any]:
    """Raises ServeError."""
    async with FleetLook() as fleet:
        return await fleet.look()
