"""The Controller: the registry that replicas and gateways report to, and the owner of the keys.

It decides nothing about a request; when it is away gateways go on with their last snapshot. Its
state is on disk (keys, internal token) or comes back with the next reports (replicas, gateways)
within a second.
"""

import secrets
import time
from dataclasses import asdict
from typing import Any

from serving.keys import new_key
from serving.keystore import KeyStore, home, secret_file
from serving.registry import Registry
from serving.snapshot import GatewayReport, ReplicaReport, Snapshot

#: A Controller that was restarted first hears every replica, which reports a few times a second;
#: until then its list would be too short, and gateways keep the one they have.
SETTLE_S = 3.0


class Controller:
    """One Serve replica on the head node."""

    def __init__(self) -> None:
        self._store = KeyStore(home() / "keys.json")
        self._settled_at_s = time.monotonic() + SETTLE_S
        token = secret_file(home() / "internal_token")
        self._registry = Registry(token, version=time.time_ns())
        self._registry.set_keys(self._store.keys)

    async def report(self, report: ReplicaReport) -> tuple[str, ...]:
        """A replica's report; answers with the internal tokens it shall accept."""
        self._registry.report(report, time.monotonic())
        return (self._registry.internal_token,)

    async def leave(self, replica_id: str) -> None:
        """A replica's last word."""
        self._registry.leave(replica_id, time.monotonic())

    async def exchange(self, report: GatewayReport, known_version: int) -> Snapshot | None:
        """A gateway's report; answers with the snapshot, or None when it has the newest."""
        now_s = time.monotonic()
        self._registry.report_gateway(report, now_s)
        if now_s < self._settled_at_s:
            return None
        return self._registry.snapshot(known_version, now_s)

    async def create_key(self, name: str) -> str:
        """Makes a key and returns it; this is the only time that anyone sees it."""
        text, record = new_key(name, secrets.token_bytes, int(time.time()))
        self._store.add(record)
        self._registry.set_keys(self._store.keys)
        return text

    async def status(self) -> dict[str, Any]:
        """What `flotilla status` shows, as plain values."""
        now_s = time.monotonic()
        return {
            "replicas": [asdict(report) for report in self._registry.replicas(now_s)],
            "gateways": [asdict(report) for report in self._registry.gateways(now_s)],
            "keys": len(self._store.keys),
        }
