"""Looks at the fleet again and again, once for all who watch, and tells each what is new to him."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

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
#: A page that asks for news has a look this many looks old, or is told everything.
LOOKS_KEPT = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What the panels were at one moment."""

    #: By which a page says what it has; no other look has it, whichever dashboard looked.
    id: str
    panels: Mapping[str, Panel]


NO_LOOK = Look("", {})


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
        self._looks: deque[Look] = deque([NO_LOOK], LOOKS_KEPT)

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

    @property
    def newest(self) -> Look:
        return self._looks[-1]

    async def fresh(self) -> Look:
        """A look that is hardly over."""
        if asyncio.get_running_loop().time() - self._looked_s > FRESH_S:
            await self.look()
        return self.newest

    async def look(self) -> None:
        """Looks once; who waits for news hears of it."""
        async with self._looking:
            facts = await self._source.facts()
            self.page, panels = await asyncio.to_thread(_shown, facts)
            self._looks.append(Look(secrets.token_hex(8), panels))
            self._looked_s = asyncio.get_running_loop().time()
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, has: str = "") -> AsyncGenerator[str, None]:
        """The HTML of what changed since the look with the id `has`, for one viewer; where nobody
        remembers that one, first of everything. One who reads slowly misses looks and nothing else.
        """
        known = next((look.panels for look in self._looks if look.id == has), NO_LOOK.panels)
        self._viewers += 1
        self._wanted.set()
        try:
            while True:
                news, now = self._news, self.newest.panels
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
