"""The Controller's registry and the line of gateways to it, without Ray."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from serving.gateway.core import GatewayCore
from serving.gateway.inquest import Interrupted, unless
from serving.registry import Registry
from serving.snapshot import GatewayReport, Snapshot
from tests.fakes import TOKEN, FakeReplica
from tests.faults.site import LIMITED_KEY, Site


class Control:
    """Answers with what is new, or when there is something."""

    def __init__(self, replicas: Sequence[FakeReplica]) -> None:
        #: Above what gateways were told before.
        self.registry = Registry(TOKEN, version=1_000)
        self.registry.set_keys((LIMITED_KEY,))
        self._news = asyncio.Event()
        self._replicas = replicas

    @asynccontextmanager
    async def leads(self, *sites: Site) -> AsyncIterator[None]:
        """These gateways hear what it knows and it hears what they know."""
        for replica in self._replicas:
            self.registry.report(replica.report(), 0.0)
        lines = [asyncio.create_task(self._line(site.core)) for site in sites]
        for site in sites:
            while site.core.version < self.registry.version:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        try:
            yield
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)

    async def _line(self, core: GatewayCore) -> None:
        """As the gateway's deployment does it."""
        while True:
            report = GatewayReport(f"{id(core)}", "n", 0, "", deaths=core.inquest.deaths())
            with contextlib.suppress(Interrupted):
                answer = self._exchange(report, core.version)
                core.apply_snapshot(await unless(core.inquest.has_news, answer))

    async def _exchange(self, report: GatewayReport, known_version: int) -> Snapshot:
        before = self.registry.version
        self.registry.report_gateway(report, 0.0)
        if self.registry.version != before:
            self._news.set()
            self._news = asyncio.Event()
        while (snapshot := self.registry.snapshot(known_version, 0.0)) is None:
            await self._news.wait()
        return snapshot
