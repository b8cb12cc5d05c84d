"""What the gateway adds to the time to first token of a running fleet: the same request through the
gateway and straight to the replica's port, in turn, so that drift hits both alike.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from ops.endpoint import Address
from ops.errors import NothingToMeasure
from ops.fleet_look import look_once
from serving.keystore import home

ROUTE = "/v1/chat/completions"
WARM_UP = 10
CALL_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Way:
    """A URL that answers chat requests, and what opens it."""

    url: str
    token: str
    model: str


async def first_token_s(session: aiohttp.ClientSession, way: Way) -> float:
    """Seconds from sending a streamed request to its first event; reads it to the end."""
    body = {
        "model": way.model,
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 4,
        "temperature": 0,
        "stream": True,
    }
    began_s = time.perf_counter()
    headers = {"Authorization": f"Bearer {way.token}"}
    async with session.post(way.url, json=body, headers=headers) as reply:
        reply.raise_for_status()
        await reply.content.readline()
        first_s = time.perf_counter() - began_s
        await reply.read()
    return first_s


async def compare(ways: Mapping[str, Way], requests: int) -> dict[str, list[float]]:
    """Times in seconds by name of the way."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    timeout = aiohttp.ClientTimeout(total=CALL_DEADLINE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for number in range(requests + WARM_UP):
            for name, way in ways.items():
                first_s = await first_token_s(session, way)
                if number >= WARM_UP:
                    taken[name].append(first_s)
    return taken


def ways(gateway: Address, key: str, model: str) -> dict[str, Way]:
    """Through the gateway, and straight to a ready replica of the same model. Raises OpsError."""
    view = asyncio.run(look_once())
    replica = next(_ready(view, model), None)
    if replica is None:
        raise NothingToMeasure(
            f"{model} has no ready replica here: `flotilla status` says what runs"
        )
    token = (home() / "internal_token").read_text().strip()
    return {
        "gateway": Way(f"{gateway.base_url}/chat/completions", key, model),
        "direct": Way(f"http://{replica['address']}{ROUTE}", token, replica["served_name"]),
    }


def _ready(view: Mapping[str, Any], model: str) -> Iterator[Mapping[str, Any]]:
    sets = {each["name"]: each["replica_set"] for each in view["models"]}
    for replica in view["replicas"]:
        is_of_it = replica["application"].rpartition(".")[0] == sets.get(model)
        if is_of_it and replica["state"] == "ready":
            yield replica
