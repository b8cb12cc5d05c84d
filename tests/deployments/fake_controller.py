"""The Controller's socket, and what a Controller with one busy replica says of itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from deployments.control_socket import ControlSocket

STATUS: dict[str, Any] = {
    "replicas": [
        {
            "replica_id": "big.0#1",
            "application": "big.0",
            "replica_set": "big",
            "node": "10.0.0.1",
            "stages": ("10.0.0.1", "10.0.0.2"),
            "address": "10.0.0.1:4000",
            "served_name": "big",
            "phase": "ready",
            "window_tokens": 8192,
            "facts": None,
            "load": {"waiting": 3, "running": 7, "kv_use": 0.25, "tokens_per_s": 99.6},
            "pid": 42,
        }
    ],
    "gateways": [
        {
            "gateway_id": "g1",
            "node": "10.0.0.1",
            "pid": 43,
            "address": "127.0.0.1:8000",
            "in_flight": (("big.0#1", 5),),
            "left_out": (),
        }
    ],
    "models": [
        {
            "model": "big",
            "window_s": 60.0,
            "requests": 120,
            "errors": 3,
            "tokens_per_s": 99.6,
            "first_token_p50_s": 0.25,
            "first_token_p99_s": None,
        }
    ],
    "replica_sets": [
        {"replica_set": "big", "running": 7, "waiting": 3, "queued": 2, "kv_use": 0.25}
    ],
    "keys": 1,
    "quarantined": 0,
    "scaling": None,
    "events": [{"at_s": 1.7e9, "kind": "replica", "subject": "big.0", "text": "is ready"}],
}


class FakeController:
    """`status` may be changed while it is asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.status = deepcopy(STATUS)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeController"]:
        socket = await ControlSocket.open(self.home, self._status)
        try:
            yield self
        finally:
            await socket.close()

    async def _status(self) -> dict[str, Any]:
        return self.status
