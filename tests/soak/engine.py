"""What a scripted engine makes of its calls, well or badly, and its own count of the tokens.

Each call it began is one line in its log, which is there also when the process is killed.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import msgspec

from serving.replica.tally import Made, Tally
from tests.fakes import Call, usage

PREFILL_S = 0.02
TOKEN_S = 0.01
SLOWER = 10.0
PROMPT_TOKENS = 5
MOST_TOKENS = 30
#: A cut comes after so many.
SOME_TOKENS = 3
#: In a prompt, so that what a client saw and what an engine did can be laid beside each other.
_NUMBER = re.compile(r"number (\d+)")


class Ran(msgspec.Struct, frozen=True):
    """What an engine did for a call."""

    request_id: str
    replica_id: str
    #: The client's number of the request; -1 where it gave none.
    number: int
    tokens: int
    #: It made all it wanted to.
    is_whole: bool


@dataclass
class _Making:
    tokens: int = 0
    is_whole: bool = False


class Engine:
    def __init__(self, tally: Tally, log: IO[bytes], dice: random.Random) -> None:
        self._tally = tally
        self._log = log
        self._dice = dice
        self._pace_s = TOKEN_S
        self._manner: Callable[[Call, _Making], Awaitable[None]] = self._answer
        self._replica_id = ""

    def behave(self, manner: str) -> None:
        """From the next call on."""
        self._pace_s = TOKEN_S * SLOWER if manner == "slow" else TOKEN_S
        self._manner = {
            "garbles": self._garble,
            "cuts": self._cut,
            "errs": self._err,
            "refuses": self._refuse,
            "fails": self._fail,
        }.get(manner, self._answer)

    async def serve(self, call: Call) -> None:
        call.replica.calls.clear()
        try:
            await self._manner(call, _Making())
        except RuntimeError as closed:  # uvloop's word for it
            raise ConnectionResetError from closed

    # Ways to answer
    async def _answer(self, call: Call, making: _Making) -> None:
        wanted = self._wanted(call)
        with self._counted(call, making):
            await asyncio.sleep(PREFILL_S)
            if call.body.get("stream"):
                await self._stream(call, making, wanted)
                await call.event(call.usage_chunk(making.tokens))
                await call.send(b"data: [DONE]\n\n")
                making.is_whole = True
                await call.end_stream()
            else:
                await self._whole(call, making, wanted)

    async def _whole(self, call: Call, making: _Making, wanted: int) -> None:
        await asyncio.sleep(wanted * self._pace_s)
        making.tokens, making.is_whole = wanted, True
        await call.reply_json(call.whole(usage=usage(PROMPT_TOKENS, wanted)))

    async def _stream(self, call: Call, making: _Making, wanted: int) -> None:
        await call.start_stream()
        for number in range(1, wanted + 1):
            await asyncio.sleep(self._pace_s)
            making.tokens = number
            await call.event(call.chunk(f" {number}", "stop" if number == wanted else None))

    async def _cut(self, call: Call, making: _Making) -> None:
        with self._counted(call, making):
            if call.body.get("stream"):
                await self._stream(call, making, SOME_TOKENS)
            call.die()

    async def _err(self, call: Call, making: _Making) -> None:
        with self._counted(call, making):
            if not call.body.get("stream"):
                return await self._fail(call, making)
            await self._stream(call, making, SOME_TOKENS)
            error = {"message": "died", "type": "InternalServerError", "param": None, "code": 500}
            await call.event({"error": error})
            await call.send(b"data: [DONE]\n\n")
            return await call.end_stream()

    async def _garble(self, call: Call, making: _Making) -> None:
        with self._counted(call, making):
            making.tokens = SOME_TOKENS
            if not call.body.get("stream"):
                return await call.reply(b'{"id": NaN')
            await call.start_stream()
            await call.send(b'data: {"choices": [\n\n')
            return await call.end_stream()

    async def _refuse(self, call: Call, _: _Making) -> None:
        await self._error(call, 503)

    async def _fail(self, call: Call, _: _Making) -> None:
        await self._error(call, 500)

    async def _error(self, call: Call, status: int) -> None:
        error = {"message": "no", "type": "ServerError", "param": None, "code": status}
        await call.reply_json({"error": error}, status)

    # How
    def _wanted(self, call: Call) -> int:
        most = call.body.get("max_tokens") or call.body.get("max_completion_tokens") or MOST_TOKENS
        return min(self._dice.randint(1, MOST_TOKENS), most)

    @contextmanager
    def _counted(self, call: Call, making: _Making) -> Iterator[None]:
        """However it ends; as vLLM counts, tokens of an aborted request too."""
        kind = "chatcmpl" if call.is_chat else "cmpl"
        self._tally.began(call.id)
        try:
            yield
        finally:
            self._tally.ended(call.id, f"{kind}-{call.id}", Made(PROMPT_TOKENS, 0, making.tokens))
            self._note(call, making)

    def _note(self, call: Call, making: _Making) -> None:
        found = _NUMBER.search(str(call.body.get("messages") or call.body.get("prompt")))
        number = int(found[1]) if found else -1
        ran = Ran(call.id, call.replica.replica_id, number, making.tokens, making.is_whole)
        self._log.write(msgspec.json.encode(ran) + b"\n")
        self._log.flush()
