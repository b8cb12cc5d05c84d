"""What the gateway adds to the time to first token of a running fleet: the same request through the
gateway and straight to the replica's port, in turn, so that drift hits both alike.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from ops.bench.stats import percentile
from ops.controller_client import call_controller
from ops.local_cluster import adopt_local_cluster
from serving.keystore import home

DEFAULT_REQUESTS = 200
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


def ways_of_running_fleet(port: int) -> dict[str, Way]:
    """Through the gateway, and straight to the first replica. Raises OpsError."""
    replica = call_controller("status")["replicas"][0]
    route = "/v1/chat/completions"
    token = (home() / "internal_token").read_text().strip()
    key = (home() / "client_key").read_text().strip()
    return {
        "gateway": Way(f"http://127.0.0.1:{port}{route}", key, replica["replica_set"]),
        "direct": Way(f"http://{replica['address']}{route}", token, replica["served_name"]),
    }


def main() -> None:
    """`python -m ops.bench.overhead`, while `make up` runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=DEFAULT_REQUESTS)
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args()
    adopt_local_cluster()
    taken = asyncio.run(compare(ways_of_running_fleet(chosen.port), chosen.requests))
    for share in (0.5, 0.99):
        sys.stdout.write(_line(share, taken["gateway"], taken["direct"]) + "\n")


def _line(share: float, gateway: list[float], direct: list[float]) -> str:
    through_ms, straight_ms = percentile(gateway, share) * 1000, percentile(direct, share) * 1000
    figures = f"gateway {through_ms:.2f} ms  direct {straight_ms:.2f} ms"
    return f"p{share * 100:.0f}  {figures}  added {through_ms - straight_ms:+.2f} ms"


if __name__ == "__main__":
    main()
