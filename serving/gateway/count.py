"""The exact tokens of a prompt, from a replica's own tokenizer. Bounded in time; None when it
cannot be had.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from serving.errors import ApiError
from serving.gateway.attempt import Attempt, Stale
from serving.gateway.pool import Saturated
from serving.gateway.refusal import NotTaken
from serving.gateway.upstream import Path, Upstream
from serving.protocol import Checked
from serving.routing.route import Ask

if TYPE_CHECKING:
    from serving.gateway.core import GatewayCore


class _Count(msgspec.Struct):
    count: int


#: Counting takes an engine nothing.
_NO_WORK = Ask(prompt_tokens=0)

_count = msgspec.json.Decoder(_Count)
_NOT_HAD = (ApiError, NotTaken, Stale, Saturated, OSError, msgspec.MsgspecError, ValueError)


class Counter:
    def __init__(self, core: "GatewayCore") -> None:
        self._core = core

    async def count(self, replica_set: str, checked: Checked) -> int | None:
        """Tokens of the prompt after the template; of several prompts the longest."""
        choice = self._core.route(replica_set, _NO_WORK)
        if choice is None:
            return None
        slot = choice.slot
        target = self._core.upstream(slot)
        questions = _questions(checked, slot.report.served_name)
        try:
            async with asyncio.timeout(self._core.deadlines.count_s):
                return max([await self._ask(target, question) for question in questions])
        except _NOT_HAD:
            return None

    async def _ask(self, target: Upstream, question: bytes) -> int:
        """Always on a connection of its own choosing: a stale one is just a count not had."""
        connection = target.pool.idle() or await target.pool.connect()
        expected = self._core.expected_id(target.slot)
        attempt = Attempt(expected, "", self._core.loop, target.slot.breaker)
        try:
            attempt.send(connection, target.request(Path.COUNT, self._core.new_id(), question))
            return _count.decode(await attempt.done).count
        finally:
            attempt.release()


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
