"""Takes one fitted request through replicas until one of them has answered: its turn, a route, a
try, and one more where that may help.

Rules
- Before the client has a byte a failed try may go to another replica; after that never.
- A try's connection is closed on every way out, which is how an engine learns that nobody listens.
"""

from typing import TYPE_CHECKING

import msgspec

from serving import bounds
from serving.gateway import shape
from serving.gateway.ask import ask_of
from serving.gateway.attempt import Attempt, Stale
from serving.gateway.bill import Bill
from serving.gateway.place import place
from serving.gateway.pool import UpstreamConnection
from serving.gateway.refusal import (
    DiedWithIt,
    NotReached,
    NotTaken,
    quarantined,
    unavailable,
    upstream,
)
from serving.gateway.sse import EventFilter
from serving.gateway.stream import Passage, StreamAttempt
from serving.gateway.turns import Stay
from serving.gateway.upstream import Path, Upstream
from serving.protocol.fingerprint import fingerprint
from serving.routing.breaker import Symptom
from serving.routing.retry import Attempts
from serving.routing.route import Answer, Ask, Choice
from serving.routing.table import Flight, Slot
from serving.usage import Outcome

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore


class Dispatch:
    __slots__ = (
        "_attempt",
        "_attempts",
        "_bill",
        "_checked",
        "_choice",
        "_core",
        "_exchange",
        "_flight",
        "_has_waited",
        "_is_retrying",
        "_max_tokens",
        "_model",
        "_stay",
    )

    def __init__(
        self, core: "GatewayCore", bill: Bill, max_tokens: int | None, has_waited: bool
    ) -> None:
        self._core = core
        self._bill = bill
        self._exchange = bill.exchange
        self._checked = bill.checked
        self._model = bill.model
        #: What the engine is told where the caller named none.
        self._max_tokens = max_tokens
        #: For the model's first replica to start.
        self._has_waited = has_waited
        self._attempts = Attempts()
        self._attempt: Attempt | None = None
        self._choice: Choice | None = None
        self._flight: Flight | None = None
        #: Its place at a model whose places are counted.
        self._stay: Stay | None = None
        self._is_retrying = False

    # What happens on the client's side
    def pause(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def resume(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()

    def sweep(self, now_s: float) -> None:
        if self._stay is not None and not self._checked.streams:
            self._stay.sweep(now_s)
        if self._attempt is not None:
            self._attempt.sweep(now_s)

    def blame_for_silence(self) -> None:
        """A reply that never begins is all that is seen of a hang where nobody streams."""
        if self._attempt is not None and self._choice is not None:
            self._core.failed(self._choice.slot, Symptom.FAILED)

    # From its turn to its answer
    async def run(self) -> None:
        """Returns when the client has the whole answer. Raises ApiError, NotTaken."""
        core, checked = self._core, self._checked
        ask = ask_of(self._exchange, checked, self._model, core.catalogue)
        meter = core.meters.of(self._model.replica_set)
        meter.arrived(checked.body_bytes)
        try:
            await self._in_turn(ask)
        finally:
            meter.ended(checked.body_bytes)
            core.budget.retrying -= self._is_retrying

    async def _in_turn(self, ask: Ask) -> None:
        found = await place(self._core, self._bill, ask, has_waited=self._has_waited)
        self._stay = found.stay
        try:
            await self._try_in_turn(ask, found.choice)
        finally:
            if self._stay is not None:
                self._stay.ended(self._bill.counted())

    async def _try_in_turn(self, ask: Ask, first: Choice | None) -> None:
        """`first`: where it goes first, if that is known already."""
        choice, failure = first or self._route(ask), None
        while choice is not None:
            self._choice, slot = choice, choice.slot
            with self._core.router.send(choice) as self._flight:
                try:
                    return await self._try(slot)
                except NotTaken as error:
                    failure = error.with_traceback(None)
                    self._core.failed(slot, error.symptom)
            self._attempts.failed(slot.replica_id, failure.was_taken)
            await self._blame(failure, slot)
            self._check_retry(failure)
            choice = self._route(ask)
        raise failure or unavailable()

    def _route(self, ask: Ask) -> Choice | None:
        return self._core.route(self._model.replica_set, ask, self._attempts.tried)

    async def _blame(self, failure: NotTaken, slot: Slot) -> None:
        """A replica died with this request: no gateway shall lose a third one to it."""
        if isinstance(failure, DiedWithIt) and failure.is_death:
            mark = fingerprint(self._checked, self._bill.asked.replica_set)
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
        is_free = isinstance(failure, NotReached)
        if not self._attempts.may_retry() or not (is_free or self._may_spend()):
            raise failure

    def _may_spend(self) -> bool:
        """Takes this request's place in the retry budget, or looks whether it may be kept."""
        if self._is_retrying:
            return self._core.budget.holds()
        self._is_retrying = self._core.budget.take()
        return self._is_retrying

    # One try
    async def _try(self, slot: Slot) -> None:
        trace = self._exchange.trace
        if trace is None:
            return await self._try_with(slot, b"")
        with trace.attempt(slot.replica_id) as lines:
            await self._try_with(slot, lines)

    async def _try_with(self, slot: Slot, extra: bytes) -> None:
        self._bill.sent_to(slot.replica_id)
        target = self._core.upstream(slot)
        path = Path.CHAT if self._checked.is_chat else Path.COMPLETION
        body = self._checked.encode(slot.report.served_name, self._max_tokens)
        request = target.request(path, self._exchange.id, body, extra)
        connection = target.pool.idle()
        if connection is not None:
            try:
                return await self._exchange_with(slot, connection, request)
            except Stale:
                return await self._exchange_again(slot, target, request)
        await self._exchange_with(slot, await self._connect(slot, target), request)

    async def _connect(self, slot: Slot, target: Upstream) -> UpstreamConnection:
        core = self._core
        limit_s = core.given_s(core.deadlines.connect_s, slot, self._attempts.tried)
        return await target.connect(limit_s)

    async def _exchange_again(self, slot: Slot, target: Upstream, request: bytes) -> None:
        """After a stale connection. A replica that is gone now may have died with the request."""
        try:
            connection = await self._connect(slot, target)
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
        return StreamAttempt(expected, param, core.loop, breaker, self._passage(slot))

    def _passage(self, slot: Slot) -> Passage:
        core, checked, model = self._core, self._checked, self._model
        events = EventFilter(slot.report.served_name, model.name, checked.wants_usage)
        self._bill.events = events
        limit = checked.max_tokens or model.window_tokens
        return Passage(
            exchange=self._exchange,
            events=events,
            first_token_s=core.first_token_s(slot),
            between_tokens_s=core.deadlines.between_tokens_s,
            extra=self._fallback_header(),
            most_events=(limit + 2) * checked.n + bounds.EVENT_MARGIN,
            settle=self._settle,
            began=self._began,
        )

    # Its answer
    def _began(self) -> None:
        """The first token is here. How long a start takes says nothing of how busy replicas are."""
        if self._flight is not None:
            self._flight.began()
        if self._stay is not None:
            self._stay.began()
        after_s = self._bill.began()
        if not self._has_waited:
            self._core.meters.of(self._model.replica_set).began(after_s)

    def _reply(self, body: bytes) -> None:
        name, request_id = self._model.name, self._exchange.id
        try:
            if self._checked.is_chat:
                wants = self._checked.wants_logprobs
                shaped, self._bill.answer = shape.chat(body, request_id, name, wants)
            else:
                shaped, self._bill.answer = shape.text(body, request_id, name)
        except (msgspec.MsgspecError, ValueError):
            raise DiedWithIt(upstream("The replica's answer is broken.")) from None
        self._settle()
        self._exchange.reply(shaped, self._fallback_header())

    def _fallback_header(self) -> bytes:
        asked = self._bill.asked
        return b"" if self._model is asked else shape.fallback_header(asked.name, self._model.name)

    def _settle(self) -> None:
        """The answer is complete."""
        self._bill.close(Outcome.COMPLETE)
        tokens, choice = self._bill.counted(), self._choice
        if choice is None:
            return
        choice.slot.breaker.succeeded()
        if tokens.prompt_tokens:
            prompt, cached = tokens.prompt_tokens, tokens.cached_tokens
            self._core.router.learn(choice, Answer(prompt, cached, tokens.completion_tokens or 0))
