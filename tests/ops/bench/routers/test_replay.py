import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from ops.bench import wire
from ops.bench.routers.replay import Send, replay, sends
from ops.bench.routers.trace import Ask
from ops.bench.shape import Target

WORDING = wire.Wording("tiny", is_chat=True)
WHOLE = WORDING.opening() + WORDING.piece(3) + WORDING.ending(None)
Reply = Callable[[asyncio.StreamWriter], None]


def answers(body: bytes, status: str = "200 OK") -> Reply:
    def write(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)

    return write


def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def says_nothing(writer: asyncio.StreamWriter) -> None:
    """Until the client leaves."""


@asynccontextmanager
async def router(reply: Reply) -> AsyncIterator[Target]:
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.append(task)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.rpartition(b"Content-Length: ")[2]))
                reply(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Target(server.sockets[0].getsockname()[1], "tiny")
    await asyncio.gather(*served)


def asked(target: Target, count: int) -> tuple[Send, ...]:
    return sends([Ask(0.0, 10, 3, (number,)) for number in range(count)], target, speed=1.0)


async def test_every_request_is_sent_once_and_its_tokens_are_counted() -> None:
    async with router(answers(WHOLE)) as target:
        replies = await replay(asked(target, 5), [target], patience_s=10)

    assert len(replies.first_s) == len(replies.total_s) == 5
    assert replies.tokens == 15
    assert not replies.errors
    assert all(
        0 < first <= total for first, total in zip(replies.first_s, replies.total_s, strict=True)
    )


async def test_several_targets_are_asked_in_turn() -> None:
    async with router(answers(WHOLE)) as good, router(answers(b"{}", "503 No")) as bad:
        replies = await replay(asked(good, 6), [good, bad], patience_s=10)

    assert len(replies.total_s) == 3
    assert replies.errors == {"status 503": 3}


async def test_a_reply_that_is_cut_or_lost_is_an_error_and_has_no_times() -> None:
    async with router(answers(WHOLE[:-20])) as cut, router(hangs_up) as lost:
        replies = await replay(asked(cut, 2), [cut, lost], patience_s=10)

    assert replies.errors == {"no end marker": 1, "connection lost": 1}
    assert replies.first_s == replies.total_s == []


async def test_what_never_ends_is_counted_when_the_patience_is_over() -> None:
    async with router(says_nothing) as target:
        replies = await replay(asked(target, 2), [target], patience_s=0.05)

    assert replies.errors == {"no end in time": 2}


async def test_a_router_that_is_not_there_is_an_error() -> None:
    async with router(says_nothing) as target:
        pass

    replies = await replay(asked(target, 1), [target], patience_s=10)

    assert replies.errors == {"cannot connect: ConnectionRefusedError": 1}


def test_requests_are_due_when_the_trace_has_them_at_the_speed_of_the_wall() -> None:
    asks = [Ask(second, 10, 3, (1,)) for second in (0.0, 10.0)]

    first, second = sends(asks, Target(1, "tiny", "sk-x"), speed=5.0)

    assert (first.due_s, second.due_s) == (0.0, 2.0)
    assert first.tokens == 3
    assert b"\r\nAuthorization: Bearer sk-x\r\n" in first.request
