"""Clients that others wrote, each a process that says as one line of JSON what it saw."""

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.bench.venv import ensure

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
LIMIT_S = 100
needs_node = pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")), reason="no node, no npm"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    url: str
    key: str
    model: str
    #: What a scripted engine is asked for to die in the middle of its answer; a real one is not.
    die: str = ""

    def environment(self) -> dict[str, str]:
        names = ("BASE_URL", "API_KEY", "MODEL", "DIE")
        return dict(zip(names, (self.url, self.key, self.model, self.die), strict=True))


async def node(endpoint: Endpoint) -> dict[str, Any]:
    """What OpenAI's client for Node saw."""
    await install_node_modules()
    return await _seen("node", "client.mjs", **endpoint.environment())


async def langchain_and_litellm(endpoint: Endpoint) -> dict[str, Any]:
    """What each of them saw, by its name."""
    locked = (ROOT / "ops" / "locks" / "clients.txt").read_text().splitlines()
    packages = tuple(line for line in locked if line and not line.lstrip().startswith("#"))
    python = await asyncio.to_thread(ensure, ROOT / ".bench" / "clients", packages)
    own = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return await _seen(str(python), "other_clients.py", **endpoint.environment(), **own)


async def _seen(*command: str, **env: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await run(*command, **env)).splitlines()[-1])
    return found


async def run(*command: str, **env: str) -> str:
    """What it printed; an AssertionError where it failed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=FOLDER,
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, output.decode()[-2_000:]
    return output.decode()


async def install_node_modules() -> None:
    """The versions of the lock, beside it, unless they are there."""
    lock = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    if not all(_is_there(name, lock) for name in lock[""]["dependencies"]):
        await run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _is_there(name: str, lock: dict[str, Any]) -> bool:
    found = FOLDER / "node_modules" / name / "package.json"
    wanted = lock[f"node_modules/{name}"]["version"]
    return found.exists() and json.loads(found.read_text())["version"] == wanted
