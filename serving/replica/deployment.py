"""The Serve deployment of one replica: starts the gang, serves its port, says when it is ill,
drains, goes.

Rules
1. Ready means proven: the engine has made a token and the Controller knows the address.
2. The first sign of death (engine, follower, server) takes the replica off the Controller's list
   and ends this process at once. Serve then replaces the gang as a whole; the warden removes what
   is left of it.
3. A drain tells the Controller first, finishes what runs within the grace, then stops the engine. A
   dead engine is not drained: its accelerators come free at once.
"""

import asyncio
import contextlib
import logging
import os
import secrets
from typing import Any

import uvicorn
from ray import serve
from ray.serve import Application

from serving.replica.engine import Engine, set_environment, stage_argv
from serving.replica.errors import EngineFailed, GangFailed
from serving.replica.facts import token_facts
from serving.replica.gang import Gang
from serving.replica.guard import Guard
from serving.replica.network import interface_of, listening_socket, node_address
from serving.replica.registration import REPORT_PERIOD_S, Registration
from serving.replica.spec import ReplicaSpec
from serving.replica.warden import guard_this_process
from serving.snapshot import Load, Phase, ReplicaReport, TokenFacts

#: 405B from a shared filesystem takes half an hour; anything longer hangs.
START_DEADLINE_S = 2400.0
WATCH_PERIOD_S = 0.1
#: Longer than the gateways keep an idle connection, so that they close first.
KEEP_ALIVE_S = 120
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
        self._spec = ReplicaSpec.from_args(args)
        self._id = f"{self._spec.application}#{secrets.token_hex(4)}"
        self._node = node_address()
        self._phase = Phase.STARTING
        self._address = ""
        self._facts: TokenFacts | None = None
        self._engine: Engine | None = None
        self._registration = Registration(self._report, self._accept_tokens)
        self._warden = guard_this_process()
        set_environment(self._spec, self._node, interface_of(self._node))
        self._gang = await Gang.form(self._spec)
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                self._engine = await self._start_engine()
                await self._engine.prove()
        except TimeoutError as late:
            raise EngineFailed(f"the engine did not start in {START_DEADLINE_S:.0f} s") from late
        await asyncio.to_thread(self._warden.look)
        self._facts = await asyncio.to_thread(token_facts, self._engine.tokenizer)
        self._guard = Guard(self._engine.app, self._id)
        await self._serve()
        self._watch = asyncio.create_task(self._watch_for_death(self._engine))
        self._phase = Phase.READY
        await self._registration.join()

    async def check_health(self) -> None:
        """Raises when the engine is dead; the watch ends the process before most checks see it."""
        if self._engine is None or self._engine.is_dead:
            raise EngineFailed(f"the engine of {self._id} is dead")

    async def __del__(self) -> None:
        """Drains, then stops. Serve awaits this within the graceful shutdown timeout."""
        engine = self._engine
        if engine is None or engine.is_dead:
            return
        self._phase = Phase.DRAINING
        await self._registration.report()
        await self._drain()
        await self._registration.leave(self._id)
        self._watch.cancel()
        self._server.should_exit = True
        await self._serving
        await asyncio.to_thread(self._warden.look)
        await engine.stop()
        self._gang.release()

    async def _start_engine(self) -> Engine:
        """Starts the leader's engine; a stage lost meanwhile fails the start at once."""
        rendezvous = self._gang.run()
        starting = asyncio.create_task(Engine.start(stage_argv(self._spec, rendezvous)))
        lost = asyncio.create_task(self._gang.lost())
        try:
            await asyncio.wait({starting, lost}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                starting.cancel()
                raise GangFailed(lost.result())
        finally:
            lost.cancel()
        return await starting

    async def _serve(self) -> None:
        config = uvicorn.Config(
            self._guard,
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        assert self._engine is not None  # noqa: S101 - narrows the type; set one line before the call
        self._engine.attach(self._server)
        sock = listening_socket(self._node)
        self._serving = asyncio.create_task(self._server.serve(sockets=[sock]))
        while not self._server.started:
            if self._serving.done():
                raise EngineFailed("the engine's HTTP server did not start")
            await asyncio.sleep(0.01)
        self._address = f"{self._node}:{sock.getsockname()[1]}"

    async def _watch_for_death(self, engine: Engine) -> None:
        lost = asyncio.create_task(self._gang.lost())
        while not (engine.is_dead or lost.done() or self._serving.done()):  # noqa: ASYNC110 - vLLM too
            await asyncio.sleep(WATCH_PERIOD_S)
        cause = lost.result() if lost.done() else "the engine or its server died"
        logger.error("%s ends: %s", self._id, cause)
        await self._registration.leave(self._id)
        os._exit(EXIT_DEAD)

    async def _drain(self) -> None:
        await asyncio.sleep(NOTICE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._spec.grace_s):
                await self._guard.idle.wait()

    def _accept_tokens(self, tokens: tuple[str, ...]) -> None:
        self._guard.accept_tokens(tokens)

    def _report(self) -> ReplicaReport:
        return ReplicaReport(
            replica_id=self._id,
            application=self._spec.application,
            replica_set=self._spec.replica_set,
            node=self._node,
            stages=self._gang.addresses,
            address=self._address,
            served_name=self._spec.served_name,
            phase=self._phase,
            window_tokens=self._spec.window_tokens,
            facts=self._facts,
            load=self._engine.load() if self._engine else Load(),
            pid=os.getpid(),
        )


def application(args: dict[str, Any]) -> Application:
    """Builds the application from the `args` of a rendered Serve config."""
    return serve.deployment(name="Replica")(Replica).bind(args)
