"""Holds one run together: fresh engines and one router for each measurement, rounds interleaved.

The router has a core of its own; load and engines share the other. Caches start empty every time,
so that no router profits from the one before it.
"""

import http.client
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from ops.bench import child, proc
from ops.bench.errors import BenchError, DidNotStart
from ops.bench.rig import Cores, Say, free_ports, interpreter
from ops.bench.rivals.rival import LOOPBACK, Rival, Site
from ops.bench.routers import metrics, trace
from ops.bench.routers.metrics import Seen
from ops.bench.routers.outcome import Measured, Outcome, Traffic, outcome
from ops.bench.routers.replay import replay, sends
from ops.bench.routers.trace import Ask
from ops.bench.sample import Mark
from ops.bench.shape import Target
from serving import keys

MODEL = "tiny"
ENGINES = 8
#: Seconds of the modelled engines in one of the wall's: as fast as two cores carry with room.
SPEED = 5.0

_START_LIMIT_S = 90.0
_ASK_S = 2.0
#: Requests of the warm-up: enough at once that every engine gets one under any policy.
_WARM_UP = 6 * ENGINES
_WARM_UP_LIMIT_S = 20.0
_WARM_UPS = 10
#: After the last request is due: an overloaded router finishes late, but it does finish.
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What to measure; `asks` is the slice at the trace's own pace."""

    asks: tuple[Ask, ...]
    #: In the order of the tables.
    pairs: tuple[tuple[Rival, Traffic], ...]
    rounds: int
    cores: Cores


@dataclass(frozen=True)
class Engines:
    """The emulated engines' process."""

    process: child.Child
    targets: tuple[Target, ...]

    def seen(self) -> tuple[Seen, ...]:
        return tuple(metrics.seen(_get(target.port, "/metrics")) for target in self.targets)

    def are_up(self) -> bool:
        try:
            return bool(self.seen())
        except (OSError, http.client.HTTPException):
            return False


class Rig:
    """What lives as long as the run."""

    def __init__(self, plan: Plan, scratch: Path) -> None:
        self._plan = plan
        self._scratch = scratch
        self._started = 0
        self._key, _ = keys.new_key("bench", secrets.token_bytes, int(time.time()))

    def measure(self, router: Rival, traffic: Traffic) -> Outcome:
        asks = trace.hurried(self._plan.asks, traffic.load)
        if not traffic.shares_prefixes:
            asks = trace.without_shared_blocks(asks)
        with self._engines() as engines, self._router(router, engines) as (targets, process):
            self._warm_up(engines, targets)
            before = engines.seen()
            asked = sends(asks, targets[0], SPEED)
            opened = self._mark(engines, process)
            replies = uvloop.run(replay(asked, targets, _PATIENCE_S))
            used = self._mark(engines, process).since(opened)
            seen = tuple(a.since(b) for a, b in zip(engines.seen(), before, strict=True))
            return outcome(router.name, traffic, Measured(replies, seen, used, SPEED))

    @contextmanager
    def _engines(self) -> Iterator[Engines]:
        ports = free_ports(ENGINES)
        argv = (
            *(sys.executable, "-m", "ops.bench.routers.engines", "--model", MODEL),
            *("--ports", ",".join(map(str, ports)), "--speed", str(SPEED)),
        )
        log = self._place() / "engines"
        with child.running(argv, env={}, core=self._plan.cores.upstream, log=log) as process:
            engines = Engines(process, tuple(Target(port, MODEL, self._key) for port in ports))
            process.wait_until(engines.are_up, _START_LIMIT_S)
            yield engines

    @contextmanager
    def _router(
        self, router: Rival, engines: Engines
    ) -> Iterator[tuple[tuple[Target, ...], child.Child | None]]:
        if router.launch is None:
            yield engines.targets, None
            return
        site = self._site(router, engines)
        launch = router.launch(site)
        core, log = self._plan.cores.gateway, site.scratch / "log"
        with child.running(launch.argv, env=launch.env, core=core, log=log) as process:
            target = Target(site.port, MODEL, self._key)
            process.wait_until(lambda: _listens(site.port), _START_LIMIT_S)
            yield (target,), process

    def _site(self, router: Rival, engines: Engines) -> Site:
        port, *spare = free_ports(4)
        return Site(
            python=interpreter(router),
            port=port,
            upstream_urls=tuple(f"http://{LOOPBACK}:{target.port}" for target in engines.targets),
            model=MODEL,
            key=self._key,
            scratch=self._place(),
            spare_ports=(spare[0], spare[1], spare[2]),
        )

    def _place(self) -> Path:
        self._started += 1
        place = self._scratch / str(self._started)
        place.mkdir()
        return place

    def _warm_up(self, engines: Engines, targets: tuple[Target, ...]) -> None:
        """Asks until every engine has answered: a router may still be finding some of them."""
        for number in range(_WARM_UPS):
            blocks = range(_WARM_UP * number, _WARM_UP * (number + 1))
            # Ids that no trace has, and prompts too short to fill a cache block.
            asks = [Ask(0.0, 64, 16, (9_000_000 + block,)) for block in blocks]
            uvloop.run(replay(sends(asks, targets[0], SPEED), targets, _WARM_UP_LIMIT_S))
            if all(engine.requests for engine in engines.seen()):
                return
        raise DidNotStart("it never reached some of the engines")

    def _mark(self, engines: Engines, router: child.Child | None) -> Mark:
        family = proc.counted(router.family(), ()) if router else ()
        used_s = proc.cpu_s(family)
        return Mark(
            gateway_s=used_s,
            family_s=used_s,
            load_s=time.process_time(),
            upstream_s=proc.cpu_s((engines.process.process.pid,)),
            gateway_core_s=proc.core_busy_s(self._plan.cores.gateway),
            load_core_s=proc.core_busy_s(self._plan.cores.load),
        )


def run(plan: Plan, say: Say) -> tuple[tuple[Outcome, ...], dict[str, str]]:
    """The outcomes of all rounds, and why a router is missing from them."""
    outcomes: list[Outcome] = []
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="flotilla-routers-"))
        rig = Rig(plan, Path(place))
        for number in range(1, plan.rounds + 1):
            for router, traffic in plan.pairs:
                if router.name in skipped:
                    continue
                try:
                    found = rig.measure(router, traffic)
                except BenchError as error:
                    skipped[router.name] = str(error)
                    say(f"skipped {router.name}: {error}")
                    continue
                outcomes.append(found)
                say(f"round {number} of {plan.rounds}: {_line(found)}")
    return tuple(outcomes), skipped


def _line(found: Outcome) -> str:
    return (
        f"{found.router}, {found.traffic.name}: hit rate {found.hit_rate:.1%}, TTFT "
        f"{found.ttft_p50_s:.2f} / {found.ttft_p90_s:.2f} / {found.ttft_p99_s:.2f} s, "
        f"{found.requests_per_s:.2f} requests/s, spread {found.spread:.2f}, "
        f"busy {found.router_busy:.0%} {found.rig_busy:.0%} (others {found.foreign:.0%}), "
        f"late {found.late_s * 1e3:.1f} ms, errors {found.errors or 'none'}"
    )


def _listens(port: int) -> bool:
    try:
        _get(port, "/health")
    except (OSError, http.client.HTTPException):
        return False
    return True


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ASK_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
