"""Where the dashboard's facts come from, and who does what it is asked to do: Serve's control API,
the Controller and the gateways. A part that does not answer in time is named, and its last word
stands; requests in flight have no last word: what a gateway does not tell is not shown.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from deployments.deployed import Deployed, deployed_of
from deployments.errors import AcceleratorsUnreadable
from deployments.ledger.acts import Act
from deployments.ledger.lines import UsageLine
from deployments.ledger.questions import ListAudit, ListKeys, ListTenants, Reply, SumUsage
from deployments.node_agents import Measured, NodeAgents
from deployments.serve_control import Application, ServeControl, user_config
from ops.dashboard.facts import Books, Facts
from ops.in_flight_client import InFlightClient
from ops.model_logs import lines_of, processes_of
from ops.period import first_of_month, today
from serving.snapshot import CONTROLLER_DEPLOYMENT, INGRESS_APPLICATION

#: A part that has not answered by then is busy or gone; the next look is as good.
ASK_DEADLINE_S = 3.0
#: An act may wait for a writer that is at work.
ACT_DEADLINE_S = 20.0
#: The ledger is asked seldom: keys and usage change slowly.
BOOKS_PERIOD_S = 5.0
#: So often Ray's agents measure.
MEASURED_PERIOD_S = 5.0
#: Ray's agent on the replica's node reads the file.
LOG_DEADLINE_S = 15.0
LOG_LINES = 200
RECENT_SHOWN = 100
AUDIT_SHOWN = 50


_log = logging.getLogger(__name__)


class Source(Protocol):
    async def facts(self) -> Facts: ...

    async def recent(self, most: int) -> tuple[UsageLine, ...]: ...

    async def perform(self, act: Act, who: str) -> Reply: ...

    async def log(self, application: str) -> tuple[str, ...]:
        """The end of what its processes say. Raises OpsError, DeploymentError, TimeoutError."""


class FleetSource:
    """`controller` is a Serve handle."""

    def __init__(
        self,
        controller: Any,
        control: ServeControl,
        requests: InFlightClient,
        agents: NodeAgents,
    ) -> None:
        self._controller = controller
        self._control = control
        self._requests = requests
        self._agents = agents
        self._known: dict[str, Any] = {}
        self._problems: dict[str, str] = {}
        #: When what is asked for seldom is due again, by its part.
        self._due_s: dict[str, float] = {}
        #: The config that was read last, and what it says.
        self._deployed: tuple[Any, Deployed | None] = (None, None)

    async def facts(self) -> Facts:
        """Never fails, and takes no longer than two deadlines."""
        await asyncio.gather(
            self._ask("Serve", self._control.applications),
            self._ask("Controller", self._controller.status.remote),
            self._ask("requests", lambda: self.recent(RECENT_SHOWN)),
            self._ask_seldom("ledger", self._books, BOOKS_PERIOD_S),
            self._ask_seldom("accelerators", self._measured, MEASURED_PERIOD_S),
        )
        applications, controller = self._known.get("Serve", {}), self._known.get("Controller", {})
        in_flight = await self._requests.ask(controller.get("gateways", ()))
        return Facts(
            at_s=time.time(),
            applications=applications,
            controller=controller,
            deployed=self._read(applications),
            measured=self._known.get("accelerators", {}),
            books=self._known.get("ledger", Books()),
            in_flight=in_flight,
            recent=self._known.get("requests", ()),
            problems=tuple(f"{part}: {why}" for part, why in self._problems.items()),
        )

    async def recent(self, most: int) -> tuple[UsageLine, ...]:
        found: tuple[UsageLine, ...] = await self._controller.recent.remote(most)
        return found

    async def perform(self, act: Act, who: str) -> Reply:
        async with asyncio.timeout(ACT_DEADLINE_S):
            reply: Reply = await self._controller.perform.remote(act, who)
        self._due_s.pop("ledger", None)
        return reply

    async def log(self, application: str) -> tuple[str, ...]:
        async with asyncio.timeout(LOG_DEADLINE_S):
            processes = processes_of(application, await self._control.applications())
            lines = lines_of(processes, LOG_LINES, follow=False)
            return tuple([line.text async for line in lines])

    async def _ask(self, part: str, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            async with asyncio.timeout(ASK_DEADLINE_S):
                self._known[part] = await call()
        except TimeoutError:
            self._problems[part] = f"no answer within {ASK_DEADLINE_S:.0f} s"
        except Exception as error:  # noqa: BLE001 - Ray's errors have no common root
            self._problems[part] = (str(error).strip() or type(error).__name__).splitlines()[0]
        else:
            self._problems.pop(part, None)

    async def _ask_seldom(
        self, part: str, call: Callable[[], Awaitable[Any]], period_s: float
    ) -> None:
        now_s = time.monotonic()
        if now_s >= self._due_s.get(part, 0.0):
            self._due_s[part] = now_s + period_s
            await self._ask(part, call)

    async def _measured(self) -> dict[str, tuple[Measured, ...]]:
        """Nothing where nobody tells: an old temperature is worse than none, and no fleet is ill
        for want of one.
        """
        try:
            return await self._agents.accelerators()
        except AcceleratorsUnreadable as error:
            _log.debug("%s", error)
            return {}

    async def _books(self) -> Books:
        month = SumUsage(first_of_month(), today(), ("key",))
        questions = (ListKeys(), ListTenants(), month, ListAudit(AUDIT_SHOWN))
        answers = [await self._controller.answer.remote(each) for each in questions]
        for reply in answers:
            if reply.refusal is not None:
                raise ValueError(reply.refusal)
        return Books(*(reply.value for reply in answers))

    def _read(self, applications: dict[str, Application]) -> Deployed | None:
        """The fleet and the inventory that the Controller was given, read when they changed."""
        config = user_config(applications, INGRESS_APPLICATION, CONTROLLER_DEPLOYMENT)
        if config != self._deployed[0]:
            self._deployed = (config, deployed_of(config))
        return self._deployed[1]
