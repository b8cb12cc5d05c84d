"""Nodes as Ray's dashboard lists them, on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from cluster.errors import RayFailed
from cluster.ray_nodes import RayNode, ray_nodes


def summary(*nodes: tuple[str, str]) -> dict[str, Any]:
    raylets = [
        {"raylet": {"nodeManagerAddress": address, "state": state}} for address, state in nodes
    ]
    return {"data": {"summary": raylets}}


@asynccontextmanager
async def dashboard(status: int, text: str) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        assert request.query["view"] == "summary"
        allowed = request.headers.get("authorization") == "Bearer right"
        return web.Response(status=status if allowed else 401, text=text)

    app = web.Application()
    app.router.add_get("/nodes", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def asked(status: int, text: str, sent: str = "right") -> tuple[RayNode, ...]:
    async def ask() -> tuple[RayNode, ...]:
        async with dashboard(status, text) as url:
            return await ray_nodes(url, sent)

    return asyncio.run(ask())


def test_an_address_that_came_back_counts_as_it_is_now() -> None:
    listed = summary(("10.0.0.1", "ALIVE"), ("10.0.0.2", "DEAD"), ("10.0.0.2", "ALIVE"))
    found = asked(200, json.dumps(listed))
    assert found == (RayNode("10.0.0.1", True), RayNode("10.0.0.2", True))


def test_one_that_went_is_listed_as_such() -> None:
    found = asked(200, json.dumps(summary(("10.0.0.1", "ALIVE"), ("10.0.0.2", "DEAD"))))
    assert [node.is_alive for node in found] == [True, False]


def test_a_wrong_token_is_said_to_be_one() -> None:
    with pytest.raises(RayFailed, match="answered 401: is the token right"):
        asked(200, "{}", "wrong")


@pytest.mark.parametrize("text", ["<html>", "[]", "{}", '{"data": {"summary": [{}]}}'])
def test_what_is_no_dashboard_is_said_to_be_none(text: str) -> None:
    with pytest.raises(RayFailed, match="is no Ray dashboard"):
        asked(200, text)


def test_nobody_there_is_said_in_a_line() -> None:
    with pytest.raises(RayFailed, match=r"no Ray dashboard answers at http://127\.0\.0\.1:9"):
        asyncio.run(ray_nodes("http://127.0.0.1:9", ""))
