"""Gateways are asked for what they have in flight over real HTTP; one that is gone, slow or odd
holds up nobody and is named.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
import pytest
from aiohttp import web

from ops import in_flight_client
from ops.in_flight_client import InFlightClient
from serving.in_flight import PATH, InFlight
from serving.metrics.port import MetricsPort, Route
from serving.metrics.token import requests_token
from tests.serving.test_in_flight import request

TOKEN = "internal"
Told = Callable[[bytes], Awaitable[str]]


def gateway(name: str, address: str) -> Mapping[str, Any]:
    return {"gateway_id": name, "metrics_address": address}


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    """Opens a port that gives a body, and says where."""
    ports: list[MetricsPort] = []

    async def opened(body: bytes) -> str:
        route = Route(PATH, lambda: body, lambda: requests_token(TOKEN))
        port = MetricsPort(lambda: (), lambda: "", [route])
        ports.append(port)
        await port.open("127.0.0.1")
        return port.address

    yield opened
    for port in ports:
        await port.close()


def body(*ages_s: float, total: int = 0) -> bytes:
    requests = tuple(request(age_s, f"{age_s:.0f}") for age_s in ages_s)
    return msgspec.json.encode(InFlight(requests, total or len(requests)))


async def test_those_of_all_gateways_are_one_list(told: Told) -> None:
    one, two = await told(body(9, 1)), await told(body(5, total=70))
    async with InFlightClient(TOKEN) as client:
        found = await client.ask([gateway("g1", one), gateway("g2", two), gateway("g3", "")])
    assert [each.id for each in found.requests] == ["9", "5", "1"]
    assert (found.total, found.silent) == (72, ())


async def test_who_does_not_answer_well_is_named_and_the_others_are_told(told: Told) -> None:
    good, odd = await told(body(3)), await told(b'{"requests": [')
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"127.0.0.1:{closed.getsockname()[1]}"
    every = [gateway("g1", good), gateway("g2", odd), gateway("g3", gone)]
    async with InFlightClient(TOKEN) as client:
        found = await client.ask(every)
    assert (found.total, found.silent) == (1, ("g2", "g3"))
    async with InFlightClient("another") as client:
        assert (await client.ask(every)).silent == ("g1", "g2", "g3")


async def test_one_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight_client, "ASK_DEADLINE_S", 0.05)
    app = web.Application()

    async def hangs(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    app.router.add_get(PATH, hangs)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with InFlightClient(TOKEN) as client:
        assert (await client.ask([gateway("g1", f"{host}:{port}")])).silent == ("g1",)
    await runner.cleanup()
