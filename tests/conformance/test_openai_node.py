"""OpenAI's client for Node: the same answers, the same errors, a cut stream raises."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.engine import ARGUMENTS, DIE
from tests.serving.gateway.rig import KEY, Rig

FOLDER = Path(__file__).parent
INSTALL_S = 90


async def run(*command: str, **env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=FOLDER,
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(INSTALL_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, output.decode()[-2_000:]
    return output.decode()


async def install() -> None:
    """The versions of the lock, beside it, unless they are there."""
    lock = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    if not all(_is_there(name, lock) for name in lock[""]["dependencies"]):
        await run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _is_there(name: str, lock: dict[str, Any]) -> bool:
    found = FOLDER / "node_modules" / name / "package.json"
    wanted = lock[f"node_modules/{name}"]["version"]
    return found.exists() and json.loads(found.read_text())["version"] == wanted


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="no node, no npm")
async def test_the_client_for_node_sees_what_the_one_for_python_sees(rig: Rig) -> None:
    await install()
    url = f"http://127.0.0.1:{rig.port}/v1"
    output = await run("node", "client.mjs", BASE_URL=url, API_KEY=KEY, DIE=DIE)
    seen: dict[str, Any] = json.loads(output.splitlines()[-1])
    assert seen["whole"] == ["Hello there."] * 2
    assert seen["arguments"] == ARGUMENTS
    assert seen["text"] == "Hello there."
    assert seen["models"] == ["tiny"]
    assert seen["streamed"]["text"] == "Hello there."
    assert seen["streamed"]["usage"]["completion_tokens"] > 0
    check_refusals(seen)


def check_refusals(seen: dict[str, Any]) -> None:
    wrong, nobody, stranger, cut = (seen[n] for n in ("wrong", "nobody", "stranger", "cut"))
    assert (wrong["name"], wrong["param"]) == ("BadRequestError", "temperature")
    assert (nobody["name"], nobody["code"]) == ("NotFoundError", "model_not_found")
    assert (stranger["name"], stranger["code"]) == ("AuthenticationError", "invalid_api_key")
    assert all(refusal["has_id"] for refusal in (wrong, nobody, stranger))
    assert cut is not None
    assert cut["type"] == "server_error"
