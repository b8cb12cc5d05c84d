"""Drives one accepted request to its end: fit, route, try, retry, answer, record.

Rules
- One deadline over everything. Before the client has a byte a failed try may go to another replica;
  after that never.
- Exactly one usage record, made before the last byte that says the answer is complete.
- Whoever wants the job to end (client, deadline, drain) cancels its task with a reason; the try's
  connection is closed on every way out, which is how an engine learns that nobody listens.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from serving import bounds, errors
from serving.errors import ApiError, Refusal
from serving.gateway import fault, shape
from serving.gateway.ask import ask_of
from serving.gateway.attempt import Attempt, Stale
from serving.gateway.auth import revoked_key
from serving.gateway.config import Model
from serving.gateway.ending import is_estimated, refused_by, unfinished
from serving.gateway.exchange import Exchange
from serving.gateway.limiter import cost
from serving.gateway.place import place
from serving.gateway.pool import UpstreamConnection
from serving.gateway.refusal import (
    DiedWithIt,
    NotTaken,
    quarantined,
    unavailable,
    upstream,
)
from serving.gateway.sse import EventFilter, Tokens
from serving.gateway.stream import Passage, StreamAttempt
from serving.gateway.turns import Stay
from serving.gateway.upstream import Path, Upstream
from serving.limits.account import Hold
from serving.protocol import Checked
from serving.protocol.fingerprint import fingerprint
from serving.routing.breaker import Symptom
from serving.routing.retry import Attempts
from serving.routing.route import Answer, Ask, Choice
from serving.routing.table import Flight, Slot
from serving.usage import Outcome, UsageRecord

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore

_NO_TOKENS = Tokens()
_log = logging.getLogger(__name__)


class Job:
    __slots__ = (
        "_asked",
        "_attempt",
        "_attempts",
        "_checked",
        "_choice",
        "_core",
        "_deadline_s",
        "_events",
        "_exchange",
        "_first_token_s",
        "_flight",
        "_has_waited",
        "_hold",
        "_is_recorded",
        "_is_retrying",
        "_max_tokens",
        "_model",
        "_reason",
        "_replica_id",
        "_started_s",
        "_started_wall_s",
        "_stay",
        "_task",
        "_tokens",
    )

    def __init__(
        self,
        core: "GatewayCore",
        exchange: Exchange,
        checked: Checked,
        asked: Model,
        hold: Hold | None = None,
    ) -> None:
        self._core = core
        self._exchange = exchange
        self._checked = checked
        self._asked = asked
        #: What a limited key has reserved for it.
        self._hold = hold
        #: The model that answers; another than the one asked for after a fallback.
        self._model = asked
        #: What the engine is told where the caller named none.
        self._max_tokens: int | None = None
        self._attempts = Attempts()
        self._attempt: Attempt | None = None
        self._events: EventFilter | None = None
        self._choice: Choice | None = None
        self._flight: Flight | None = None
        #: Its place at a model whose places are counted.
        self._stay: Stay | None = None
        self._replica_id = ""
        self._tokens = _NO_TOKENS
        self._reason: ApiError | None = None
        self._has_waited = False
        #: From the request to the first token of its stream; 0 before.
        self._first_token_s = 0.0
        self._is_recorded = False
        self._is_retrying = False
        self._started_s = core.loop.time()
        self._started_wall_s = core.wall_clock()
        self._deadline_s = self._started_s + core.deadline_s
        self._task = core.loop.create_task(self._run())

    # What happens on the client's side
    def client_left(self) -> None:
        self._task.cancel()

    def pause(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def resume(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()

    def sweep(self, now_s: float) -> None:
        if self._hold is not None and self._events is not None:
            self._hold.grow(self._events.events)
        if self._stay is not None and not self._checked.streams:
            self._stay.sweep(now_s)
        if not self._core.auth.holds(self._exchange.key_id):
            self.stop(revoked_key())
        elif now_s > self._deadline_s:
            self._blame_for_silence()
            self.stop(ApiError(Refusal.DEADLINE_EXCEEDED, "The request took too long."))
        elif self._attempt is not None:
            self._attempt.sweep(now_s)

    def _blame_for_silence(self) -> None:
        """A reply that never begins is all that is seen of a hang where nobody streams."""
        is_first = self._reason is None and not self._exchange.is_started
        if is_first and self._attempt is not None and self._choice is not None:
            self._core.failed(self._choice.slot, Symptom.FAILED)

    def stop(self, reason: ApiError) -> None:
        """Ends the job with an answer; the first reason stands."""
        if self._reason is None:
            self._reason = reason
            self._task.cancel()

    # The way to the end
    async def _run(self) -> None:
        try:
            await self._answer()
        except ApiError as error:
            is_started = self._exchange.is_started
            self._refuse(error, refused_by(error, self._attempts.count, is_started=is_started))
        except NotTaken as failure:
            self._refuse(failure.error)
        except asyncio.CancelledError:
            self._refuse(self._reason or upstream("The gateway stopped."))
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            _log.error("request %s: %s", self._exchange.id, fault.where(error))
            self._refuse(ApiError(Refusal.INTERNAL, "This is a fault of ours."), Outcome.FAILED)
        finally:
            self._core.job_ended(self._is_retrying)

    async def _answer(self) -> None:
        await self._wait_for_replica(self._asked)
        fitter, first = self._core.fitter, self._core.standing_in(self._asked)
        fitted = fitter.quick(self._checked, first)
        if fitted is None:
            fitted = await fitter.fit(self._checked, first)
        self._model, self._max_tokens = fitted.model, fitted.max_tokens
        if self._model is not self._asked:
            await self._wait_for_replica(self._model)
        ask = ask_of(self._exchange, self._checked, self._model, self._core.catalogue)
        meter = self._core.meters.of(self._model.replica_set)
        meter.arrived(self._checked.body_bytes)
        try:
            await self._forward_in_turn(ask)
        finally:
            meter.ended(self._checked.body_bytes)

    async def _wait_for_replica(self, model: Model) -> None:
        """Where there is none and one will come."""
        core, replica_set = self._core, model.replica_set
        if not core.is_served(replica_set) and core.queue.has_outlook(replica_set):
            self._has_waited = True
            await core.queue.wait(replica_set, self._checked.body_bytes, self._deadline_s)

    async def _forward_in_turn(self, ask: Ask) -> None:
        self._stay = await place(self._core, self._exchange, self._checked, self._model, ask)
        try:
            await self._forward(ask)
        finally:
            if self._stay is not None:
                self._stay.ended(self._counted())

    async def _forward(self, ask: Ask) -> None:
        failure: NotTaken | None = None
        while True:
            choice = self._core.route(self._model.replica_set, ask, self._attempts.tried)
            if choice is None:
                raise failure or unavailable()
            self._choice, slot = choice, choice.slot
            with self._core.router.send(choice) as self._flight:
                try:
                    return await self._try(slot)
                except NotTaken as error:
                    failure = error
                    self._core.failed(slot, error.symptom)
            self._attempts.failed(slot.replica_id, failure.was_taken)
            await self._blame(failure, slot)
            self._check_retry(failure)

    async def _blame(self, failure: NotTaken, slot: Slot) -> None:
        """A replica died with this request: no gateway shall lose a third one to it."""
        if isinstance(failure, DiedWithIt) and failure.is_death:
            mark = fingerprint(self._checked, self._asked.replica_set)
            inquest = self._core.inquest
            inquest.blame(mark, slot.replica_id)
            if not self._exchange.is_started:
                await inquest.heard(mark)
            if mark in inquest.quarantined:
                raise quarantined()

    def _check_retry(self, failure: NotTaken) -> None:
        """Returns when another replica may be asked; raises what the client hears otherwise."""
        if self._exchange.is_started:
            raise failure
        if self._attempts.died_with_it > 1:
            raise quarantined()
        if not self._attempts.may_retry() or not self._may_spend():
            raise failure

    def _may_spend(self) -> bool:
        """Takes this job's place in the retry budget, or looks whether it may be kept."""
        if self._is_retrying:
            return self._core.budget.holds()
        self._is_retrying = self._core.budget.take()
        return self._is_retrying

    # One try
    async def _try(self, slot: Slot) -> None:
        self._replica_id = slot.replica_id
        self._attempts.count += 1
        target = self._core.upstream(slot)
        path = Path.CHAT if self._checked.is_chat else Path.COMPLETION
        body = self._checked.encode(slot.report.served_name, self._max_tokens)
        request = target.request(path, self._exchange.id, body)
        connection = target.pool.idle()
        if connection is not None:
            try:
                return await self._exchange_with(slot, connection, request)
            except Stale:
                return await self._exchange_again(slot, target, request)
        await self._exchange_with(slot, await target.connect(), request)

    async def _exchange_again(self, slot: Slot, target: Upstream, request: bytes) -> None:
        """After a stale connection. A replica that is gone now may have died with the request."""
        try:
            connection = await target.connect()
        except NotTaken as failure:
            raise DiedWithIt(upstream(), failure.symptom) from None
        await self._exchange_with(slot, connection, request)

    async def _exchange_with(
        self, slot: Slot, connection: UpstreamConnection, request: bytes
    ) -> None:
        attempt = self._attempt = self._new_attempt(slot)
        try:
            attempt.send(connection, request)
            body = await attempt.done
        finally:
            self._attempt = None
            attempt.release()
        if not self._checked.streams:
            self._reply(body)

    def _new_attempt(self, slot: Slot) -> Attempt:
        core, checked = self._core, self._checked
        expected = core.expected_id(slot)
        param = "messages" if checked.is_chat else "prompt"
        breaker = slot.breaker
        if not checked.streams:
            return Attempt(expected, param, core.loop, breaker, core.whole_reply_s(slot))
        model = self._model
        self._events = EventFilter(slot.report.served_name, model.name, checked.wants_usage)
        limit = checked.max_tokens or model.window_tokens
        passage = Passage(
            exchange=self._exchange,
            events=self._events,
            first_token_s=core.first_token_s(breaker),
            between_tokens_s=core.deadlines.between_tokens_s,
            extra=self._fallback_header(),
            most_events=(limit + 2) * checked.n + bounds.EVENT_MARGIN,
            settle=self._settle,
            began=self._began,
        )
        return StreamAttempt(expected, param, core.loop, breaker, passage)

    def _began(self) -> None:
        """The first token is here. How long a start takes says nothing of how busy replicas are."""
        if self._flight is not None:
            self._flight.began()
        if self._stay is not None:
            self._stay.began()
        self._first_token_s = self._core.loop.time() - self._started_s
        if not self._has_waited:
            self._core.meters.of(self._model.replica_set).began(self._first_token_s)

    # Answers
    def _reply(self, body: bytes) -> None:
        name, request_id = self._model.name, self._exchange.id
        try:
            if self._checked.is_chat:
                wants = self._checked.wants_logprobs
                shaped, self._tokens = shape.chat(body, request_id, name, wants)
            else:
                shaped, self._tokens = shape.text(body, request_id, name)
        except (msgspec.MsgspecError, ValueError):
            raise DiedWithIt(upstream("The replica's answer is broken.")) from None
        self._settle()
        self._exchange.reply(shaped, self._fallback_header())

    def _fallback_header(self) -> bytes:
        if self._model is self._asked:
            return b""
        return shape.fallback_header(self._asked.name, self._model.name)

    def _refuse(self, error: ApiError, outcome: Outcome | None = None) -> None:
        exchange = self._exchange
        outcome = outcome or unfinished(is_gone=exchange.is_gone, is_started=exchange.is_started)
        self._record(outcome)
        if exchange.is_started:
            exchange.cut(errors.event(error))
        else:
            exchange.fail(error)

    # The record
    def _settle(self) -> None:
        self._record(Outcome.COMPLETE)
        tokens = self._counted()
        if self._choice is None:
            return
        self._choice.slot.breaker.succeeded()
        if tokens.prompt_tokens:
            self._core.router.learn(
                self._choice,
                Answer(tokens.prompt_tokens, tokens.cached_tokens, tokens.completion_tokens or 0),
            )

    def _record(self, outcome: Outcome) -> None:
        if self._is_recorded:
            return
        self._is_recorded = True
        tokens = self._counted()
        if self._hold is not None:
            is_abandoned = self._exchange.is_gone or self._reason is not None
            sent = tokens if self._attempts.count else None
            self._hold.settle(cost(self._hold, sent, self._events is not None, is_abandoned))
        whole = None if self._tokens is _NO_TOKENS else self._tokens
        record = UsageRecord(
            self._exchange.id,
            self._exchange.key_id,
            self._asked.name,
            self._model.name,
            self._replica_id,
            tokens.prompt_tokens,
            tokens.completion_tokens or 0,
            tokens.cached_tokens or 0,
            outcome,
            self._started_wall_s,
            self._core.loop.time() - self._started_s,
            self._attempts.count,
            self._exchange.tenant,
            is_estimated(outcome, self._attempts.count, self._events, whole),
        )
        self._core.spool.append(record)
        self._core.counters.add(record, self._first_token_s)

    def _counted(self) -> Tokens:
        if self._events is None:
            return self._tokens
        return self._events.counted(self._checked.n if self._checked.is_chat else 0)
