"""The Controller: the registry that replicas and gateways report to, and the owner of the ledger.

It decides nothing about a request; when it is away gateways go on with their last snapshot. Its
state is on disk (ledger, internal token, counts of replicas, shares of limits) or comes back with
the next reports (replicas, gateways) within a second. Where it was told of a fleet and its
inventory it keeps the number of replicas in step with demand and nodes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from deployments.chronicle import Chronicle
from deployments.control_socket import ControlSocket
from deployments.deployed import deployed_of, least_of
from deployments.errors import DeploymentError
from deployments.event import Sight
from deployments.figures import Traffic, of_sets
from deployments.ledger.acts import Act, Order
from deployments.ledger.bookkeeper import Bookkeeper, Knowledge
from deployments.ledger.errors import LedgerError
from deployments.ledger.ledger import Ledger
from deployments.ledger.lines import UsageLine
from deployments.ledger.questions import Question, Reply
from deployments.ledger.reports import limited_use
from deployments.lending import Lending
from deployments.observation import Reports
from deployments.readings import Keys, readings
from deployments.recent import Recent
from deployments.scrape_targets import Targets, targets
from deployments.scraping import Scraping
from deployments.suspect import Suspicion
from deployments.upkeep import Upkeep
from serving.keystore import INTERNAL_TOKEN_FILE, home, secret_file
from serving.limits.lease import Lease, ShareReport
from serving.metrics.exposition import Reading
from serving.metrics.token import metrics_token
from serving.registry import Registry
from serving.restarts import Restarts
from serving.snapshot import GatewayReport, Outlook, ReplicaReport, Snapshot

#: A Controller that was restarted first hears every replica, which reports a few times a second;
#: until then its list would be too short, and gateways keep the one they have.
SETTLE_S = 3.0
#: Who is there is told at once. How busy replicas are is told with the next answer, and all
#: gateways together get about so many a second.
ANSWERS_PER_S = 128
SHORTEST_HOLD_S = 0.25
#: Without any news; gateways give up on a question after a few times as long.
LONGEST_HOLD_S = 1.0
#: A replica reports a few times a second; nobody knows what one does that has not for so long.
SILENT_S = 5.0
#: Nobody acts on so short a silence, but who looks is told of it.
DOUBT_S = 2.0
#: For the first word of the ledger, before gateways are told that there is none yet.
LEDGER_WAIT_S = 2.0

_log = logging.getLogger(__name__)


class Controller:
    """One Serve replica on the head node."""

    def __init__(self) -> None:
        self._settled_at_s = time.monotonic() + SETTLE_S
        token = secret_file(home() / INTERNAL_TOKEN_FILE)
        self._registry = Registry(token, version=time.time_ns())
        self._lending = Lending(home() / "shares")
        self._restarts = Restarts()
        self._traffic = Traffic()
        self._ledger = Ledger(home())
        self._bookkeeper = Bookkeeper(self._ledger, self._set_knowledge)
        self._recent = Recent()
        #: Keeps keys in step with the ledger; begun by whoever comes first.
        self._bookkeeping: asyncio.Task[None] | None = None
        self._scraping = Scraping(home() / "prometheus", metrics_token(token))
        #: Replaced whenever there is something that gateways should hear at once.
        self._news = asyncio.Event()
        self._told_version = self._registry.urgent_version
        #: Where there is an inventory.
        self._upkeep: Upkeep | None = None
        #: The replicas of each model where nobody changes their number.
        self._least: Mapping[str, int] = {}
        self._chronicle = Chronicle(home(), self._sight)
        #: Opened with the first look at our health, which is before anybody is sent here.
        self._socket: ControlSocket | None = None

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """The fleet and its inventory, where it has one, from whoever deployed them. Raises
        ValueError.
        """
        deployed = deployed_of(user_config)
        if deployed is None:
            await self._leave_alone(least_of(user_config))
            return
        self._chronicle.deployed(deployed.fleet)
        if self._upkeep is None:
            note, path = self._chronicle.note, home() / "scaling.json"
            self._upkeep = Upkeep(deployed, path, self._reports, self._set_outlooks, note)
        else:
            self._upkeep.autoscaler.deployed = deployed

    async def _leave_alone(self, least: Mapping[str, int]) -> None:
        """From now on nobody changes the number of replicas."""
        self._least = least
        upkeep, self._upkeep = self._upkeep, None
        if upkeep is not None:
            await upkeep.end()
            self._set_outlooks(())

    async def check_health(self) -> None:
        if self._upkeep is not None and self._upkeep.has_stopped:
            raise RuntimeError("the number of replicas no longer follows demand")
        if self._bookkeeping is not None and self._bookkeeping.done():
            raise RuntimeError("keys no longer follow the ledger")
        # Serve asks as long as the Controller lives, and from the loop that it lives on.
        self._scraping.keep_up(self._readings, self._targets)
        self._chronicle.keep()
        await self._answer_commands()

    async def _answer_commands(self) -> None:
        """Without a socket commands go without an answer, and clients notice nothing."""
        if self._socket is None:
            try:
                self._socket = await ControlSocket.open(home(), self.status)
            except OSError as error:
                _log.warning("commands get no answer: %s: %s", home(), error.strerror or error)

    def _sight(self) -> Sight | None:
        """None until everybody had the time to report."""
        now_s = time.monotonic()
        if now_s < self._settled_at_s:
            return None
        reports = self._reports()
        quarantined = self._registry.quarantined
        suspects = self._suspicion().suspects
        return Sight(reports.replicas, reports.gateways, self._live(), quarantined, suspects)

    def _reports(self) -> Reports:
        now_s = time.monotonic()
        return Reports(
            self._registry.replicas(now_s),
            self._registry.gateways(now_s),
            frozenset(self._registry.silent(now_s, SILENT_S)),
        )

    def _readings(self) -> Iterable[Reading]:
        upkeep, registry = self._upkeep, self._registry
        wanted = self._least if upkeep is None else upkeep.autoscaler.wanted
        keys = Keys(registry.key_count, registry.key_news, registry.quarantined)
        return readings(self._reports(), wanted, self._suspicion().suspects, keys)

    def _targets(self) -> Targets:
        now_s = time.monotonic()
        return targets(self._registry.replicas(now_s), self._registry.gateways(now_s))

    def _set_outlooks(self, outlooks: tuple[Outlook, ...]) -> None:
        self._registry.set_outlooks(outlooks)
        self._tell()

    async def report(self, report: ReplicaReport) -> tuple[str, ...]:
        """A replica's report; answers with the internal tokens it shall accept."""
        now_s = time.monotonic()
        self._registry.report(report, now_s)
        self._restarts.report(report, now_s)
        self._tell()
        return (self._registry.internal_token,)

    async def leave(self, replica_id: str) -> None:
        """A replica's last word."""
        self._registry.leave(replica_id, time.monotonic())
        self._tell()

    async def exchange(self, report: GatewayReport, known_version: int) -> Snapshot | None:
        """A gateway's report; answers with the snapshot when there is news, or after a while with
        None.
        """
        now_s = time.monotonic()
        self._registry.report_gateway(report, now_s)
        self._traffic.add(report, now_s)
        self._tell()
        await self._informed()
        await self._hold(known_version)
        now_s = time.monotonic()
        if now_s < self._settled_at_s:
            return None
        return self._registry.snapshot(known_version, now_s)

    async def lend(self, report: ShareReport) -> Lease | None:
        """A gateway's share of every limited key from now on; None: it keeps what it has."""
        return self._lending.lend(report)

    async def _hold(self, known_version: int) -> None:
        """Returns at once with news that should not wait, soon with any other, late with none."""
        now_s = time.monotonic()
        soon_s = self._hold_s(now_s)
        for _ in range(round(LONGEST_HOLD_S / soon_s)):
            if await self._hear(known_version, soon_s):
                return
            if self._registry.version != known_version and now_s >= self._settled_at_s:
                return

    def _hold_s(self, now_s: float) -> float:
        gateways = len(self._registry.gateways(now_s))
        return min(max(SHORTEST_HOLD_S, gateways / ANSWERS_PER_S), LONGEST_HOLD_S)

    async def _hear(self, known_version: int, within_s: float) -> bool:
        """Whether there is something within that time that this version lacks."""
        if time.monotonic() >= self._settled_at_s and known_version < self._registry.urgent_version:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()
        return known_version < self._registry.urgent_version

    def _tell(self) -> None:
        """Answers whoever waits, if there is something to hear."""
        if self._told_version != self._registry.urgent_version:
            self._told_version = self._registry.urgent_version
            self._news.set()
            self._news = asyncio.Event()

    # The ledger
    async def _informed(self) -> None:
        """Returns when the ledger was asked for the keys once, whatever came of it; one that hangs
        holds up nobody for long.
        """
        if self._bookkeeping is None:
            self._bookkeeping = asyncio.create_task(self._bookkeeper.run())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEDGER_WAIT_S):
                await self._bookkeeper.has_looked.wait()

    def _set_knowledge(self, known: Knowledge) -> None:
        self._registry.set_keys(known.keys, known.key_news)
        self._registry.set_month(limited_use(known.usage, known.keys))
        self._registry.set_usage(known.usage)
        self._tell()

    async def perform(self, act: Act, who: str) -> Reply:
        """An operator's act; when it succeeds every gateway that can be reached is told of it."""
        await self._informed()
        try:
            if isinstance(act, Order):
                return Reply(refusal=await self._order(act, who))
            return Reply(await self._bookkeeper.perform(act, who))
        except (LedgerError, DeploymentError) as error:
            return Reply(refusal=str(error))

    async def _order(self, order: Order, who: str) -> str | None:
        """Why it is not obeyed. What cannot be written into the audit is not done."""
        if self._upkeep is None:
            return "nobody keeps this fleet in step: it was deployed without an inventory"
        autoscaler = self._upkeep.autoscaler
        why_not = autoscaler.refusal(order)
        if why_not is None:
            await self._bookkeeper.perform(order, who)
            why_not = await autoscaler.obey(order)
        return why_not

    async def answer(self, question: Question) -> Reply:
        """An operator's question."""
        try:
            return Reply(await self._ledger.answer(question))
        except LedgerError as error:
            return Reply(refusal=str(error))

    async def record_usage(self, lines: bytes) -> bool:
        """A gateway's records; true when they are in the ledger, else it comes again with them."""
        is_recorded = await self._is_recorded(self._ledger.record_usage(lines))
        if is_recorded:
            self._recent.add(lines)
        return is_recorded

    async def record_counts(self, lines: bytes) -> bool:
        """What a replica's engine counted; true when it is in the ledger."""
        return await self._is_recorded(self._ledger.record_counts(lines))

    async def _is_recorded(self, recording: Coroutine[Any, Any, int]) -> bool:
        try:
            await recording
        except LedgerError as error:
            _log.debug("usage is not taken: %s", error)
            return False
        return True

    async def recent(self, most: int) -> tuple[UsageLine, ...]:
        """The requests that ended last, newest first."""
        return self._recent.newest(most)

    async def status(self) -> dict[str, Any]:
        """What `flotilla status` shows, as plain values."""
        now_s = time.monotonic()
        replicas, gateways = self._registry.replicas(now_s), self._registry.gateways(now_s)
        live, upkeep, suspicion = self._live(), self._upkeep, self._suspicion()
        return {
            "replicas": [asdict(report) for report in replicas],
            "gateways": [asdict(replace(report, counts=(), deaths=())) for report in gateways],
            "models": [asdict(figures) for figures in self._traffic.figures(now_s)],
            "replica_sets": [asdict(figures) for figures in of_sets(replicas, gateways)],
            "quarantined": self._registry.quarantined,
            "restarts": self._restarts.often(now_s),
            "keys": self._registry.key_count,
            "refused": self._lending.refused(),
            "scaling": None if upkeep is None else upkeep.autoscaler.status(),
            "silent": self._registry.silent(now_s, DOUBT_S),
            "live": None if live is None else sorted(live),
            "suspects": dict(suspicion.suspects),
            "answering": suspicion.answering,
            "events": [asdict(event) for event in self._chronicle.recent()],
        }

    def _live(self) -> frozenset[str] | None:
        """The addresses of the nodes that live; None where nobody watches them."""
        return None if self._upkeep is None else self._upkeep.live

    def _suspicion(self) -> Suspicion:
        """What is known of the nodes' accelerators; nothing where nobody watches them."""
        return Suspicion() if self._upkeep is None else self._upkeep.suspicion
