"""Makes another fleet run, as `flotilla deploy` does: the same plan, the same steps, the same lock,
the same line in the audit. One at a time.

Rules
1. Nothing is done that was not shown: whoever confirms says the seal of the plan that he saw, and
   under the lock the plan is made anew. Another seal is a refusal, and nothing is changed.
2. Nodes stay as they are: a plan is for the inventory that the running fleet was deployed on.
3. What would restart this dashboard is left to the command, which survives it.
4. A dashboard that stops gives the deploy up between two looks; Serve has a whole config, and the
   Controller goes back to the fleet that it was told of.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from cluster.inventory import Inventory
from cluster.problem import Problem
from deployments.apply import Control, Patience, Progress
from deployments.deployed import deployed_of
from deployments.errors import AnotherWriter, DeploymentError, FileInvalid
from deployments.fleet import Fleet
from deployments.ledger.notes import begun, noted
from deployments.lock import alone
from deployments.past_fleets import PastFleet, PastFleets
from deployments.plan import Verb
from deployments.serve_control import Application, user_config
from deployments.suggest import suggestions
from ops.dashboard.engine_verdict import engine_verdict
from ops.dashboard.view.deploy import DeployView, PlanView
from ops.dashboard.wanted import Wanted, again
from ops.errors import CommandNeeded, FleetUnknown, OpsError, PlanStale
from ops.plan_view import Asides, summary, text_of
from ops.planning import NOTHING_TO_DO, Proposal, carry_out, propose
from serving.snapshot import CONTROLLER_DEPLOYMENT, INGRESS_APPLICATION

Verdict = Callable[[Fleet], Awaitable[list[Problem]]]
"""What vLLM has against a fleet's engine settings."""

#: A command may be at work for hours, the Controller for the length of a look.
LOCK_PATIENCE_S = 15.0

_log = logging.getLogger(__name__)


class Deploys:
    """`home` is Flotilla's own folder on the head."""

    def __init__(
        self,
        control: Control,
        home: Path,
        verdict: Verdict = engine_verdict,
        patience: Patience | None = None,
    ) -> None:
        self._control = control
        self._home = home
        self._verdict = verdict
        self._patience = patience
        self._past = PastFleets(home)
        #: A plan for thousands of accelerators takes a core for a while.
        self._planning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        #: The last one since the dashboard began.
        self.view: DeployView | None = None

    @property
    def is_at_work(self) -> bool:
        return self._task is not None and not self._task.done()

    def past(self) -> tuple[PastFleet, ...]:
        """The fleets to go back to, newest first; the first is what runs."""
        return self._past.newest()

    def past_fleet(self, id_: str) -> Wanted:
        """Raises FleetUnknown."""
        found = next((each for each in self.past() if each.id == id_), None)
        if found is None:
            raise FleetUnknown
        return again(found)

    async def plan(self, wanted: Wanted) -> PlanView:
        """What confirming it would do. Raises FleetInvalid, PlanRefused, ServeError."""
        against = await self._verdict(wanted.fleet)
        if against:
            raise FileInvalid(wanted.placed(against))
        async with self._planning:
            proposal = await self._proposal(wanted)
            return await asyncio.to_thread(_shown, wanted, proposal)

    def begin(self, wanted: Wanted, seal: str, who: str) -> DeployView:
        """Starts it; `view` says what becomes of it. Raises AnotherWriter."""
        if self.is_at_work:
            raise AnotherWriter
        self.view = view = DeployView(f"{wanted.command} of {wanted.name}", who)
        self._task = asyncio.create_task(self._run(wanted, seal, view))
        return view

    async def close(self) -> None:
        """Gives up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, wanted: Wanted, seal: str, view: DeployView) -> None:
        try:
            done = await self._make_run(wanted, seal, view.who)
        except (DeploymentError, OpsError, OSError) as error:
            self._end(str(error), is_well=False)
        except Exception as error:  # noqa: BLE001 - the boundary of the task: its end is shown
            self._end(f"{type(error).__name__}: {error}", is_well=False)
            _log.exception("a deploy failed")
        else:
            self._end("done: the fleet runs" if done else NOTHING_TO_DO, is_well=True)

    async def _make_run(self, wanted: Wanted, seal: str, who: str) -> bool:
        """Whether anything was to do."""
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, alone(LOCK_PATIENCE_S))
            proposal = await self._proposal(wanted)
            if proposal.seal != seal:
                raise PlanStale
            act = begun(wanted.command, wanted.name, wanted.digest)
            note = stack.enter_context(noted(self._home, who, act))

            def report(progress: Progress) -> None:
                self._tell(progress, note.steps)

            return bool(await carry_out(self._control, proposal, report, self._patience))

    def _tell(self, progress: Progress, taken: list[str]) -> None:
        if progress.took_s is not None:
            taken.append(progress.step.words)
        if self.view is not None:
            self.view = self.view.after(progress)

    def _end(self, outcome: str, *, is_well: bool) -> None:
        if self.view is not None:
            self.view = self.view.ended(outcome, is_well=is_well)

    async def _proposal(self, wanted: Wanted) -> Proposal:
        """Raises CommandNeeded, ServeError."""
        inventory = _inventory(await self._control.applications())
        proposal = await propose(self._control, wanted.fleet, inventory, self._home)
        if proposal.plan.dashboard.verb is not Verb.KEEP:
            raise CommandNeeded("it moves this dashboard, or changes what it was told of gateways")
        return proposal


def _inventory(applications: dict[str, Application]) -> Inventory:
    """Rule 2."""
    config = user_config(applications, INGRESS_APPLICATION, CONTROLLER_DEPLOYMENT)
    deployed = deployed_of(config)
    if deployed is None:
        raise CommandNeeded("the fleet that runs was deployed without an inventory")
    return deployed.inventory


def _shown(wanted: Wanted, proposal: Proposal) -> PlanView:
    made = proposal.plan
    hints = suggestions(proposal.situation, made) if made.blocked else []
    asides = Asides(wanted.placed(made.blocks()), tuple(wanted.notes))
    return PlanView(
        text=text_of(wanted.fleet, made, hints, asides),
        summary=summary(made),
        seal=proposal.seal,
        is_blocked=bool(made.blocked),
        is_nothing=proposal.is_done,
    )
