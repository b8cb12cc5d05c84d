"""The log of a process on any node, as Ray's dashboard gives it: the end of it, and what comes
after. Needs no driver and no login to the node.
"""

from collections.abc import AsyncIterator, Mapping
from os import environ

import aiohttp

from deployments.errors import LogsUnreadable
from deployments.ray_token import ray_headers
from deployments.serve_control import ADDRESS_VARIABLE, DEFAULT_ADDRESS, Process

LIST_PATH = "/api/v0/logs"
#: What Ray's agent on the node gets for its answer.
CALL_DEADLINE_S = 30.0
#: A line that is longer is given in pieces.
LINE_BYTES = 64 * 1024
#: Of a process that is no driver: what it prints.
GROUPS = ("worker_out", "worker_err")


class ProcessLogs:
    """Use as an async context manager."""

    def __init__(self) -> None:
        self._address = environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS).rstrip("/")
        self._session = aiohttp.ClientSession(
            headers=ray_headers(),
            timeout=aiohttp.ClientTimeout(sock_connect=CALL_DEADLINE_S),
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def __aenter__(self) -> "ProcessLogs":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def files(self, process: Process) -> list[str]:
        """Its own log, and what it and its children print. Raises LogsUnreadable."""
        query = {"node_ip": process.node_ip, "glob": f"worker-*-{process.pid}.*"}
        try:
            async with self._session.get(
                self._address + LIST_PATH,
                params=query,
                timeout=aiohttp.ClientTimeout(total=CALL_DEADLINE_S),
            ) as reply:
                found = (await reply.json())["data"]["result"] if reply.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
            raise self._unreadable(process, error) from error
        own = [process.log_path] if process.log_path else []
        return own + [name for group in GROUPS for name in found.get(group, ())]

    async def lines(
        self, process: Process, file: str, most: int, *, follow: bool
    ) -> AsyncIterator[str]:
        """The last `most` lines of one of its files; with `follow`, then those that come. Raises
        LogsUnreadable.
        """
        query: Mapping[str, str | int] = {
            "node_ip": process.node_ip,
            "filename": file,
            "lines": most,
        }
        url = f"{self._address}{LIST_PATH}/{'stream' if follow else 'file'}"
        try:
            async with self._session.get(url, params=query) as reply:
                if reply.status != 200:
                    text = (await reply.content.read(400)).decode(errors="replace")
                    raise LogsUnreadable(f"{process.node_ip}: {file}: {text.strip()}")
                async for line in _lines(reply.content):
                    yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreadable(process, error) from error

    def _unreadable(self, process: Process, error: Exception) -> LogsUnreadable:
        cause = str(error) or type(error).__name__
        return LogsUnreadable(f"no log of pid {process.pid} on {process.node_ip}: {cause}")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Lines without their ends."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if len(rest) > LINE_BYTES:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
