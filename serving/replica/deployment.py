"""The Serve deployment of one replica: starts the gang, serves its port, says when it is ill,
drains, goes.

Rules
1. Ready means proven: the engine has made a token and the Controller knows the address.
2. The first sign of death (engine, follower, server) takes the replica off the Controller's list
   and ends this process at once. Serve then replaces the gang as a whole; the warden removes what
   is left of it.
3. A drain tells the Controller first, finishes what runs within the grace, then stops the engine. A
   dead engine is not drained: its accelerators come free at once.
4. Who died soon after its start, several times in a row, waits before it starts again.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import REGISTRY
from ray import serve
from ray.serve import Application

from serving.metrics import families
from serving.metrics.exposition import Reading, Readings
from serving.replica.engine import Engine, set_environment, stage_argv
from serving.replica.errors import EngineFailed, GangFailed
from serving.replica.facts import token_facts
from serving.replica.gang import Gang
from serving.replica.guard import Guard
from serving.replica.network import interface_of, node_address
from serving.replica.past import Past
from serving.replica.port import Port
from serving.replica.registration import REPORT_PERIOD_S, Registration
from serving.replica.spec import ReplicaSpec
from serving.replica.tally import Tally
from serving.replica.telling import Telling
from serving.replica.warden import guard_this_process
from serving.replica.weights import located
from serving.serve_log import join_serve_log
from serving.snapshot import Load, Phase, ReplicaReport, TokenFacts

#: 405B from a shared filesystem takes half an hour; anything longer hangs.
START_DEADLINE_S = 2400.0
WATCH_PERIOD_S = 0.1
#: A gateway learns of a drain with its next snapshot; until then it may still send.
NOTICE_S = 4 * REPORT_PERIOD_S
#: Exit status of a replica that found itself dead; Serve starts another.
EXIT_DEAD = 70

logger = logging.getLogger(__name__)


class Replica:
    """One engine with all its stages behind one HTTP port."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, args: dict[str, Any]
    ) -> None:
        join_serve_log()
        self._spec = ReplicaSpec.from_args(args)
        self._id = f"{self._spec.application}#{secrets.token_hex(4)}"
        self._node = node_address()
        self._phase = Phase.STARTING
        self._facts: TokenFacts | None = None
        self._engine: Engine | None = None
        self._port: Port | None = None
        self._watch: asyncio.Task[None] | None = None
        self._registration = Registration(self._report, self._accept_tokens)
        accelerators = self._spec.tensor * self._spec.pipeline
        self._tally = Tally(self._id, accelerators, time.monotonic)
        self._telling = Telling(self._tally, self._registration.record_counts)
        self._warden = guard_this_process()
        self._past = Past.of(self._spec, time.time)
        await self._pause()
        set_environment(self._spec, self._node, interface_of(self._node), self._warden.folder)
        # It configures none itself: see `set_environment`.
        join_serve_log(["vllm"], os.environ["VLLM_LOGGING_LEVEL"].upper())
        here = await asyncio.to_thread(located, self._spec, self._node)
        self._gang = await Gang.form(self._spec)
        engine = self._engine = await self._start_engine(here)
        self._guard = Guard(engine.app, self._id)
        # Where vLLM's own are, on the port that the guard watches.
        REGISTRY.register(Readings(self._readings))
        self._watch = asyncio.create_task(self._watch_for_death(engine))
        await engine.prove()
        await asyncio.to_thread(self._warden.look)
        self._facts = await asyncio.to_thread(token_facts, engine.tokenizer)
        self._port = await Port.open(self._guard, self._node)
        engine.attach(self._port.server)
        self._phase = Phase.READY
        await self._registration.join()
        await asyncio.to_thread(self._past.is_ready)
        self._teller = asyncio.create_task(self._telling.run())

    async def check_health(self) -> None:
        """Raises when the engine is dead; the watch ends the process before most checks see it."""
        if self._engine is None or self._engine.is_dead:
            raise EngineFailed(f"the engine of {self._id} is dead")
        if self._watch is None or self._watch.done():
            raise EngineFailed(f"nobody watches over the engine of {self._id}")

    async def __del__(self) -> None:
        """Drains, then stops. Serve awaits this within the graceful shutdown timeout."""
        engine = self._engine
        if engine is None or engine.is_dead:
            return
        if self._port is not None:
            self._phase = Phase.DRAINING
            await self._registration.report()
            await self._drain()
            await self._telling.farewell()
            await self._registration.leave(self._id)
        self._past.end()
        if self._watch is not None:
            self._watch.cancel()
        if self._port is not None:
            await self._port.close()
        await asyncio.to_thread(self._warden.look)
        await engine.stop()
        self._gang.release()

    async def _pause(self) -> None:
        life = self._past.life
        if life.pause_s:
            words = "%s died %d times in a row soon after its start; it starts again in %.0f s"
            logger.error(words, self._spec.application, life.short_lives, life.pause_s)
            await asyncio.sleep(life.pause_s)

    async def _start_engine(self, here: ReplicaSpec) -> Engine:
        """Starts the leader's engine; a stage lost meanwhile fails the start at once."""
        rendezvous = self._gang.run()
        starting = asyncio.create_task(Engine.start(stage_argv(here, rendezvous), self._tally))
        lost = asyncio.create_task(self._gang.lost())
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({starting, lost}, timeout=START_DEADLINE_S, return_when=first)
        if starting.done():
            lost.cancel()
            return await starting
        starting.cancel()
        if lost.done():
            raise GangFailed(lost.result())
        raise EngineFailed(f"the engine did not start in {START_DEADLINE_S:.0f} s")

    async def _watch_for_death(self, engine: Engine) -> None:
        lost = asyncio.create_task(self._gang.lost())
        # vLLM and uvicorn tell their end by a flag only.
        while not (engine.is_dead or lost.done() or self._is_port_closed()):  # noqa: ASYNC110
            await asyncio.sleep(WATCH_PERIOD_S)
        cause = lost.result() if lost.done() else "the engine or its server died"
        logger.error("%s ends: %s", self._id, cause)
        await self._registration.leave(self._id)
        os._exit(EXIT_DEAD)

    def _is_port_closed(self) -> bool:
        return self._port is not None and self._port.is_closed

    async def _drain(self) -> None:
        await asyncio.sleep(NOTICE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._spec.grace_s):
                await self._guard.idle.wait()

    def _accept_tokens(self, tokens: tuple[str, ...]) -> None:
        self._guard.accept_tokens(tokens)

    def _readings(self) -> Iterator[Reading]:
        yield Reading(families.REPLICA_IN_FLIGHT, self._guard.in_flight)
        yield Reading(families.REPLICA_LOST_COUNTS, self._tally.lost_counts)

    def _report(self) -> ReplicaReport:
        return ReplicaReport(
            replica_id=self._id,
            application=self._spec.application,
            replica_set=self._spec.replica_set,
            node=self._node,
            stages=self._gang.addresses,
            address=self._port.address if self._port else "",
            served_name=self._spec.served_name,
            phase=self._phase,
            window_tokens=self._spec.window_tokens,
            facts=self._facts,
            load=self._engine.load() if self._engine else Load(),
            most_running=self._engine.most_running if self._engine else 0,
            pid=os.getpid(),
        )


def application(args: dict[str, Any]) -> Application:
    """Builds the application from the `args` of a rendered Serve config."""
    return serve.deployment(name="Replica")(Replica).bind(args)
