"""Looks at the fleet again and again, once for all who watch, and tells each what is new to him."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Mapping

from ops.dashboard.facts import Facts
from ops.dashboard.html.fragment import Panel, differences
from ops.dashboard.html.page import panels
from ops.dashboard.source import Source
from ops.dashboard.view.page import Page, page

#: Between two looks while somebody watches; a dead replica is to be red within five seconds.
LOOK_PERIOD_S = 1.0
#: A page of a look this old is made anew for who comes.
FRESH_S = 1.5
MOST_VIEWERS = 64
#: Pages that have not asked for news yet; one that comes later is told everything.
MOST_HANDED_OUT = 16

_log = logging.getLogger(__name__)


class Watch:
    def __init__(self, source: Source, period_s: float = LOOK_PERIOD_S) -> None:
        self._source = source
        self._period_s = period_s
        self._viewers = 0
        self._looked_s = float("-inf")
        self._looking = asyncio.Lock()
        #: Set by the first viewer, and replaced with each look.
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()
        self.page: Page = page(Facts(0.0))
        self.panels: dict[str, Panel] = {}
        #: What pages were given, by their tickets.
        self._handed_out: dict[str, dict[str, Panel]] = {}

    @property
    def key_names(self) -> Mapping[str, str]:
        """The names of keys by their ids."""
        return {key.id: key.name for tenant in self.page.tenants for key in tenant.keys}

    @property
    def is_full(self) -> bool:
        return self._viewers >= MOST_VIEWERS

    async def run(self) -> None:
        """Never returns; looks only while somebody watches."""
        while True:
            await self._wanted.wait()
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - the boundary of the loop: the next look is as good
                _log.exception("a look at the fleet failed")
            await asyncio.sleep(self._period_s)

    async def fresh(self) -> dict[str, Panel]:
        """The panels of a look that is hardly over."""
        if asyncio.get_running_loop().time() - self._looked_s > FRESH_S:
            await self.look()
        return self.panels

    async def hand_out(self) -> tuple[str, dict[str, Panel]]:
        """The same for a page, with a ticket for the news since. A ticket is for one time: after a
        lost connection nobody knows what the page has.
        """
        ticket, panels = secrets.token_hex(8), await self.fresh()
        self._handed_out[ticket] = panels
        if len(self._handed_out) > MOST_HANDED_OUT:
            del self._handed_out[next(iter(self._handed_out))]
        return ticket, panels

    async def look(self) -> None:
        """Looks once; who waits for news hears of it."""
        async with self._looking:
            facts = await self._source.facts()
            self.page, self.panels = await asyncio.to_thread(_shown, facts)
            self._looked_s = asyncio.get_running_loop().time()
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, ticket: str = "") -> AsyncGenerator[str, None]:
        """The HTML of what changed since the page with this ticket was made, for one viewer; with a
        ticket that nobody knows, first of everything. One who reads slowly misses looks and nothing
        else.
        """
        known = self._handed_out.pop(ticket, {})
        self._viewers += 1
        self._wanted.set()
        try:
            while True:
                news, now = self._news, self.panels
                for html in differences(known, now):
                    yield html
                known = now
                await news.wait()
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._wanted.clear()


def _shown(facts: Facts) -> tuple[Page, dict[str, Panel]]:
    made = page(facts)
    return made, panels(made)
