"""The Controller and its ledger as a process of their own: the real ones, without Ray.

python -m tests.soak.control NAME FOLDER
"""

import asyncio
import logging
import sys
from pathlib import Path

import uvloop

from deployments.controller import Controller
from tests.soak.program import socket_path, told_to_end
from tests.soak.wire import serving


class Ready(Controller):
    """Answers that it is there."""

    async def is_ready(self) -> bool:
        return True

    async def tasks(self) -> int:
        """Raises RuntimeError where Serve would restart it."""
        await self.check_health()
        return len(asyncio.all_tasks())


async def main(name: str, folder: Path) -> None:
    async with serving(Ready(), socket_path(folder, name)):
        await told_to_end()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
