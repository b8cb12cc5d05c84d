"""Asks vLLM about a fleet's engine settings in a process of its own: importing vLLM takes ten
seconds and a gigabyte, which a page that is live has to spare neither of.
"""

import asyncio
import json
import sys
from contextlib import suppress

from cluster.problem import Problem
from deployments.engine_check import engine_problems
from deployments.fleet import Fleet
from ops.errors import PlanRefused

#: Of importing vLLM from a cold disk.
DEADLINE_S = 120.0


async def engine_verdict(fleet: Fleet) -> list[Problem]:
    """What vLLM has against them; asks nobody where there are none. Raises PlanRefused."""
    if not any(model.engine for model in fleet.served().values()):
        return []
    asked = fleet.model_dump_json(exclude_defaults=True).encode()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate(asked)
        return [Problem(tuple(path), message) for path, message in json.loads(said)]
    except (TimeoutError, ValueError) as error:
        raise PlanRefused("vLLM gives no verdict on the engine settings: try again") from error
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _answer() -> None:
    """The other process: a fleet on stdin, what is wrong with it on stdout."""
    fleet = Fleet.model_validate_json(sys.stdin.buffer.read())
    found = [(problem.path, problem.message) for problem in engine_problems(fleet)]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _answer()
