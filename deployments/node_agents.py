"""What Ray's agents on the nodes measure of their accelerators, as Ray's dashboard gives it.

An agent of Ray's runs on every node anyway and asks NVML every few seconds, with a copy of pynvml
of its own: a second reader of ours on each node would measure the same. This module is the whole
seam to it; where there is no such accelerator, or no driver that answers, nothing is known.
"""

from dataclasses import dataclass
from os import environ
from typing import Self

import aiohttp
import msgspec

from cluster.label import ADDRESS_LABEL
from deployments.errors import AcceleratorsUnreadable
from deployments.ray_token import ray_headers
from deployments.serve_control import ADDRESS_VARIABLE, DEFAULT_ADDRESS

NODES_PATH = "/nodes?view=summary"
#: It has the answer at hand, and whoever asks has a deadline of his own.
CALL_DEADLINE_S = 2.0
#: Of 64 nodes it is one megabyte; more is no answer of Ray's.
MOST_BYTES = 64 << 20
#: In this unit the agents count memory.
MIB = 1 << 20
ALIVE = "ALIVE"


@dataclass(frozen=True, slots=True)
class Measured:
    """One accelerator as it was a few seconds ago; None is what its driver does not tell."""

    #: On its node.
    index: int
    temperature_c: int | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    #: Share of the time in which something ran on it.
    utilisation: float | None


class _Gpu(msgspec.Struct, rename="camel"):
    index: int
    memory_used: int | None = None
    memory_total: int | None = None
    utilization_gpu: int | None = None
    temperature_c: int | None = None


class _Raylet(msgspec.Struct, rename="camel"):
    state: str = ""
    node_manager_address: str = ""
    labels: dict[str, str] = {}


class _Node(msgspec.Struct):
    raylet: _Raylet = msgspec.field(default_factory=_Raylet)
    #: None from an agent that has none.
    gpus: list[_Gpu] | None = None


class _Data(msgspec.Struct):
    summary: list[_Node]


class _Answer(msgspec.Struct):
    data: _Data


class NodeAgents:
    """Use as an async context manager."""

    def __init__(self, address: str = "") -> None:
        self._address = (address or environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS)).rstrip("/")
        timeout = aiohttp.ClientTimeout(total=CALL_DEADLINE_S)
        self._session = aiohttp.ClientSession(headers=ray_headers(), timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends its connections."""
        await self._session.close()

    async def accelerators(self) -> dict[str, tuple[Measured, ...]]:
        """By the address of their node, of the nodes whose agents answer: none where the driver
        answers for none. Raises AcceleratorsUnreadable.
        """
        try:
            async with self._session.get(self._address + NODES_PATH) as reply:
                if reply.status != 200 or (reply.content_length or 0) > MOST_BYTES:
                    raise AcceleratorsUnreadable(f"Ray's dashboard answered {reply.status}")
                answer = msgspec.json.decode(await reply.read(), type=_Answer)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            cause = str(error) or type(error).__name__
            raise AcceleratorsUnreadable(f"Ray's dashboard does not tell: {cause}") from error
        alive = (node for node in answer.data.summary if node.raylet.state == ALIVE)
        told = {_address(node): node.gpus for node in alive}
        return {at: tuple(map(_measured, gpus)) for at, gpus in told.items() if gpus is not None}


def _address(node: _Node) -> str:
    """A node that was not brought up by us goes by Ray's own address of it."""
    return node.raylet.labels.get(ADDRESS_LABEL) or node.raylet.node_manager_address


def _share(percent: int | None) -> float | None:
    """Ray says -1 where the driver does not tell."""
    return None if percent is None or percent < 0 else percent / 100


def _measured(gpu: _Gpu) -> Measured:
    return Measured(
        index=gpu.index,
        temperature_c=gpu.temperature_c,
        memory_used_bytes=None if gpu.memory_used is None else gpu.memory_used * MIB,
        memory_total_bytes=gpu.memory_total * MIB if gpu.memory_total else None,
        utilisation=_share(gpu.utilization_gpu),
    )
