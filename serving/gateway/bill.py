"""What one request has cost, as it becomes known, and its one usage record.

Rules
- The record is written once, with the first word of how the request ended, and before the last byte
  that says an answer is complete. What it would be if the gateway were killed is noted before a
  replica gets the request.
- What a limit is charged goes by the same numbers, in the same moment.
"""

from typing import TYPE_CHECKING

from serving.gateway.config import Model
from serving.gateway.ending import is_estimated
from serving.gateway.exchange import Exchange
from serving.gateway.limiter import cost
from serving.gateway.sse import EventFilter, Tokens
from serving.limits.account import Hold
from serving.protocol import Checked
from serving.usage import Outcome, Sent, UsageRecord

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore

_NO_TOKENS = Tokens()


class Bill:
    __slots__ = (
        "_core",
        "_hold",
        "_slot",
        "_started_wall_s",
        "answer",
        "asked",
        "attempts",
        "checked",
        "events",
        "exchange",
        "first_token_s",
        "model",
        "record",
        "replica_id",
        "started_s",
    )

    def __init__(
        self,
        core: "GatewayCore",
        exchange: Exchange,
        checked: Checked,
        asked: Model,
        hold: Hold | None,
    ) -> None:
        self._core = core
        self.exchange = exchange
        self.checked = checked
        self.asked = asked
        #: What is reserved of the limits of whoever asks.
        self._hold = hold
        self.started_s = core.loop.time()
        self._started_wall_s = core.wall_clock()
        #: From the request to the first token of its stream; None before.
        self.first_token_s: float | None = None
        #: When it is closed.
        self.record: UsageRecord | None = None
        #: The model that answers; another than the one asked for after a fallback.
        self.model = asked
        #: Of the try under way, or the last.
        self.replica_id = ""
        self.attempts = 0
        #: Where the spool has noted it.
        self._slot: int | None = None
        #: What a stream has brought so far.
        self.events: EventFilter | None = None
        #: The engine's word in a whole answer.
        self.answer: Tokens | None = None

    def sent_to(self, replica_id: str) -> None:
        self.replica_id = replica_id
        self.attempts += 1
        spool, before = self._core.spool, self._slot
        self._slot = spool.note(self._sent())
        spool.let_go(before)

    def began(self) -> float:
        """The first token is here: how long after the request."""
        if self.first_token_s is None:
            self.first_token_s = self._core.loop.time() - self.started_s
        return self.first_token_s

    def grow(self) -> None:
        """Charges what a stream has made beyond its reservation."""
        if self._hold is not None and self.events is not None:
            self._hold.grow(self.events.events)

    def counted(self) -> Tokens:
        if self.events is not None:
            return self.events.counted(self.checked.n if self.checked.is_chat else 0)
        return _NO_TOKENS if self.answer is None else self.answer

    def close(self, outcome: Outcome, *, is_stopped: bool = False) -> None:
        """Does nothing the second time. `is_stopped`: we ended it while an engine may have been at
        work.
        """
        if self.record is not None:
            return
        if outcome is Outcome.COMPLETE and self.events is not None:
            self.began()  # a stream that came in one piece
        tokens = self.counted()
        self.record = self._recorded(tokens, outcome)
        try:
            self._core.spool.append(self.record)
        finally:
            self._core.spool.let_go(self._slot)
            self._settle(tokens, is_stopped)
        self._core.counters.add(self.record, self.first_token_s)

    def _settle(self, tokens: Tokens, is_stopped: bool) -> None:
        """With whoever's limits it was reserved of."""
        if self._hold is not None:
            sent = tokens if self.attempts else None
            is_abandoned = self.exchange.is_gone or is_stopped
            self._hold.settle(cost(self._hold, sent, self.events is not None, is_abandoned))

    def _sent(self) -> Sent:
        return Sent(
            self.exchange.id,
            self.exchange.key_id,
            self.exchange.tenant,
            self.asked.name,
            self.model.name,
            self.replica_id,
            self._started_wall_s,
            self.attempts,
            self.model.price,
        )

    def _recorded(self, tokens: Tokens, outcome: Outcome) -> UsageRecord:
        return UsageRecord(
            self.exchange.id,
            self.exchange.key_id,
            self.asked.name,
            self.model.name,
            self.replica_id,
            tokens.prompt_tokens,
            tokens.completion_tokens or 0,
            tokens.cached_tokens or 0,
            outcome,
            self._started_wall_s,
            self._core.loop.time() - self.started_s,
            self.attempts,
            self.exchange.tenant,
            is_estimated(outcome, self.attempts, self.events, self.answer),
            self.model.price,
        )
