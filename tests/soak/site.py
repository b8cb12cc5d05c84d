"""All processes of a soak: started, struck as the schedule says, looked at, and ended."""

import asyncio
import contextlib
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from deployments.ledger.acts import Act, CreateKey, CreateTenant
from deployments.ledger.questions import Reconcile, Reply
from deployments.ledger.reconcile import Reconciliation
from serving.keys import parse
from serving.spool_part import SUFFIX as PARTS
from serving.spool_underway import SUFFIX as UNDERWAY
from tests.soak.books import Recorded, most_within
from tests.soak.engine import Ran
from tests.soak.fault import Fault, Kind, Layer
from tests.soak.pace import Pace
from tests.soak.program import Program
from tests.soak.recovery import Struck
from tests.soak.tenant import TENANTS, Account, Tenant
from tests.soak.vitals import Vitals

#: For what is on its way when nobody asks any more: answers, records, counts.
SETTLE_S = 60.0
#: Kinds that a replica is told of.
MANNERS = {
    Kind.REPLICA_SLOW: "slow",
    Kind.REPLICA_GARBLES: "garbles",
    Kind.REPLICA_CUTS: "cuts",
    Kind.REPLICA_ERRS: "errs",
    Kind.REPLICA_REFUSES: "refuses",
    Kind.REPLICA_FAILS: "fails",
}


