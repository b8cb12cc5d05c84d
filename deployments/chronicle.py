"""Keeps the chronicle of a fleet: looks once a second, writes down what has changed, and takes down
what others have decided. Holds no policy.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from deployments.event import Event, Kind, Sight, events_between, told_of
from deployments.event_log import EventLog
from deployments.fleet import Fleet
from deployments.past_fleets import PastFleets

LOOK_PERIOD_S = 1.0


class Chronicle:
    """`look` gives None while nobody can say what there is."""

    def __init__(self, folder: Path, look: Callable[[], Sight | None]) -> None:
        self._log = EventLog(folder)
        self._past = PastFleets(folder)
        self._look = look
        self._seen: Sight | None = None
        self._fleet: Fleet | None = None
        self._keeping: asyncio.Task[None] | None = None

    def keep(self) -> None:
        """Begins to look, unless it does already; raises RuntimeError when it has stopped."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._run())
        elif self._keeping.done():
            raise RuntimeError("events are no longer written down")

    def note(self, kind: Kind, subject: str, text: str) -> None:
        """Writes down what somebody has decided or found."""
        self._log.add([Event(time.time(), kind, subject, text)])

    def deployed(self, fleet: Fleet) -> None:
        """Writes down what a deploy changes; a Controller that starts is told of what was there."""
        before, self._fleet = self._fleet, fleet
        self._past.add(fleet, time.time())
        text = told_of(before, fleet)
        if before is not None and text is not None:
            self.note(Kind.DEPLOY, "fleet", text)

    def recent(self) -> tuple[Event, ...]:
        """The newest events, oldest first."""
        return self._log.recent()

    def look(self) -> None:
        """Looks once."""
        sight = self._look()
        if sight is None:
            return
        if self._seen is None:
            there = f"sees {len(sight.replicas)} replicas, {len(sight.gateways)} gateways"
            self.note(Kind.CONTROLLER, "Controller", f"began; {there}")
        else:
            self._log.add(events_between(self._seen, sight, time.time()))
        self._seen = sight

    async def close(self) -> None:
        """Stops looking."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_PERIOD_S)
