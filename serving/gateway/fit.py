"""Which model answers a request, and with how many tokens. The pure part is serving/context.py;
this one counts.

The cheapest bound is the length of the body as it came: no text is longer decoded than it was in
JSON, and the JSON around a message is longer than what a template puts there.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from serving.context import (
    CAUTIOUS_FACTS,
    NeedsCount,
    Range,
    TooLong,
    chain,
    choose,
    explain,
    token_range,
)
from serving.errors import ApiError, Refusal
from serving.gateway.config import Model
from serving.gateway.refusal import unavailable
from serving.protocol import Checked
from serving.protocol.fast import Fast, FastChat
from serving.snapshot import ReplicaReport, TokenFacts

#: Bytes of JSON around one message beyond its text: `{"role":"user","content":""}`.
_JSON_AROUND_MESSAGE = 28


class Fitted(msgspec.Struct, frozen=True):
    model: Model
    #: What to send as `max_tokens` where the caller named none.
    max_tokens: int | None = None


class Fitter:
    """Walks the fallback names for one request, counting at most once per replica set."""

    def __init__(
        self,
        models: Mapping[str, Model],
        report_of: Callable[[str], ReplicaReport | None],
        count: Callable[[str, Checked], Awaitable[int | None]],
    ) -> None:
        self._models = models
        self._report_of = report_of
        self._count = count

    def quick(self, checked: Checked, model: Model) -> Fitted | None:
        """The answer where the length of the body is proof enough; most requests end here."""
        payload = checked.payload
        if not isinstance(payload, Fast):
            return None
        report = self._report_of(model.replica_set)
        facts = CAUTIOUS_FACTS if report is None else report.facts or CAUTIOUS_FACTS
        most = checked.body_bytes + facts.request_overhead_tokens
        if isinstance(payload, FastChat):
            beyond = max(0, facts.message_overhead_tokens - _JSON_AROUND_MESSAGE)
            most += len(payload.messages) * beyond
        if most + (checked.max_tokens or 1) > model.window_tokens:
            return None
        if checked.max_tokens is not None:
            return Fitted(model)
        if report is not None and report.window_tokens > model.window_tokens:
            return None
        return self._unasked(checked, model)

    async def fit(self, checked: Checked, model: Model) -> Fitted:
        candidates = chain(self._models, model)
        size = checked.size()
        ranges = {m.replica_set: token_range(size, self._facts(m)) for m in candidates}
        while True:
            choice = choose(candidates, ranges, _asked(checked))
            if isinstance(choice, TooLong):
                raise self._too_long(choice, checked)
            if isinstance(choice, NeedsCount):
                await self._settle(choice.model, checked, ranges)
                continue
            return await self._limited(choice.model, checked, ranges)

    def _facts(self, model: Model) -> TokenFacts | None:
        report = self._report_of(model.replica_set)
        return None if report is None else report.facts

    async def _settle(self, model: Model, checked: Checked, ranges: dict[str, Range]) -> None:
        """Replaces a range by the count, or by its upper end when there is none to be had."""
        count = await self._count(model.replica_set, checked)
        most = ranges[model.replica_set].most
        exact = Range(most, most, is_guess=True) if count is None else Range(count, count)
        ranges[model.replica_set] = exact

    async def _limited(self, model: Model, checked: Checked, ranges: dict[str, Range]) -> Fitted:
        """Keeps an answer of unnamed length inside this model's window where the engine's is
        larger.
        """
        report = self._report_of(model.replica_set)
        if checked.max_tokens is not None:
            return Fitted(model)
        if report is None or report.window_tokens <= model.window_tokens:
            return self._unasked(checked, model)
        tokens = ranges[model.replica_set]
        if tokens.least != tokens.most:
            await self._settle(model, checked, ranges)
        if ranges[model.replica_set].is_guess:
            raise unavailable()  # a guess would cut the answer short without a word
        return Fitted(model, max(1, model.window_tokens - ranges[model.replica_set].most))

    def _unasked(self, checked: Checked, model: Model) -> Fitted:
        """Chat has no default limit; for completions vLLM's is 16, so the rest of the window is
        asked for.
        """
        if checked.is_chat:
            return Fitted(model)
        report = self._report_of(model.replica_set)
        engine = report.window_tokens if report is not None else 0
        return Fitted(model, min(model.window_tokens, engine) if engine else model.window_tokens)

    @staticmethod
    def _too_long(choice: TooLong, checked: Checked) -> ApiError:
        if choice.tokens.is_guess:
            return unavailable()
        param = "messages" if checked.is_chat else "prompt"
        message = explain(choice, _asked(checked))
        return ApiError(Refusal.CONTEXT_LENGTH_EXCEEDED, message, param=param)


def _asked(checked: Checked) -> int | None:
    """Tokens that the window must have room for beside the prompt."""
    return checked.max_tokens or checked.min_tokens or None