@dataclass
class Site:
    folder: Path
    port: int
    controller: Program
    gateways: list[Program]
    replicas: list[Program]
    struck: list[Struck] = field(default_factory=list)
    #: When each gateway that was started was there; loop time.
    gateway_starts_s: list[float] = field(default_factory=list)

    @property
    def programs(self) -> list[Program]:
        return [*self.gateways, *self.replicas, self.controller]

    # Life
    async def start(self) -> list[Account]:
        """Returns the tenants with their keys. Raises Unruly."""
        await self.controller.start()
        accounts = [await self._account(tenant) for tenant in TENANTS]
        await asyncio.gather(*(each.start() for each in self.replicas))
        await asyncio.gather(*(self._start_gateway(each) for each in self.gateways))
        await self._limits_are_lent()
        return accounts

    async def _account(self, tenant: Tenant) -> Account:
        await self._perform(CreateTenant(tenant.name, tenant.weight, tenant.priority))
        key = await self._perform(CreateKey(tenant.name, tenant.name, limits=tenant.limits))
        made = parse(key)
        assert made is not None
        return Account(tenant, key, made.id)

    async def _perform(self, act: Act) -> str:
        reply: Reply = await self.controller.handle.call("perform", act, "soak")
        assert reply.refusal is None, reply.refusal
        return str(reply.value)

    async def _limits_are_lent(self) -> None:
        """A Controller lends nothing in its first seconds."""
        for each in self.gateways:
            while not await each.handle.call("has_lease"):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)

    async def _start_gateway(self, gateway: Program) -> None:
        await gateway.start()
        self.gateway_starts_s.append(asyncio.get_running_loop().time())

    async def settle(self) -> list[str]:
        """Returns when nothing is under way in any gateway; names those where that takes too
        long.
        """
        late = [each.incarnation for each in self.gateways if not await _is_idle_soon(each)]
        return [f"{name} was not idle after {SETTLE_S:.0f} s" for name in late]

    async def leave(self) -> Reconciliation:
        """All go as they would go by themselves. Raises Unruly."""
        for each in self.gateways:
            await each.leave()
        await asyncio.gather(*(each.leave() for each in self.replicas))
        today = datetime.now(UTC).date()
        question = Reconcile(str(today.replace(day=1)), str(today))
        reply: Reply = await self.controller.handle.call("answer", question)
        assert isinstance(reply.value, Reconciliation), reply.refusal
        await self.controller.leave()
        return reply.value

    def most_gateways_in_a_minute(self) -> int:
        """That were there, and that came meanwhile."""
        return len(self.gateways) + most_within(self.gateway_starts_s, 60.0)

    async def kill(self) -> None:
        for each in self.programs:
            await each.kill()
            await each.handle.close()

    # Faults
    async def suffer(self, faults: list[Fault]) -> None:
        """Each in its time, or as soon as the one before it in its layer is over."""
        began_s = asyncio.get_running_loop().time()
        layers = ([each for each in faults if each.kind.layer is layer] for layer in Layer)
        await asyncio.gather(*(self._suffer_in_turn(each, began_s) for each in layers))

    async def _suffer_in_turn(self, faults: list[Fault], began_s: float) -> None:
        loop = asyncio.get_running_loop()
        for fault in faults:
            await asyncio.sleep(max(0.0, began_s + fault.at_s - loop.time()))
            struck_s = loop.time()
            await self._strike(fault)
            self.struck.append(Struck(fault.kind, fault.target, struck_s, loop.time()))

    async def _strike(self, fault: Fault) -> None:
        """Returns when it is over."""
        kind = fault.kind
        if kind is Kind.LEDGER_AWAY:
            return await self._lock_ledger(fault.lasts_s)
        program = self._struck_by(fault)
        if kind in MANNERS:
            return await _misbehave(program, MANNERS[kind], fault.lasts_s)
        return await self._blows[kind](self, program, fault.lasts_s)

    def _struck_by(self, fault: Fault) -> Program:
        layers = {Layer.REPLICA: self.replicas, Layer.GATEWAY: self.gateways}
        return layers.get(fault.kind.layer, [self.controller])[fault.target]

    async def _kill(self, program: Program, lasts_s: float) -> None:
        await program.kill()
        await asyncio.sleep(lasts_s)
        await program.start()

    async def _stop(self, program: Program, lasts_s: float) -> None:
        program.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            program.signal(signal.SIGCONT)

    async def _kill_gateway(self, program: Program, lasts_s: float) -> None:
        await program.kill()
        await asyncio.sleep(lasts_s)
        await self._start_gateway(program)

    async def _replace(self, program: Program, _: float) -> None:
        await program.leave()
        await self._start_gateway(program)

    _blows = {  # noqa: RUF012 - never changed
        Kind.REPLICA_KILLED: _kill,
        Kind.REPLICA_STOPPED: _stop,
        Kind.GATEWAY_KILLED: _kill_gateway,
        Kind.GATEWAY_REPLACED: _replace,
        Kind.CONTROLLER_KILLED: _kill,
        Kind.CONTROLLER_STOPPED: _stop,
    }

    async def _lock_ledger(self, lasts_s: float) -> None:
        with contextlib.closing(sqlite3.connect(self._ledger, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(lasts_s)
            holder.execute("ROLLBACK")

    # What is on disk
    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def _ledger(self) -> Path:
        return self.home / "ledger.sqlite"

    @property
    def _spool(self) -> Path:
        return self.home / "spool"

    def spooled(self) -> list[str]:
        """Parts of spools with lines that nobody has brought to the ledger."""
        paths = [*self._spool.glob(f"*{PARTS}"), *self._spool.glob(f"*{UNDERWAY}")]
        return sorted(path.name for path in paths if path.read_bytes().strip(b"\0"))

    def ran(self) -> list[Ran]:
        """What engines did; the last line of one that was killed may be half there."""
        lines = [
            line
            for path in sorted(self.folder.glob("*.ran"))
            for line in path.read_bytes().splitlines()
        ]
        return [msgspec.json.decode(line, type=Ran) for line in lines if line.endswith(b"}")]

    def recorded(self) -> tuple[list[Recorded], tuple[int, int]]:
        """The ledger's rows, and the sums of its days: requests and completion tokens."""
        with contextlib.closing(sqlite3.connect(self._ledger)) as ledger:
            rows = ledger.execute(_ROWS).fetchall()
            sums = ledger.execute(_SUMS).fetchone()
        return [Recorded(*row) for row in rows], (int(sums[0]), int(sums[1]))


_ROWS = (
    "SELECT request_id, key_id, outcome, completion_tokens, replica_id, source, started_s, "
    "attempts FROM usage"
)
_SUMS = "SELECT coalesce(sum(requests), 0), coalesce(sum(completion_tokens), 0) FROM usage_daily"


async def _is_idle_soon(gateway: Program) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            while not await _is_idle(gateway):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
            return True
    return False


async def _is_idle(gateway: Program) -> bool:
    vitals: Vitals = await gateway.handle.call("vitals")
    return vitals.is_idle


async def _misbehave(replica: Program, manner: str, lasts_s: float) -> None:
    await replica.handle.call("behave", manner)
    await asyncio.sleep(lasts_s)
    await replica.handle.call("behave", "well")


@asynccontextmanager
async def open_site(folder: Path, pace: Pace) -> AsyncIterator[Site]:
    """Nothing runs yet; whatever runs at the end is killed."""
    port = _free_port()
    home: dict[str, Any] = {"FLOTILLA_HOME": str(folder / "home")}
    site = Site(
        folder,
        port,
        Program("control", "controller", folder, environment=home),
        [
            Program("gateway", f"gateway-{number}", folder, (str(port),), home)
            for number in range(pace.gateways)
        ],
        [
            Program("replica", f"replica-{number}", folder, (str(number), str(pace.most_running)))
            for number in range(pace.replicas)
        ],
    )
    try:
        yield site
    finally:
        await site.kill()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
