"""Takes the steps to a desired config, one at a time, and takes the last one back when it fails.
Holds no policy.

An interrupted apply leaves a whole config behind; the next one starts from what Serve says is
running.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from deployments.errors import ServeError, ServeUnreachable, StepFailed
from deployments.held import Capacity
from deployments.serve_control import Application, Status
from deployments.steps import Action, Applications, Config, Step, applications_of, steps

#: A large model from a cold disk takes minutes.
DEFAULT_TIMEOUT_S = 600.0
POLL_PERIOD_S = 0.5
#: Serve replaces a fifth of a deployment at a time, and at least one: of nine one after the other.
STOP_ROUNDS = 9
MAX_CAUSE_CHARS = 600
#: The line of a traceback that names the exception.
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*: ")


class Control(Protocol):
    """What apply needs of Serve."""

    async def applications(self) -> dict[str, Application]: ...

    async def put(self, config: Config) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a step may take besides a drain, and how often to look."""

    timeout_s: float = DEFAULT_TIMEOUT_S
    poll_s: float = POLL_PERIOD_S


@dataclass(frozen=True, slots=True)
class Progress:
    """A step that has begun (`took_s` is None) or has ended well."""

    step: Step
    number: int
    total: int
    took_s: float | None = None

    @property
    def words(self) -> str:
        """The step and where it stands."""
        return f"[{self.number}/{self.total}] {self.step.words}"


async def apply(
    control: Control,
    desired: Config,
    report: Callable[[Progress], None],
    *,
    capacity: Capacity | None = None,
    patience: Patience | None = None,
) -> list[Step]:
    """Makes `desired` run and returns the steps it took; `capacity` is what nodes have. Raises
    StepFailed, ServeError.
    """
    applications = await control.applications()
    current = configs_of(applications)
    taken = steps(current, desired, given_up(applications), capacity)
    waiter = _Waiter(control, patience or Patience())
    before: Config = {**desired, "applications": list(current.values())}
    for number, step in enumerate(taken, start=1):
        began_s = time.monotonic()
        report(Progress(step, number, len(taken)))
        await _take(control, waiter, step, before)
        before = step.config
        report(Progress(step, number, len(taken), time.monotonic() - began_s))
    for name in applications_of(desired):
        await waiter.running(name)
    return taken


async def _take(control: Control, waiter: "_Waiter", step: Step, before: Config) -> None:
    try:
        await _put(control, step)
        if step.action is Action.REMOVE:
            await waiter.gone(step.application, _stop_s(before, step.application))
        else:
            await waiter.running(step.application, _stop_s(before, step.application))
    except StepFailed as failure:
        if step.action is Action.REMOVE:
            raise
        is_back = await _roll_back(control, waiter, step, before)
        raise StepFailed(step.application, failure.cause, is_rolled_back=is_back) from failure


async def _put(control: Control, step: Step) -> None:
    """Raises StepFailed: a PUT that was not answered may have been taken all the same."""
    try:
        await control.put(step.config)
    except ServeUnreachable as error:
        raise StepFailed(step.application, str(error), is_rolled_back=False) from error


async def _roll_back(control: Control, waiter: "_Waiter", step: Step, before: Config) -> bool:
    try:
        await control.put(before)
        if step.action is Action.ADD:
            await waiter.gone(step.application, _stop_s(step.config, step.application))
        else:
            await waiter.running(step.application, _stop_s(step.config, step.application))
    except (StepFailed, ServeError):
        return False
    return True


class _Waiter:
    def __init__(self, control: Control, patience: Patience) -> None:
        self._control = control
        self._timeout_s = patience.timeout_s
        self._poll_s = patience.poll_s

    async def running(self, name: str, stop_s: float = 0) -> None:
        """Waits until it runs; `stop_s` is for what has to stop first. Raises StepFailed."""
        await self._until(name, _runs, self._timeout_s + stop_s)

    async def gone(self, name: str, stop_s: float) -> None:
        """Waits until the application is no more. Raises StepFailed."""
        await self._until(name, lambda application: application is None, self._timeout_s + stop_s)

    async def _until(
        self, name: str, done: Callable[[Application | None], bool], patience_s: float
    ) -> None:
        deadline_s = time.monotonic() + patience_s
        cause = "Serve does not answer"
        # Serve answers a PUT after it has taken it up, so the first look sees no old state.
        while time.monotonic() < deadline_s:
            try:
                application = (await self._control.applications()).get(name)
            except ServeError as error:
                # A busy head answers late; the deadline decides.
                cause = str(error)
            else:
                if done(application):
                    return
                cause = _cause(name, application)
            await asyncio.sleep(self._poll_s)
        late = f"not done after {patience_s:.0f} s"
        raise StepFailed(name, f"{late}: {cause}" if cause else late, is_rolled_back=False)


def _cause(name: str, application: Application | None) -> str:
    """Why the wait goes on. Raises StepFailed when there is nothing to wait for."""
    if application is None:
        return "Serve does not know it"
    cause = trimmed(application.cause()) or f"Serve calls it {application.status}"
    if application.status is Status.DEPLOY_FAILED:
        raise StepFailed(name, cause, is_rolled_back=False)
    return cause


def _runs(application: Application | None) -> bool:
    return application is not None and application.status is Status.RUNNING


def trimmed(said: str) -> str:
    """The exception at the end of Serve's message without the traceback before it, on one line."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    named = [at for at, line in enumerate(lines) if EXCEPTION.match(line)]
    last = lines[named[-1] :] if named else lines[-1:]
    return " ".join(line.strip() for line in last)[:MAX_CAUSE_CHARS]


def configs_of(applications: Mapping[str, Application]) -> Applications:
    """The configs that applications were last given, by name."""
    return {name: app.config for name, app in applications.items() if app.config is not None}


def given_up(applications: Mapping[str, Application]) -> list[str]:
    """Those that Serve does not start again for the same config."""
    return [name for name, app in applications.items() if app.status is Status.DEPLOY_FAILED]


def _stop_s(config: Config, name: str) -> float:
    """How long an application may take to stop, by its own config: Serve takes a part of a
    deployment after the other.
    """
    application = applications_of(config).get(name, {})
    stops = (
        each.get("graceful_shutdown_timeout_s", 0) * each.get("num_replicas", STOP_ROUNDS)
        for each in application.get("deployments", ())
    )
    return max((float(stop) for stop in stops), default=0.0)
