"""Ray's dashboard as far as it tells what agents measure: on a real port, in the shape of Ray
2.60.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


def gpu(index: int, **changes: Any) -> dict[str, Any]:
    """As NVML tells it of an H100; memory in MiB."""
    given = {
        "index": index,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": f"GPU-{index}",
        "utilizationGpu": 90,
        "memoryUsed": 61_440,
        "memoryTotal": 81_559,
        "processesPids": [{"pid": 7, "gpuMemoryUsage": 61_000, "gpuUtilization": 88}],
        "powerMw": 520_000,
        "temperatureC": 61,
    }
    return {**given, **changes}


def node(ip: str, *gpus: dict[str, Any], label: str = "", state: str = "ALIVE") -> dict[str, Any]:
    labels = {"ray.io/node-id": "ab12", **({"flotilla/address": label} if label else {})}
    raylet = {"state": state, "nodeManagerAddress": ip, "labels": labels, "numWorkers": 3}
    return {"ip": ip, "hostname": "h", "cpu": 3.5, "gpus": list(gpus), "tpus": [], "raylet": raylet}


class FakeAgents:
    """`nodes` and `status` may be changed while it is asked."""

    def __init__(self) -> None:
        self.nodes = [node("10.0.0.1", gpu(0), gpu(1, temperatureC=74))]
        self.status = 200
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        assert request.query["view"] == "summary"
        data = {"summary": self.nodes, "nodeLogicalResources": {}}
        body = {"result": True, "msg": "Node summary fetched.", "data": data}
        return web.json_response(body, status=self.status)


@asynccontextmanager
async def fake_agents() -> AsyncIterator[FakeAgents]:
    fake, app = FakeAgents(), web.Application()
    app.router.add_get("/nodes", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()
