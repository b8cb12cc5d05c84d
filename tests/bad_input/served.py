"""A gateway as a process of its own, with the models of the corpus, for whoever weighs it.

python -m tests.bad_input.served FOLDER REPLICA_PORT       prints its port
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from serving.gateway import heap
from tests.bad_input.case import MODELS
from tests.fakes import FakeReplica
from tests.serving.gateway.rig import QUICK, gateway

#: On a machine that is busy a large body may take its time to arrive; whoever is cut off while it
#: sends never sees its answer.
DEADLINES = replace(QUICK, linger_s=10.0)


async def main(folder: Path, replica_port: int) -> None:
    """Until its input ends. The replica is another process's, this one only knows of it."""
    heap.keep_little()
    replica = FakeReplica(port=replica_port)
    async with gateway(folder, replica, models=MODELS, deadlines=DEADLINES) as rig:
        print(rig.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
