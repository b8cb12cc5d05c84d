"""What Prometheus finds of a fleet, kept on the head: the Controller's own port, the list of all
others, and the token that opens them.

Files of a folder that only the user of Flotilla can read, which Prometheus has to run as:
`targets.json` for its file service discovery, `token` for its `credentials_file`.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from deployments.ray_nodes import this_address
from deployments.scrape_targets import Target, Targets
from serving.keystore import write_private
from serving.metrics.exposition import Reading
from serving.metrics.port import MetricsPort

TARGETS, TOKEN = "targets.json", "token"
#: Between two looks at who is there; Prometheus asks every 15 s.
PERIOD_S = 2.0

_log = logging.getLogger(__name__)

TakeReadings = Callable[[], Iterable[Reading]]
ListTargets = Callable[[], Targets]


class Scraping:
    """Of one Controller."""

    def __init__(self, folder: Path, token: str) -> None:
        self._folder = folder
        self._token = token
        self._keeping: asyncio.Task[None] | None = None
        #: What is in the file.
        self._listed: Targets | None = None

    def keep_up(self, readings: TakeReadings, targets: ListTargets) -> None:
        """Begins, or begins anew where it was stopped by a disk or a port that cannot be had."""
        if self._keeping is not None and self._keeping.done():
            _log.warning("nothing for Prometheus: %s", self._keeping.exception())
            self._keeping = None
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(readings, targets))

    async def _keep(self, readings: TakeReadings, targets: ListTargets) -> None:
        """Raises OSError."""
        port = MetricsPort(readings, lambda: self._token)
        node = await asyncio.to_thread(this_address)
        try:
            await port.open(node)
            await asyncio.to_thread(self._begin)
            own = Target(port.address, "controller", node, "controller")
            while True:
                await self._list((own, *targets()))
                await asyncio.sleep(PERIOD_S)
        finally:
            await port.close()

    def _begin(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_private(self._folder / TOKEN, self._token)
        self._listed = None

    async def _list(self, targets: Targets) -> None:
        if targets != self._listed:
            text = json.dumps([target.to_group() for target in targets], indent=1)
            await asyncio.to_thread(write_private, self._folder / TARGETS, text)
            self._listed = targets
