"""Runs Ray's own `ray up` on this machine, with the autoscaler that knows machines that are there
already.
"""

import asyncio
import os
import sys
from pathlib import Path

from cluster.errors import InstallFailed

#: Copies, an install that is there, and Ray's own start.
DEADLINE_S = 600.0
#: In Ray 2.60 the second autoscaler is on by default; see the decision on `ray up`.
AUTOSCALER = {"RAY_UP_enable_autoscaler_v2": "0", "RAY_USAGE_STATS_ENABLED": "0"}
#: What `ray up` says of a step that failed stands before its own traceback.
NOISE = (
    "Shared connection to",
    "Traceback",
    "  ",
    "!!!",
    "Error: Failed",
    "click.exceptions",
    "[39m",
)


async def ray_up(config: Path, log: Path, head: str) -> None:
    """Starts or updates the head. Raises InstallFailed with the last thing that was said."""
    ray = str(Path(sys.executable).with_name("ray"))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(ray, "up", "--yes", "--no-config-cache", str(config)),
            env={**os.environ, **AUTOSCALER},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                status = await process.wait()
        except TimeoutError:
            fix = f"{log} says how far it came"
            raise InstallFailed(
                head, f"`ray up` took longer than {DEADLINE_S:.0f} s", fix
            ) from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, 9)
                await process.wait()
    if status:
        said = await asyncio.to_thread(log.read_text, errors="replace")
        raise InstallFailed(head, f"`ray up` failed: {cause(said)}", f"see {log}")


def cause(text: str) -> str:
    """The line that says what failed."""
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.startswith(NOISE)
    ]
    failed = [line for line in lines if line.startswith(("flotilla:", "ssh:")) or "rror" in line]
    return (failed or lines or ["it said nothing"])[-1][:300]
