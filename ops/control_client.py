"""A question to the Controller of this machine's cluster, over its socket: what `flotilla status`,
`top` and `logs` show. One connection serves as many questions as are asked.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from deployments.control_socket import SOCKET_NAME, STATUS_PATH
from ops.errors import ControllerMissing
from serving.keystore import home

#: The Controller answers in milliseconds; one that is starting, or hangs, does not.
CALL_DEADLINE_S = 5.0


class ControlClient:
    """Use as an async context manager."""

    def __init__(self, folder: Path | None = None) -> None:
        path = str((folder or home()) / SOCKET_NAME)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path),
            timeout=aiohttp.ClientTimeout(total=CALL_DEADLINE_S),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def status(self) -> dict[str, Any]:
        """What replicas and gateways say of themselves. Raises ControllerMissing."""
        try:
            async with self._session.get(f"http://controller{STATUS_PATH}") as reply:
                reply.raise_for_status()
                answer: dict[str, Any] = await reply.json()
        except TimeoutError as late:
            raise ControllerMissing(f"no answer in {CALL_DEADLINE_S:.0f} s") from late
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ControllerMissing(_cause(error)) from error
        return answer


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return "nobody listens on its socket"
    return str(error) or type(error).__name__
