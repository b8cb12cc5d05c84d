"""Holds one run together: the upstream, the cores, the rivals one after another in each round.

A rival is started, measured under every load and stopped before the next one starts: an idle Ray
takes a visible share of a core. Rounds repeat the whole row, so that a machine that grows slower
does so for all of them.
"""

import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from ops.bench import child, proc, venv
from ops.bench.child import ROOT
from ops.bench.errors import BenchError
from ops.bench.load import drive
from ops.bench.rivals.rival import LOOPBACK, Rival, Site
from ops.bench.sample import Mark, Sample, sample
from ops.bench.shape import Shape, Target, Window
from ops.bench.steady import Steady, post
from ops.bench.upstream import PAUSE_PATH
from serving import keys

MODEL = "tiny"

_VENVS = ROOT / ".bench"
#: HAProxy refuses a socket with a path of 98 bytes or more, and Serve puts 68 of its own in it.
_SHORT = "/tmp"  # noqa: S108 - the folder made there has a random name and is ours alone
_START_LIMIT_S = 180.0
#: Less than this share of a core, this often in a row: on a busy machine one look proves little.
_QUIET = 0.1
_QUIET_ENOUGH = 3
_QUIET_POLL_S = 0.25
_QUIET_POLLS = 240


@dataclass(frozen=True)
class Cores:
    gateway: int
    load: int
    upstream: int


@dataclass(frozen=True)
class Plan:
    """What to measure, and how long."""

    rivals: tuple[Rival, ...]
    shapes: tuple[Shape, ...]
    window: Window
    rounds: int
    cores: Cores


@dataclass(frozen=True)
class Gate:
    """A gateway that is up: where it is, and which processes are its own."""

    target: Target
    family: Callable[[], tuple[proc.Process, ...]]


Say = Callable[[str], None]


class Rig:
    """The parts that live as long as the run."""

    def __init__(self, plan: Plan, scratch: Path, upstream: child.Child, port: int) -> None:
        self._plan = plan
        self._scratch = scratch
        self._upstream = upstream
        self._started = 0
        self._key, _ = keys.new_key("bench", secrets.token_bytes, int(time.time()))
        self._direct = Target(port, MODEL, self._key)

    def measure(self, rival: Rival, say: Say) -> Iterator[Sample]:
        """Every load on this rival, once."""
        with self._up(rival) as gate:
            for shape in self._plan.shapes:
                say(f"{rival.name}: {shape.name}")
                self._settle(rival, gate)
                yield self._sample(rival, gate, shape)

    @contextmanager
    def _up(self, rival: Rival) -> Iterator[Gate]:
        if rival.launch is None:
            yield Gate(self._direct, tuple)
            return
        site = self._site(rival)
        launch = rival.launch(site)
        core, log = self._plan.cores.gateway, site.scratch / "log"
        with child.running(launch.argv, env=launch.env, core=core, log=log) as process:
            target = Target(site.port, MODEL, self._key)
            process.wait_until(Steady(target), _START_LIMIT_S)
            yield Gate(target, process.family)

    def _site(self, rival: Rival) -> Site:
        port, *spare = free_ports(4)
        self._started += 1
        scratch = self._scratch / str(self._started)
        scratch.mkdir()
        return Site(
            python=interpreter(rival),
            port=port,
            upstream_urls=(f"http://{self._direct.host}:{self._direct.port}",),
            model=MODEL,
            key=self._key,
            scratch=scratch,
            spare_ports=(spare[0], spare[1], spare[2]),
        )

    def _settle(self, rival: Rival, gate: Gate) -> None:
        """Waits for the work left over from the load before; not for ever, some never rest."""
        pids = proc.counted(gate.family(), rival.counted)
        quiet, before = 0, proc.cpu_s(pids)
        for _ in range(_QUIET_POLLS):
            time.sleep(_QUIET_POLL_S)
            now = proc.cpu_s(pids)
            quiet = quiet + 1 if now - before < _QUIET * _QUIET_POLL_S else 0
            before = now
            if quiet == _QUIET_ENOUGH:
                return

    def _sample(self, rival: Rival, gate: Gate, shape: Shape) -> Sample:
        post(self._direct, f"{PAUSE_PATH}?ms={shape.pause_ms}", b"")
        everything = gate.family()
        gateway, family = proc.counted(everything, rival.counted), proc.counted(everything, ())
        upstream = (self._upstream.process.pid,)

        def probe() -> Mark:
            return Mark(
                gateway_s=proc.cpu_s(gateway),
                family_s=proc.cpu_s(family),
                load_s=time.process_time(),
                upstream_s=proc.cpu_s(upstream),
                gateway_core_s=proc.core_busy_s(self._plan.cores.gateway),
                load_core_s=proc.core_busy_s(self._plan.cores.load),
            )

        try:
            measured = uvloop.run(drive(gate.target, shape, self._plan.window, probe))
        except OSError as error:
            raise BenchError(f"{shape.name}: cannot connect ({error})") from error
        shares_core = self._plan.cores.load == self._plan.cores.upstream
        return sample(rival.name, shape, measured, shares_core=shares_core)


@contextmanager
def set_up(plan: Plan) -> Iterator[Rig]:
    """Pins this process, which makes the load, and starts the upstream."""
    os.sched_setaffinity(0, {plan.cores.load})
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="fb-", dir=_SHORT))
        scratch, (port,) = Path(place), free_ports(1)
        argv = (sys.executable, "-m", "ops.bench.upstream", "--port", str(port), "--model", MODEL)
        running = child.running(argv, env={}, core=plan.cores.upstream, log=scratch / "upstream")
        upstream = stack.enter_context(running)
        upstream.wait_until(Steady(Target(port, MODEL)), _START_LIMIT_S)
        yield Rig(plan, scratch, upstream, port)


def run(plan: Plan, say: Say) -> tuple[tuple[Sample, ...], dict[str, str]]:
    """The samples of all rounds, and why a rival is missing from them."""
    samples: list[Sample] = []
    skipped: dict[str, str] = {}
    with set_up(plan) as rig:
        for number in range(1, plan.rounds + 1):
            for rival in plan.rivals:
                if rival.name in skipped:
                    continue
                say(f"round {number} of {plan.rounds}: {rival.name}")
                try:
                    samples.extend(rig.measure(rival, say))
                except BenchError as error:
                    skipped[rival.name] = str(error)
                    say(f"skipped {rival.name}: {error}")
    return tuple(samples), skipped


def interpreter(rival: Rival) -> Path:
    """The Python that has the rival's packages, installed now if they are not there."""
    if not rival.packages:
        return Path(sys.executable)
    return venv.ensure(_VENVS / (rival.home or rival.name), rival.packages)


def free_ports(count: int) -> tuple[int, ...]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind((LOOPBACK, 0))
        return tuple(listener.getsockname()[1] for listener in listeners)
