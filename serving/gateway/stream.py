"""A try whose reply is a stream: passed on read by read, with no task and no JSON between.

Its watchdog goes by tokens: bytes that are none keep no stream alive. A stream that stands still is
given up; where the replica makes no tokens for anybody else either, it is the replica that hangs.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from serving.gateway.attempt import Attempt
from serving.gateway.exchange import Exchange
from serving.gateway.refusal import DiedWithIt, translate_event, upstream
from serving.gateway.sse import DONE, EventFilter, Garbled
from serving.routing.breaker import Breaker, Symptom


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of a stream from a replica to a client."""

    exchange: Exchange
    events: EventFilter
    #: Until the first token.
    first_token_s: float
    between_tokens_s: float
    #: Our own header lines for the client.
    extra: bytes
    #: An engine that makes more than this ignores its limit.
    most_events: int
    #: Makes the usage record, before `[DONE]` goes out.
    settle: Callable[[], None]
    #: Hears of the first event, once.
    began: Callable[[], None]


class StreamAttempt(Attempt):
    """Holds the status line until the first event is here; after that a failure is an event."""

    __slots__ = ("_events", "_exchange", "_is_paused", "_last_s", "_passage", "_swept_tokens")

    def __init__(
        self,
        expected: bytes | None,
        param: str,
        loop: asyncio.AbstractEventLoop,
        breaker: Breaker,
        passage: Passage,
    ) -> None:
        super().__init__(expected, param, loop, breaker)
        self._passage = passage
        self._exchange = passage.exchange
        self._events = passage.events
        self._last_s = loop.time()
        #: By the last sweep, whose clock dates what came since: no look at one for each token.
        self._swept_tokens = 0
        self._is_paused = False

    def on_data(self, data: bytes) -> None:
        if self.is_settled:  # by its head perhaps, which came with it
            return
        if self.status != 200:
            super().on_data(data)
            return
        events, exchange = self._events, self._exchange
        try:
            out = events.feed(data)
        except Garbled:
            self._fail(DiedWithIt(upstream("The replica's stream is broken.")))
            return
        if events.is_over:
            self._over(out)
        elif out:
            if exchange.is_started:
                exchange.write(out)
            else:
                exchange.start(out, self._passage.extra)
                self._passage.began()
            if events.events > self._passage.most_events:
                self._fail(DiedWithIt(upstream("The replica did not stop at the limit.")))

    def _over(self, out: bytes) -> None:
        """The engine's last word: `[DONE]`, or an error event that becomes ours."""
        exchange, error = self._exchange, self._events.error
        if error is None:
            self._passage.settle()
        if exchange.is_started:
            exchange.write(out)
        elif out or error is None:
            exchange.start(out, self._passage.extra)
            self._passage.began()
        if error is not None:
            self._fail(translate_event(error, self._param))
        else:
            exchange.finish(DONE)
            self._settle(b"", None)

    def on_end(self) -> None:
        if self.status != 200:
            super().on_end()
            return
        self.is_over = True
        self._fail(DiedWithIt(upstream("The replica's stream ended early."), Symptom.DIED))

    def _let_go(self) -> None:
        """A complete stream's connection may still owe its last chunk: it is given a moment."""
        if self._events.is_done and not self.is_over and self._connection is not None:
            self._connection.let_finish()
        else:
            super()._let_go()

    def pause(self) -> None:
        self._is_paused = True
        super().pause()

    def resume(self) -> None:
        self._is_paused = False
        self._last_s = self._loop.time()
        super().resume()

    def sweep(self, now_s: float) -> None:
        tokens = self._events.events
        if tokens != self._swept_tokens:
            self._swept_tokens = tokens
            self._last_s = self._breaker.progress_s = now_s
        if self._is_paused:
            return
        passage = self._passage
        limit_s = passage.between_tokens_s if tokens else passage.first_token_s
        if now_s - self._last_s > limit_s:
            self._stalled(now_s, limit_s)

    def _stalled(self, now_s: float, limit_s: float) -> None:
        if now_s - self._breaker.progress_s > limit_s:
            self._fail_hung()
        else:
            error = upstream("The replica makes tokens for others only.")
            self._fail(DiedWithIt(error, Symptom.FAILED))
