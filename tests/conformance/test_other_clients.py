"""LangChain and LiteLLM, each with what it does with a wrong request and with a cut stream."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from ops.bench.venv import ensure
from tests.conformance.engine import DIE
from tests.serving.gateway.rig import KEY, Rig

ROOT = Path(__file__).parents[2]
#: Of LiteLLM never 1.82.7 or 1.82.8: they were published with malicious code.
PACKAGES = ("langchain-openai==1.7.4", "litellm==1.110.2")
LIMIT_S = 100


@pytest.mark.heavy
async def test_langchain_and_litellm_get_answers_and_raise_what_they_should(rig: Rig) -> None:
    python = await asyncio.to_thread(ensure, ROOT / ".bench" / "clients", PACKAGES)
    env = {"BASE_URL": f"http://127.0.0.1:{rig.port}/v1", "API_KEY": KEY, "DIE": DIE}
    process = await asyncio.create_subprocess_exec(
        *(str(python), str(Path(__file__).with_name("other_clients.py"))),
        env={**os.environ, **env, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_S):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-2_000:]
    seen = json.loads(output.splitlines()[-1])
    for found in seen.values():
        assert found["whole"] == found["streamed"] == "Hello there."
        assert found["wrong"] in ("BadRequestError", "OpenAIInvalidRequestError")
        assert found["cut"] is not None
    assert seen["langchain"]["calls"] == [{"city": "Rome"}]
