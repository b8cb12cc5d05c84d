"""A try whose reply is a stream: passed on read by read, with no task and no JSON between."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from serving.bounds import Deadlines
from serving.gateway.attempt import Attempt
from serving.gateway.exchange import Exchange
from serving.gateway.refusal import DiedWithIt, translate_event, upstream
from serving.gateway.sse import DONE, EventFilter, Garbled


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of a stream from a replica to a client."""

    exchange: Exchange
    events: EventFilter
    deadlines: Deadlines
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

    __slots__ = ("_events", "_exchange", "_is_moving", "_is_paused", "_last_s", "_loop", "_passage")

    def __init__(
        self,
        expected: bytes | None,
        param: str,
        loop: asyncio.AbstractEventLoop,
        passage: Passage,
    ) -> None:
        super().__init__(expected, param, loop)
        self._loop = loop
        self._passage = passage
        self._exchange = passage.exchange
        self._events = passage.events
        self._last_s = loop.time()
        #: Since the last sweep, whose clock dates it: no look at a clock for each token.
        self._is_moving = False
        self._is_paused = False

    def on_data(self, data: bytes) -> None:
        if self.status != 200:
            super().on_data(data)
            return
        events, exchange = self._events, self._exchange
        self._is_moving = True
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
        if self.done.done():
            return
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
            self._succeed()

    def on_end(self) -> None:
        if self.status != 200:
            super().on_end()
            return
        self.is_over = True
        self._fail(DiedWithIt(upstream("The replica's stream ended early.")))

    def release(self) -> None:
        """A complete stream's connection may still owe its last chunk: it is given a moment."""
        if self._events.is_done and not self.is_over and self._connection is not None:
            self._connection.let_finish()
        else:
            super().release()

    def pause(self) -> None:
        self._is_paused = True
        super().pause()

    def resume(self) -> None:
        self._is_paused = False
        self._last_s = self._loop.time()
        super().resume()

    def sweep(self, now_s: float) -> None:
        if self._is_moving:
            self._is_moving, self._last_s = False, now_s
        if self._is_paused:
            return
        deadlines = self._passage.deadlines
        started = self._exchange.is_started
        limit_s = deadlines.between_tokens_s if started else deadlines.first_token_s
        if now_s - self._last_s > limit_s:
            self._fail(DiedWithIt(upstream("The replica has stopped making tokens.")))
