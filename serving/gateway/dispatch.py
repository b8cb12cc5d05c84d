"""Takes one fitted request through replicas until one of them has answered: its turn, a route, a
try, and one more where that may help.

Rules
- Before the client has a byte a failed try may go to another replica; after that never.
- A try's connection is closed on every way out, which is how an engine learns that nobody listens.
- Where nothing has to be waited for, which is nearly always, the first try is sent `at_once` and
  its end is a callback: no task, no coroutine, a tenth of what a request costs. Whatever else may
  come, another try above all, is `run`, or `go_on` behind a first try that failed.
- What it holds (a place, work at a replica, a share of the retry budget) is given back by `close`,
  whichever way it went.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from serving import bounds
from serving.gateway import shape
from serving.gateway.ask import ask_of
from serving.gateway.attempt import Attempt, Ended, Stale
from serving.gateway.bill import Bill
from serving.gateway.place import Place, place, place_at_once
from serving.gateway.pool import UpstreamConnection
from serving.gateway.refusal import DiedWithIt, NotTaken, unavailable, upstream
from serving.gateway.retries import Retries
from serving.gateway.sse import EventFilter
from serving.gateway.stream import Passage, StreamAttempt
from serving.gateway.turns import Stay
from serving.gateway.upstream import Path, Upstream
from serving.routing.breaker import Symptom
from serving.routing.route import Answer, Choice
from serving.routing.table import Flight, Slot
from serving.usage import Outcome

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore


class Dispatch:
    __slots__ = (
        "_ask",
        "_attempt",
        "_bill",
        "_checked",
        "_choice",
        "_core",
        "_exchange",
        "_flight",
        "_has_waited",
        "_is_counted",
        "_max_tokens",
        "_model",
        "_place",
        "_retries",
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
        self._ask = ask_of(self._exchange, self._checked, self._model, core.catalogue)
        self._attempt: Attempt | None = None
        self._choice: Choice | None = None
        self._flight: Flight | None = None
        #: None before its turn.
        self._place: Place | None = None
        #: Once a try has failed.
        self._retries: Retries | None = None
        #: Its work is counted as under way, and there may be more to give back.
        self._is_counted = False

    # What happens on the client's side
    def pause(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def resume(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()

    def sweep(self, now_s: float) -> None:
        stay = self._stay
        if stay is not None and not self._checked.streams:
            stay.sweep(now_s)
        if self._attempt is not None:
            self._attempt.sweep(now_s)

    def blame_for_silence(self) -> None:
        """A reply that never begins is all that is seen of a hang where nobody streams."""
        if self._attempt is not None and self._choice is not None:
            self._core.failed(self._choice.slot, Symptom.FAILED)

    # The way of nearly every request
    def at_once(self, ended: Ended) -> bool:
        """Sends the request, if a place, a replica and a connection to it are there: `ended` hears
        what became of it, and then it is for `finish` or `go_on`. False: for `run`, from where it
        got to.
        """
        self._arrive()
        self._place = place_at_once(self._core, self._bill, self._ask)
        if self._place is None:
            return False
        choice = self._route()
        if choice is None:
            return False
        # Before anybody else is routed, though a connection may take a while.
        self._depart(choice)
        target = self._core.upstream(choice.slot)
        request = self._request(target, b"")
        connection = target.pool.idle()
        if connection is None:
            return False
        self._bill.sent_to(choice.slot.replica_id)
        attempt = self._attempt = self._new_attempt(choice.slot)
        attempt.send(connection, request, ended)
        return True

    def finish(self, body: bytes) -> None:
        """The answer to what was sent at once. Raises NotTaken where it is none: then `go_on`."""
        if not self._checked.streams:
            self._reply(body)
        self.close()

    async def go_on(self, error: Exception) -> None:
        """After what was sent at once has failed so; as `run` otherwise."""
        try:
            self._release()
            await self._retry(error)
        finally:
            self.close()

    async def _retry(self, error: Exception) -> None:
        failure = await self._again_if_stale(error)
        if failure is not None:
            await self._try_in_turn(await self._another(failure))

    async def _again_if_stale(self, error: Exception) -> NotTaken | None:
        """The failure that stands. None: it has been answered."""
        if isinstance(error, Stale) and self._choice is not None:
            slot = self._choice.slot
            target = self._core.upstream(slot)
            try:
                await self._exchange_again(slot, target, self._request(target, b""), error)
            except NotTaken as failure:
                return failure.with_traceback(None)
            return None
        if isinstance(error, NotTaken):
            return error
        raise error

    # The way of all others, from its turn to its answer
    async def run(self) -> None:
        """Returns when the client has the whole answer. Raises ApiError, NotTaken."""
        self._arrive()
        try:
            await self._try_in_turn(self._choice or await self._first())
        finally:
            self.close()

    async def _first(self) -> Choice:
        """Departs to its first replica, when its turn has come."""
        found = self._place
        if found is None:
            has_waited = self._has_waited
            found = await place(self._core, self._bill, self._ask, has_waited=has_waited)
            self._place = found
        choice = found.choice or self._route()
        if choice is None:
            raise unavailable()
        self._depart(choice)
        return choice

    async def _try_in_turn(self, choice: Choice) -> None:
        """From the replica that it departed to on."""
        while True:
            try:
                return await self._try(choice.slot)
            except NotTaken as error:
                failure = error.with_traceback(None)
            choice = await self._another(failure)

    async def _another(self, failure: NotTaken) -> Choice:
        """Departs to another one after a try that failed so; raises what the client hears where it
        was the last.
        """
        if self._choice is None:
            raise failure
        slot = self._choice.slot
        self._core.failed(slot, failure.symptom)
        self._return()
        if self._retries is None:
            self._retries = Retries(self._core, self._bill)
        await self._retries.after(failure, slot.replica_id)
        choice = self._route()
        if choice is None:
            raise failure
        self._depart(choice)
        return choice

    def _route(self) -> Choice | None:
        return self._core.route(self._model.replica_set, self._ask, self._tried)

    @property
    def _tried(self) -> Collection[str]:
        return () if self._retries is None else self._retries.tried

    # What it holds
    def _arrive(self) -> None:
        """Does nothing the second time."""
        if not self._is_counted:
            self._is_counted = True
            self._core.meters.of(self._model.replica_set).arrived(self._checked.body_bytes)

    @property
    def _stay(self) -> Stay | None:
        """Its place, at a model whose places are counted."""
        return None if self._place is None else self._place.stay

    def _depart(self, choice: Choice) -> None:
        """To a replica, where its work counts from now on."""
        self._choice = choice
        self._flight = self._core.router.send(choice)

    def _return(self) -> None:
        """From there."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.close()

    def _release(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.release()

    def close(self) -> None:
        """Does nothing the second time."""
        if not self._is_counted:
            return
        self._is_counted = False
        self._release()
        self._return()
        stay = self._stay
        if stay is not None:
            stay.ended(self._bill.counted())
        self._core.meters.of(self._model.replica_set).ended(self._checked.body_bytes)
        if self._retries is not None:
            self._retries.close()

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
        request = self._request(target, extra)
        connection = target.pool.idle() or await self._connect(slot, target)
        try:
            await self._exchange_with(slot, connection, request)
        except Stale as stale:
            await self._exchange_again(slot, target, request, stale)

    def _request(self, target: Upstream, extra: bytes) -> bytes:
        """`extra` is whole header lines."""
        path = Path.CHAT if self._checked.is_chat else Path.COMPLETION
        salt = self._core.cache_salt(self._exchange.holder)
        body = self._checked.encode(target.slot.report.served_name, self._max_tokens, salt)
        return target.request(path, self._exchange.id, body, extra)

    async def _connect(self, slot: Slot, target: Upstream) -> UpstreamConnection:
        core = self._core
        limit_s = core.given_s(core.deadlines.connect_s, slot, self._tried)
        return await target.connect(limit_s)

    async def _exchange_again(
        self, slot: Slot, target: Upstream, request: bytes, stale: Stale
    ) -> None:
        """A replica that is gone now may have died with the request, if it had any of it."""
        try:
            connection = await self._connect(slot, target)
        except NotTaken as failure:
            if not stale.was_written:
                raise
            raise DiedWithIt(upstream(), failure.symptom) from None
        try:
            await self._exchange_with(slot, connection, request)
        except Stale:  # a new one, and closed before it was used
            raise NotTaken(upstream(), Symptom.DIED) from None

    async def _exchange_with(
        self, slot: Slot, connection: UpstreamConnection, request: bytes
    ) -> None:
        attempt = self._attempt = self._new_attempt(slot)
        try:
            body = await attempt.carry(connection, request)
        finally:
            self._attempt = None
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
        stay = self._stay
        if stay is not None:
            stay.began()
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
        except (msgspec.MsgspecError, ValueError) as error:
            # It stays behind the failure, and holds every frame down to whoever holds that.
            error.__traceback__ = None
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
