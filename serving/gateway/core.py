"""What a gateway knows and does, put together: catalogue, keys, replicas, jobs. Without Ray and
without sockets.

Configuration and snapshots are values that are taken over whole.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import Any

from serving.bounds import Deadlines
from serving.errors import ApiError, Refusal
from serving.fairness.claim import Places
from serving.fairness.places import places
from serving.gateway import admit, fault, openapi, scope
from serving.gateway.access_log import AccessLog
from serving.gateway.answers import Answers
from serving.gateway.auth import Authenticator
from serving.gateway.bill import Bill
from serving.gateway.cache_salt import salt_of
from serving.gateway.config import Catalogue, Model, parse
from serving.gateway.count import Counter
from serving.gateway.counting import ModelCounters
from serving.gateway.exchange import Exchange
from serving.gateway.fit import Fitter
from serving.gateway.inquest import Inquest
from serving.gateway.job import Job
from serving.gateway.limiter import reserve
from serving.gateway.meter import Meters
from serving.gateway.outbox import Outbox
from serving.gateway.own_usage import own_usage
from serving.gateway.parser import Head
from serving.gateway.queue import Queue
from serving.gateway.refusal import full, overloaded, quarantined
from serving.gateway.route import Kind, model_name
from serving.gateway.tracing import Tracing
from serving.gateway.turns import Lines
from serving.gateway.upstream import Upstream
from serving.limits.account import Hold
from serving.limits.gate import Gate
from serving.metrics.token import metrics_token, requests_token
from serving.protocol import Checked, check_chat, check_completion
from serving.protocol.fingerprint import fingerprint
from serving.routing.breaker import Breaker, Symptom
from serving.routing.ejection import judge
from serving.routing.filters import is_alone
from serving.routing.retry import Budget
from serving.routing.route import Ask, Choice, Router
from serving.routing.table import Slot, Table
from serving.snapshot import NO_USAGE, KeyNews, ReplicaReport, Snapshot
from serving.spool import Spool

_log = logging.getLogger(__name__)


class GatewayCore:
    def __init__(
        self,
        spool: Spool,
        deadlines: Deadlines | None = None,
        *,
        dice: random.Random | None = None,
        wall_clock: Callable[[], float] = time.time,
        demands_replica_header: bool = True,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.outbox = Outbox(self.loop)
        self.spool = spool
        self.deadlines = deadlines or Deadlines()
        self.deadline_s = self.deadlines.request_s
        self.wall_clock = wall_clock
        self.budget = Budget()
        self.meters = Meters()
        self.counters = ModelCounters()
        self.answers = Answers()
        self.access_log: AccessLog | None = None
        self.tracing: Tracing | None = None
        self.queue = Queue(self.loop.time, self.meters)
        self.lines = Lines(self._places, self.loop.time)
        self.inquest = Inquest(self.loop, self.deadlines.blame_s)
        self.auth = Authenticator(wall_clock)
        self.gate = Gate(self.loop.time)
        self.catalogue = Catalogue()
        self.fitter = Fitter({}, self._report_of, Counter(self).count)
        self.is_draining = False
        #: The version of the snapshot in force; -1 before the first.
        self.version = -1
        self._heard_s = self.loop.time()
        self._key_news = KeyNews.UNREAD
        #: Whether any snapshot has said which keys there are.
        self.has_keys = False
        self._has_tenants = False
        self._usage = NO_USAGE
        self._dice = dice or random.SystemRandom()
        self._ids = random.Random(self._dice.getrandbits(128))  # noqa: S311 - ids, not secrets
        self._demands_replica_header = demands_replica_header
        self._token = ""
        self.router = Router()
        self._table = Table()
        self._upstreams: dict[str, Upstream] = {}

    # What is in force
    def apply_user_config(self, user_config: Mapping[str, Any]) -> None:
        """Raises msgspec.ValidationError or ValueError and changes nothing when the value is
        wrong.
        """
        self.catalogue = parse(user_config)
        self.deadline_s = min(self.catalogue.limits.deadline_s, self.deadlines.request_s)
        self.fitter = Fitter(self.catalogue.by_name, self._report_of, Counter(self).count)

    @property
    def is_out_of_touch(self) -> bool:
        """No news of keys for so long that one that is taken may have been revoked."""
        if self._key_news is KeyNews.LOST or not self.has_keys:
            return True
        return self.loop.time() - self._heard_s >= self.deadlines.keys_s

    @property
    def silence_s(self) -> float:
        """Since there was news of keys, or since the start."""
        return self.loop.time() - self._heard_s

    @property
    def metrics_token(self) -> str:
        """What opens this gateway's metrics; empty before the first snapshot."""
        return self._token and metrics_token(self._token)

    @property
    def requests_token(self) -> str:
        """What opens the list of its requests in flight; empty before the first snapshot."""
        return self._token and requests_token(self._token)

    def heard(self) -> None:
        """The Controller answered, with or without a snapshot."""
        if self._key_news is KeyNews.CURRENT:
            self._heard_s = self.loop.time()

    def apply_snapshot(self, snapshot: Snapshot) -> None:
        self.version = snapshot.version
        self._token = snapshot.internal_token
        self._take_keys(snapshot)
        self._table.apply(snapshot.replicas, self.loop.time(), self._forget)
        self.lines.changed()
        self.inquest.apply(snapshot.deaths)
        self.queue.apply(snapshot.outlooks)
        for replica_set in self.queue.waiting():
            if self.is_served(replica_set):
                self.queue.wake(replica_set)

    def _take_keys(self, snapshot: Snapshot) -> None:
        """Of a Controller that has not read the ledger they say nothing: the known ones stay, with
        their limits and what was used of them.
        """
        self._key_news = snapshot.key_news
        if snapshot.key_news is KeyNews.CURRENT:
            self.has_keys = True
            self.auth.apply(snapshot.keys)
            self._has_tenants = len({key.holder for key in snapshot.keys}) > 1
            self.gate.set_keys(snapshot.keys, snapshot.month)
            self._usage = snapshot.usage

    def cache_salt(self, holder: str) -> str:
        """Keeps a tenant's prompts apart in the engines' caches; "" where there is only one."""
        return salt_of(holder) if holder and self._has_tenants else ""

    def _forget(self, slot: Slot) -> None:
        self.router.forget(slot.replica_id)
        upstream = self._upstreams.pop(slot.replica_id, None)
        if upstream is not None:
            upstream.pool.close()

    @property
    def grace_s(self) -> float:
        return self.catalogue.limits.grace_s

    def in_flight(self) -> tuple[tuple[str, int], ...]:
        return self._table.in_flight()

    def slots(self) -> Collection[Slot]:
        """All replicas that are known."""
        return self._table.by_id.values()

    def left_out(self) -> tuple[str, ...]:
        return tuple(slot.replica_id for slot in self.slots() if not slot.breaker.is_closed)

    # What a connection asks
    def check_head(self, head: Head) -> ApiError | None:
        refusal = admit.check_head(head, self.auth)
        if head.key is not None:
            if refusal is None and self.is_out_of_touch:  # it may have been revoked
                return _cannot_tell()
            head.accounts = self.gate.accounts(head.key.id)
        elif refusal is not None and refusal.refusal is Refusal.INVALID_API_KEY:
            return refusal if self.has_keys else _cannot_tell()
        return refusal

    def answered(self, exchange: Exchange, bill: Bill | None = None) -> None:
        """An exchange has ended; with its bill where a model was asked."""
        self.answers.add(exchange)
        if self.access_log is not None:
            self.access_log.add(exchange, bill)
        if exchange.trace is not None and bill is not None:
            exchange.trace.end(exchange, bill)

    def new_id(self) -> str:
        return f"{self._ids.getrandbits(128):032x}"

    def serve(self, exchange: Exchange) -> None:
        try:
            self._serve(exchange)
        except ApiError as error:
            exchange.fail(error)
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            extra = {"request_id": exchange.id}
            _log.error("request %s: %s", exchange.id, fault.where(error), extra=extra)
            exchange.fail(ApiError(Refusal.INTERNAL, "This is a fault of ours."))

    def _serve(self, exchange: Exchange) -> None:
        kind = exchange.head.kind
        if kind is Kind.CHAT or kind is Kind.COMPLETION:
            self._generate(exchange, kind)
        elif kind is Kind.MODELS:
            exchange.reply(scope.listing_for(self.catalogue, exchange.head.key))
        elif kind is Kind.MODEL:
            exchange.reply(self._card(exchange.head))
        elif kind is Kind.DOCUMENT:
            exchange.reply(openapi.document())
        elif kind is Kind.USAGE:
            exchange.reply(own_usage(self._usage, exchange.key_id))
        elif kind is Kind.READY and not self._is_ready():
            exchange.reply(b'{"status":"unavailable"}', status=503)
        else:
            exchange.reply(b'{"status":"ok"}')

    def _is_ready(self) -> bool:
        return not (self.is_draining or self.version < 0 or self.is_out_of_touch)

    def _card(self, head: Head) -> bytes:
        name = model_name(head.target) or ""
        return self.catalogue.cards[scope.model_for(self.catalogue, name, head.key).name]

    def _generate(self, exchange: Exchange, kind: Kind) -> None:
        check = check_chat if kind is Kind.CHAT else check_completion
        key = exchange.head.key
        checked = check(exchange.body, key is not None and key.may_ignore_eos)
        model = scope.model_for(self.catalogue, checked.model, key)
        if self.spool.is_full:
            raise overloaded("The usage log cannot be written.")
        self._check_quarantine(checked, model)
        self._check_room(exchange.head, checked, model)
        hold = self._reserve(exchange.head, checked, model)
        self.budget.in_flight += 1
        if self.tracing is not None:
            exchange.trace = self.tracing.begin(exchange)
        job = Job(self, exchange, checked, model, hold)
        exchange.job = job
        job.begin()

    def _reserve(self, head: Head, checked: Checked, model: Model) -> Hold | None:
        if not head.accounts or head.key is None:
            return None
        # Those of the head may be gone: its body took its time, and nothing was left in them.
        head.accounts = self.gate.accounts(head.key.id)
        if not head.accounts:
            return None
        report = self._report_of(model.replica_set)
        return reserve(self.gate, head.accounts, checked, None if report is None else report.facts)

    def _check_room(self, head: Head, checked: Checked, model: Model) -> None:
        line = self.lines.of(model.replica_set)
        if line is not None and not line.has_room(head.holder, checked.body_bytes):
            self.meters.of(model.replica_set).turned_away()
            raise self.busy()

    def busy(self) -> ApiError:
        """All replicas have what they can run, and the queue before them what may wait."""
        return full(self._dice.randrange)

    def _check_quarantine(self, checked: Checked, model: Model) -> None:
        marks = self.inquest.quarantined
        if marks and fingerprint(checked, model.replica_set) in marks:
            raise quarantined()

    # What a job asks
    def route(self, replica_set: str, ask: Ask, tried: Collection[str] = ()) -> Choice | None:
        """The replica to send to, or None when nobody may be asked."""
        slots = self._table.of(replica_set)
        return self.router.choose(slots, ask, tried, self.loop.time(), self._dice.randrange)

    def failed(self, slot: Slot, symptom: Symptom) -> None:
        """A try at this replica failed; it may be left out from now on."""
        slots = self._table.of(slot.report.replica_set)
        if judge(slot, slots, symptom, self.loop.time()):
            _log.warning("replica %s is left out: %s", slot.replica_id, symptom)
            self.lines.changed()

    def given_s(self, usual_s: float, slot: Slot, tried: Collection[str]) -> float:
        """How long a replica may take for what takes `usual_s` at most: longer where no other is
        left to ask.
        """
        is_last = is_alone(slot, self._table.of(slot.report.replica_set), tried)
        return max(usual_s, self.deadlines.lone_s) if is_last else usual_s

    def first_token_s(self, slot: Slot) -> float:
        """How long a stream waits for its first token."""
        limit_s = self.deadlines.first_token_s
        return min(limit_s, self._probe_s(slot.breaker)) if self._is_hurried(slot) else limit_s

    def whole_reply_s(self, slot: Slot) -> float:
        """How long a reply that shows no tokens is waited for: without end, but for a probe."""
        return self._probe_s(slot.breaker) if self._is_hurried(slot) else inf

    def _is_hurried(self, slot: Slot) -> bool:
        """A probe is, that somebody else could answer: where nobody can, it may be slow."""
        if slot.breaker.is_closed:
            return False
        return not is_alone(slot, self._table.of(slot.report.replica_set))

    def _probe_s(self, breaker: Breaker) -> float:
        """The longer it was out, the longer it is given, so that a slow one comes back too."""
        return max(self.deadlines.probe_token_s, breaker.hold_s)

    def _places(self, replica_set: str) -> Places:
        return places(self._table.of(replica_set), self.loop.time())

    def typical_tokens(self, replica_set: str) -> float:
        """Of an answer."""
        return self._table.traffic[replica_set].output_tokens

    def is_served(self, replica_set: str) -> bool:
        """Whether the newest snapshot names a replica that takes requests."""
        return replica_set in self._table.served

    def standing_in(self, model: Model) -> Model:
        """The model, or while nobody serves it the first of its fallbacks that somebody serves."""
        found: Model | None = model
        while found is not None and not self.is_served(found.replica_set):
            found = self.catalogue.by_name.get(found.fallback) if found.fallback else None
        return found or model

    def expected_id(self, slot: Slot) -> bytes | None:
        return slot.replica_id.encode() if self._demands_replica_header else None

    def upstream(self, slot: Slot) -> Upstream:
        """The connections to a replica, made anew when its address or the token has changed."""
        known = self._upstreams.get(slot.replica_id)
        if known is not None:
            if known.address == slot.report.address and known.token == self._token:
                return known
            known.pool.close()
        fresh = Upstream(slot, self._token, self.outbox)
        if slot.is_listed:
            self._upstreams[slot.replica_id] = fresh
        return fresh

    def _report_of(self, replica_set: str) -> ReplicaReport | None:
        """Any replica's word about what all of the set share: window and tokenizer."""
        slots = self._table.of(replica_set)
        return slots[0].report if slots else None

    # What the server calls
    def sweep(self) -> None:
        self.inquest.sweep()
        since_s = time.monotonic() - self.deadlines.upstream_idle_s
        for upstream in self._upstreams.values():
            upstream.pool.close_older_than(since_s)

    async def close(self) -> None:
        for upstream in self._upstreams.values():
            upstream.pool.close()
        await self.spool.close()


def _cannot_tell() -> ApiError:
    return overloaded("Keys cannot be checked at present.")
