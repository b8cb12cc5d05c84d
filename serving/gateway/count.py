"""The exact tokens of a prompt, from a replica's own tokenizer. Bounded in time and tries; None
when it cannot be had.

A count changes nothing, so unlike a request it may be asked for again whatever became of it.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from serving.errors import ApiError
from serving.gateway.attempt import Attempt, Stale
from serving.gateway.pool import UpstreamConnection
from serving.gateway.refusal import DiedWithIt, NotTaken
from serving.gateway.upstream import Path, Upstream
from serving.protocol import Checked
from serving.routing.route import Ask
from serving.routing.table import Slot

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore


class _Count(msgspec.Struct):
    count: int


#: Replicas that are asked, one after the other.
MOST_ASKED = 3
#: Counting takes an engine nothing.
_NO_WORK = Ask(prompt_tokens=0)

_count = msgspec.json.Decoder(_Count)
_NOT_HAD = (ApiError, NotTaken, Stale, TimeoutError, msgspec.MsgspecError, ValueError)


class Counter:
    def __init__(self, core: "GatewayCore") -> None:
        self._core = core

    async def count(self, replica_set: str, checked: Checked) -> int | None:
        """Tokens of the prompt after the template; of several prompts the longest."""
        tried: list[str] = []
        while len(tried) < MOST_ASKED:
            choice = self._core.route(replica_set, _NO_WORK, tried)
            if choice is None:
                return None
            count = await self._count_at(choice.slot, checked, tried)
            if count is not None:
                return count
            tried.append(choice.slot.replica_id)
        return None

    async def _count_at(self, slot: Slot, checked: Checked, tried: list[str]) -> int | None:
        core = self._core
        target = core.upstream(slot)
        questions = _questions(checked, slot.report.served_name)
        limit_s = core.given_s(core.deadlines.count_s, slot, tried)
        try:
            async with asyncio.timeout(limit_s):
                return max([await self._ask(target, question, limit_s) for question in questions])
        except _NOT_HAD:
            return None

    async def _ask(self, target: Upstream, question: bytes, limit_s: float) -> int:
        kept = target.pool.idle()
        if kept is not None:
            with contextlib.suppress(Stale, DiedWithIt):  # perhaps lost while nobody looked
                return await self._ask_on(kept, target, question)
        return await self._ask_on(await target.connect(limit_s), target, question)

    async def _ask_on(
        self, connection: UpstreamConnection, target: Upstream, question: bytes
    ) -> int:
        expected = self._core.expected_id(target.slot)
        attempt = Attempt(expected, "", self._core.loop, target.slot.breaker)
        request = target.request(Path.COUNT, self._core.new_id(), question)
        return _count.decode(await attempt.carry(connection, request)).count


def _questions(checked: Checked, served_name: str) -> list[bytes]:
    payload: dict[str, Any] = checked.plain()
    if checked.is_chat:
        question = {"model": served_name, "messages": payload["messages"]}
        if "tools" in payload:
            question["tools"] = payload["tools"]
        return [msgspec.json.encode(question)]
    prompt = payload["prompt"]
    prompts = [prompt] if isinstance(prompt, str) else prompt
    return [msgspec.json.encode({"model": served_name, "prompt": text}) for text in prompts]
