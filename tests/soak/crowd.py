"""The clients of a soak: each tenant comes at moments of its own, on connections that are kept or
new, and notes what it saw.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable

from serving.gateway.refusal import quarantined
from tests.bad_input.case import corpus
from tests.faults.site import kind_of
from tests.serving.gateway.rig import Client, Reply
from tests.soak.asking import (
    BROKEN,
    COMPLETE,
    LEFT,
    LISTED,
    QUARANTINED,
    Asked,
    Manner,
    Question,
    Questions,
    tokens_of,
)
from tests.soak.tenant import Account, pause_s

#: The gateways' own deadline is shorter.
LIMIT_S = 30.0
#: Kept connections.
MOST_IDLE = 16
#: More are not under way at one time; what would be is not asked.
MOST_AT_ONCE = 400
#: What nobody may hear whose key is good and whose model is there.
STRANGER = (401, 403, 404)
_BROKEN = (ConnectionError, asyncio.IncompleteReadError)


class Crowd:
    def __init__(self, port: int, accounts: list[Account], dice: random.Random) -> None:
        self._port = port
        self._accounts = accounts
        self._dice = dice
        # An answer of 5xx that is as it should be would look like a fault.
        cases = [case for case in corpus() if not case.is_head and max(case.statuses) < 500]
        self._questions = Questions(dice, cases)
        self._idle: deque[Client] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self.asked: list[Asked] = []

    async def come(
        self, seconds: float, requests_per_s: float, meanwhile: asyncio.Task[None]
    ) -> None:
        """For so long, and until `meanwhile` is over; returns when the last one has its answer."""
        coming = [asyncio.create_task(self._comes(each, requests_per_s)) for each in self._accounts]
        await asyncio.gather(asyncio.sleep(seconds), meanwhile)
        for each in coming:
            each.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        await asyncio.gather(*self._under_way)
        while self._idle:
            await self._idle.pop().close()

    async def _comes(self, account: Account, requests_per_s: float) -> None:
        while True:
            await asyncio.sleep(pause_s(account.tenant, requests_per_s, self._dice))
            for _ in range(account.tenant.burst):
                self._begin(self._questions.next(account))

    def _begin(self, question: Question) -> None:
        if len(self._under_way) < MOST_AT_ONCE:
            task = asyncio.create_task(self._ask(question))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _ask(self, question: Question) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        kind, reply, problem = BROKEN, None, None
        try:
            async with asyncio.timeout(LIMIT_S):
                kind, reply = await self._outcome(question)
        except _BROKEN:
            pass
        except TimeoutError:
            kind, problem = "no answer", f"no answer within {LIMIT_S:.0f} s"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer as promised
            kind, problem = "wrong", f"{type(error).__name__}: {error}"[:300]
        is_whole = kind == COMPLETE and reply is not None
        self.asked.append(
            Asked(
                number=question.number,
                key_id=question.account.key_id,
                kind=kind,
                request_id=None if reply is None else reply.headers.get("x-request-id"),
                tokens=tokens_of(reply) if is_whole and reply is not None else None,
                began_s=began_s,
                ended_s=loop.time(),
                case=question.case.id if question.case else None,
                problem=problem,
            )
        )

    async def _outcome(self, question: Question) -> tuple[str, Reply | None]:
        client = await self._connection()
        try:
            await client.send(question.request)
            match question.manner:
                case Manner.LEAVES_BEFORE:
                    return await _leave(client, question)
                case Manner.LEAVES_MIDSTREAM:
                    return await self._leave_midstream(client, question)
                case _:
                    pass
            reply = await client.reply(LIMIT_S)
        except ValueError as error:
            client.reset()
            if client.reader.at_eof():  # its next chunk never came
                raise ConnectionResetError from error
            raise
        except BaseException:
            client.reset()
            raise
        await self._keep(client, reply)
        return _judged(question, reply), reply

    async def _leave_midstream(
        self, client: Client, question: Question
    ) -> tuple[str, Reply | None]:
        """With the first bytes of a stream; whoever gets no stream has its whole answer."""
        status, headers = await client.head()
        if headers.get("transfer-encoding") != "chunked":
            reply = Reply(status, headers, await client.reader.readexactly(_length(headers)))
            await self._keep(client, reply)
            return _judged(question, reply), reply
        await client.reader.readline()
        await client.close()
        return LEFT, Reply(status, headers, b"")

    async def _connection(self) -> Client:
        while self._idle and self._dice.random() < 0.7:
            client = self._idle.popleft()  # before its gateway finds that it has idled too long
            if not client.reader.at_eof() and not client.writer.is_closing():
                return client
            await client.close()
        return Client(*await asyncio.open_connection("127.0.0.1", self._port, limit=2**22))

    async def _keep(self, client: Client, reply: Reply) -> None:
        if reply.headers.get("connection") == "close" or len(self._idle) >= MOST_IDLE:
            await client.close()
        else:
            self._idle.append(client)


async def _leave(client: Client, question: Question) -> tuple[str, Reply | None]:
    await asyncio.sleep(question.patience_s)
    how: Callable[[], None] = client.reset if question.number % 2 else client.writer.close
    how()
    return LEFT, None


def _length(headers: dict[str, str]) -> int:
    return int(headers["content-length"])


def _is_quarantined(reply: Reply) -> bool:
    return reply.status == 500 and reply.error["message"] == quarantined().message


def _judged(question: Question, reply: Reply) -> str:
    """Raises AssertionError where the answer is none that is promised."""
    kind = QUARANTINED if _is_quarantined(reply) else kind_of(reply)
    case = question.case
    if case is not None and reply.status < 500 and reply.status != 429:
        assert reply.status in case.statuses, f"{case.id}: {kind}"
        return kind if kind != COMPLETE or case.calls else LISTED
    assert case is not None or reply.status not in STRANGER, f"of a key that is known: {kind}"
    return kind
