"""The nodes as Ray's head sees them, from its dashboard: one that went is named there, one that
never came is not.
"""

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from cluster.errors import RayFailed

DEFAULT_URL = "http://127.0.0.1:8265"
DEADLINE_S = 15.0


@dataclass(frozen=True, slots=True)
class RayNode:
    """One that has joined once."""

    address: str
    is_alive: bool


async def ray_nodes(url: str, token: str) -> tuple[RayNode, ...]:
    """All of them, by address; an address that came back counts as it is now. Raises RayFailed."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.get(f"{url.rstrip('/')}/nodes?view=summary") as reply,
        ):
            text = await reply.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        cause = str(error) or type(error).__name__
        raise RayFailed(f"no Ray dashboard answers at {url}: {cause}") from error
    if reply.status != 200:
        raise RayFailed(f"Ray's dashboard at {url} answered {reply.status}: is the token right?")
    return _read(text, url)


def _read(text: str, url: str) -> tuple[RayNode, ...]:
    try:
        raylets = [entry["raylet"] for entry in json.loads(text)["data"]["summary"]]
        found = [_node(raylet) for raylet in raylets]
    except (ValueError, KeyError, TypeError) as error:
        raise RayFailed(f"{url} is no Ray dashboard: {error!r}") from error
    alive = {node.address for node in found if node.is_alive}
    return tuple(
        RayNode(address, address in alive) for address in sorted({n.address for n in found})
    )


def _node(raylet: dict[str, Any]) -> RayNode:
    return RayNode(str(raylet["nodeManagerAddress"]), raylet["state"] == "ALIVE")
