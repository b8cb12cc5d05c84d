"""The loop that keeps a fleet in step with demand and nodes: looks, lets `reconcile` decide, tells
Serve. Holds no policy.

It writes only while it has the lock that commands take, so a deploy and this loop never write at
the same time. What it remembers is in a file before Serve hears of it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deployments.apply import Control, configs_of, trimmed
from deployments.autoscale import LOOK_PERIOD_S
from deployments.dashboard import OWN_APPLICATIONS
from deployments.deployed import Deployed
from deployments.errors import AnotherWriter, DeploymentError
from deployments.event import Kind
from deployments.ledger.acts import Order, RestartReplica
from deployments.lock import alone
from deployments.need import Facts
from deployments.observation import Reports, Tally, observe, ready_in, tallied
from deployments.order import refusal, remembered
from deployments.outlook import Starts, outlooks
from deployments.reconcile import Memory, Observed, Outcome, reconcile
from deployments.render import render
from deployments.running import addresses_of
from deployments.scaling_state import ScalingState, restored, stored
from deployments.serve_control import Application, Status
from deployments.steps import Config, Step, applications_of
from serving.keystore import write_private
from serving.snapshot import Outlook

#: A replica that is not up by then will not be: a large model from a cold disk takes minutes.
START_LIMIT_S = 1800.0
#: Between two steps of one change, so that Serve and everyone else in this process has a turn.
STEP_PERIOD_S = 0.5
#: Decisions that are shown.
HISTORY = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Senses:
    """What the loop looks with; each may be slow, none may hang."""

    control: Control
    reports: Callable[[], Reports]
    #: The addresses of the nodes that live; None when nobody knows.
    live: Callable[[], frozenset[str] | None]
    #: What is wrong with each suspect node, by its address.
    suspects: Callable[[], Mapping[str, str]]
    facts: Callable[[Deployed], Mapping[str, Facts]]
    #: Seconds of a wall clock: they outlive this process.
    now_s: Callable[[], float]


@dataclass(slots=True)
class Autoscaler:
    """Of one fleet; `deployed` may be replaced at any time."""

    deployed: Deployed
    path: Path
    senses: Senses
    #: Told to gateways.
    tell: Callable[[tuple[Outlook, ...]], None]
    #: Writes down what was decided: of what kind, for what, and why.
    note: Callable[[Kind, str, str], None]
    _memory: Memory = field(default_factory=Memory)
    #: Of which fleet, and its facts: large checkpoints have many files, so they are read once.
    _known: tuple[Deployed, Mapping[str, Facts]] | None = None
    _tallies: tuple[Tally, ...] = ()
    _starts: Starts = field(default_factory=Starts)
    #: The last config of each application, for those that stop.
    _configs: dict[str, Config] = field(default_factory=dict)
    #: That were failing at the last look.
    _failed: frozenset[str] = frozenset()
    _why: Mapping[str, str] = field(default_factory=dict)
    #: That had no place at the last look, and why.
    _blocked: Mapping[str, str] = field(default_factory=dict)
    #: One look or order at a time.
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _history: deque[str] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def __post_init__(self) -> None:
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        self._memory = Memory(restored(text) or ScalingState())

    async def run(self) -> None:
        """Never returns."""
        while True:
            made = None
            try:
                made = await self.look()
            except Exception as error:  # noqa: BLE001 - the boundary of the loop: the next look is as good
                self._why = {"": f"{type(error).__name__}: {error}"}
                if not isinstance(error, DeploymentError):
                    _log.exception("a look at the fleet failed")
            is_at_work = made is not None and made.step is not None
            await asyncio.sleep(STEP_PERIOD_S if is_at_work else LOOK_PERIOD_S)

    async def look(self) -> Outcome | None:
        """Looks once, and takes at most one step; None while somebody else writes. Raises
        ServeError.
        """
        async with self._turn:
            reports, now_s = self.senses.reports(), self.senses.now_s()
            self._tallies = tallied(self._tallies, reports, now_s)
            try:
                with alone(patience_s=0):
                    return await self._act(reports, now_s)
            except AnotherWriter as other:
                self._why = {"": str(other)}
                return None

    def refusal(self, order: Order) -> str | None:
        """Why it cannot be obeyed now; None when it can."""
        reports = self.senses.reports().replicas
        return refusal(order, self.deployed.fleet, self._memory, reports)

    async def obey(self, order: Order) -> str | None:
        """Does it, or says why not; the looks that follow do the rest. Raises AnotherWriter,
        ServeError.
        """
        async with self._turn:
            with alone(patience_s=0):
                why_not = self.refusal(order)
                if why_not is not None:
                    return why_not
                if isinstance(order, RestartReplica):
                    # What is missing is started again by the next look.
                    await self._take_away(order.replica)
                self._memory = remembered(order, self._memory, self.senses.now_s())
                write_private(self.path, stored(self._memory.scaling))
        return None

    async def _take_away(self, replica: str) -> None:
        configs = configs_of(await self.senses.control.applications())
        rest = [config for name, config in configs.items() if name != replica]
        whole = render(self.deployed.fleet, {}, self.deployed.inventory)
        await self.senses.control.put({**whole, "applications": rest})

    @property
    def wanted(self) -> dict[str, int]:
        """Replicas of each model, as last decided."""
        return self._memory.scaling.counts()

    def status(self) -> dict[str, Any]:
        """What `flotilla status --why` shows, as plain values."""
        return {
            "counts": self.wanted,
            "why": dict(self._why),
            "blocked": dict(self._blocked),
            "history": list(self._history),
        }

    async def _act(self, reports: Reports, now_s: float) -> Outcome:
        deployed = self.deployed
        facts = await self._facts(deployed)
        applications = await self.senses.control.applications()
        observed = replace(
            self._observed(applications, now_s),
            demands=observe(deployed.fleet.served(), reports, self._tallies),
            live=self.senses.live(),
            suspects=self.senses.suspects(),
            ready=ready_in(reports),
        )
        # A third of a second for a thousand nodes, in which registrations would wait.
        made = await asyncio.to_thread(reconcile, deployed, facts, observed, self._memory, now_s)
        self._remember(made, now_s)
        if made.step is not None:
            _log.info("%s", made.step.words)
            self.note(Kind.PLACEMENT, made.step.application, _placed(made.step))
            await self.senses.control.put(made.step.config)
        self.tell(outlooks(deployed.fleet, made.memory.scaling, self._starts, now_s))
        return made

    async def _facts(self, deployed: Deployed) -> Mapping[str, Facts]:
        if self._known is None or self._known[0] is not deployed:
            self._known = deployed, await asyncio.to_thread(self.senses.facts, deployed)
        return self._known[1]

    def _observed(self, applications: dict[str, Application], now_s: float) -> Observed:
        configs = configs_of(applications)
        self._configs = {
            name: config
            for name, config in {**self._configs, **configs}.items()
            if name in applications
        }
        status = {name: each.status for name, each in applications.items()}
        up = frozenset(name for name in configs if status[name] is Status.RUNNING)
        replicas = configs.keys() - OWN_APPLICATIONS
        starting = {name for name in replicas if status[name] is Status.DEPLOYING}
        self._starts = self._starts.seen(starting, up, now_s)
        late = self._starts.late(now_s, START_LIMIT_S)
        failed = {name for name in replicas if status[name] is Status.DEPLOY_FAILED}
        causes = {name: trimmed(applications[name].cause()) for name in failed}
        self._note_failures(dict.fromkeys(late, f"not up in {START_LIMIT_S:.0f} s") | causes)
        stopping = {name: self._configs[name] for name in self._configs if name not in configs}
        return Observed(configs, stopping, up, frozenset(failed | late))

    def _note_failures(self, causes: Mapping[str, str]) -> None:
        """Each once, as long as it lasts."""
        for name in sorted(causes.keys() - self._failed):
            self.note(Kind.REPLICA, name, f"does not start: {causes[name]}")
        self._failed = frozenset(causes)

    def _note_blocks(self, blocked: Mapping[str, str]) -> None:
        """Each once, as long as it lasts."""
        for name in sorted(blocked.keys() - self._blocked.keys()):
            self.note(Kind.PLACEMENT, name, f"blocked: {blocked[name]}")
        self._blocked = blocked

    def _remember(self, made: Outcome, now_s: float) -> None:
        before, after = self._memory.scaling, made.memory.scaling
        is_changed = before.counts() != after.counts() or made.step is not None
        self._memory, self._why = made.memory, made.why
        self._note_blocks(made.blocked)
        for change in made.changes:
            _log.info("%s", change)
            self.note(
                Kind.SCALING, change.model, f"{change.before} -> {change.after}: {change.why}"
            )
            self._history.append(f"{now_s:.0f} {change}")
        if is_changed:
            write_private(self.path, stored(after))


def _placed(step: Step) -> str:
    """What the step does, and where."""
    config = applications_of(step.config).get(step.application, {})
    addresses = " ".join(addresses_of(config))
    return f"{step.action} on {addresses}" if addresses else str(step.action)
