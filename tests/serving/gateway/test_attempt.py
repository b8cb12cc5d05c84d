"""A try by itself: what its connection reads, and what whoever sent it hears."""

import asyncio
from typing import Any

from serving.gateway.attempt import Attempt, Stale
from serving.gateway.exchange import Exchange
from serving.gateway.outbox import Outbox
from serving.gateway.parser import Head, Message
from serving.gateway.pool import UpstreamConnection
from serving.gateway.refusal import DiedWithIt, NotTaken
from serving.gateway.sse import EventFilter
from serving.gateway.stream import Passage, StreamAttempt
from serving.routing.breaker import Breaker
from tests.serving.gateway.rig import Nowhere
from tests.serving.gateway.test_pool import connected

OURS = b"tiny.0-a"
HEAD = b"HTTP/1.1 200 OK\r\nx-flotilla-replica: %b\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"id":"chatcmpl-1","choices":[{"index":0}]}\n\n'


class Ends:
    """How the tries ended that it was told of."""

    def __init__(self) -> None:
        self.all: list[Exception | None] = []

    def __call__(self, body: bytes, error: Exception | None) -> None:
        self.all.append(error)


def kept() -> UpstreamConnection:
    """What it is given goes out at the end of a turn."""
    return connected(Outbox(asyncio.get_running_loop()))


def attempt() -> Attempt:
    return Attempt(OURS, "messages", asyncio.get_running_loop(), Breaker())


def stream(exchange: Exchange) -> StreamAttempt:
    def nothing() -> None: ...

    given: dict[str, Any] = {"first_token_s": 1.0, "between_tokens_s": 1.0, "most_events": 9}
    events = EventFilter("tiny", "tiny", False)
    passage = Passage(exchange, events, extra=b"", settle=nothing, began=nothing, **given)
    return StreamAttempt(OURS, "messages", asyncio.get_running_loop(), Breaker(), passage)


async def test_a_stream_of_another_replica_is_not_passed_on_though_it_comes_with_its_head() -> None:
    for replica, is_passed_on in ((b"tiny.1-b", False), (OURS, True)):
        exchange = Exchange(Nowhere("f" * 32), Message(Head(), b""))
        connection, ends = kept(), Ends()
        stream(exchange).send(connection, b"POST", ends)
        connection.data_received(HEAD % replica + b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
        assert exchange.is_started is is_passed_on
        assert [type(end) for end in ends.all] == ([] if is_passed_on else [NotTaken])


async def test_whoever_is_lost_before_it_was_written_was_at_no_replica() -> None:
    for turns, expected in ((0, Stale), (1, DiedWithIt)):
        connection, ends = kept(), Ends()
        attempt().send(connection, b"POST", ends)
        for _ in range(turns):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        assert [type(end) for end in ends.all] == [expected]


async def test_what_was_written_to_a_connection_that_was_kept_may_be_at_its_replica() -> None:
    connection, ends = kept(), Ends()
    connection.is_reused = True
    attempt().send(connection, b"POST", ends)
    await asyncio.sleep(0)
    connection.connection_lost(None)
    [end] = ends.all
    assert isinstance(end, Stale)
    assert end.was_written
