"""Clients that leave, read slowly, or ask when it is too late: rows 38 to 42."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from serving.bounds import WRITE_BUFFER_BYTES
from serving.gateway import server
from tests.fakes import Call, hangs, hangs_after
from tests.faults.site import Faulty, Site, replicas, until
from tests.faults.test_overload import expect
from tests.live.hosts import Hosts, missing
from tests.serving.gateway.rig import CHAT, HELLO, QUICK, Client, encode, handed

STREAM = {**HELLO, "stream": True}
READERS = 20
#: The least of which every share that the kernel is told is a whole second.
SILENCE_S = 4
ANYWHERE = ("0.0.0.0", 0)  # noqa: S104


def finish(client: Client) -> None:
    client.writer.close()


def reset(client: Client) -> None:
    client.reset()


def half_close(client: Client) -> None:
    client.writer.write_eof()


Leave = Callable[[Client], None]
LEAVING = pytest.mark.parametrize("leave", [finish, reset, half_close])


@LEAVING
async def test_39_a_client_that_leaves_while_queued_reaches_no_engine(
    faulty: Faulty, leave: Leave
) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        expect(site, 5.0)
        client = await site.connect()
        await client.request("POST", CHAT, HELLO)
        await until(lambda: site.core.meters.of("tiny").queued == 1)
        leave(client)
        await until(lambda: site.core.meters.of("tiny").queued == 0)
        site.saw("left")
        site.rig.publish()
        [record] = await site.invariants_hold()
    assert record["outcome"] == "client_gone"
    assert len(one.calls) == 1  # the plain request afterwards


async def test_39_a_client_that_leaves_while_it_is_counted_reaches_no_engine(
    faulty: Faulty,
) -> None:
    [one] = replicas(1)
    one.count = None
    async with faulty(one) as site:
        client = await site.connect()
        long = {**HELLO, "messages": [{"role": "user", "content": "x" * 5_000}]}
        await client.request("POST", CHAT, long)
        await one.until(lambda: one.counts == 1)
        finish(client)
        await one.until(lambda: one.aborted == 1, limit_s=1.0)
        site.saw("left")
        [record] = await site.invariants_hold()
    assert record["outcome"] == "client_gone"
    assert len(one.calls) == 1


@pytest.mark.parametrize("linger", [True, False], ids=["reset", "finish"])
@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
async def test_40_a_client_that_is_gone_as_its_request_is_read_is_recorded_too(
    faulty: Faulty, linger: bool, body: dict[str, object]
) -> None:
    async with faulty(*replicas(1)) as site:
        with socket.create_connection(("127.0.0.1", site.rig.port)) as client:
            # Closed in the same moment: the gateway finds request and end at once.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", linger, 0))
            client.sendall(encode("POST", CHAT, body))
        site.saw("left")
        await until(lambda: len(site.core.accepted) == 1)
        await site.invariants_hold()


@pytest.mark.parametrize("is_warm", [True, False], ids=["sent at once", "not begun"])
@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
async def test_40_a_client_that_leaves_in_the_turn_its_request_came_is_recorded_too(
    faulty: Faulty, is_warm: bool, body: dict[str, object]
) -> None:
    [one] = replicas(1)
    async with faulty(one) as site:
        if is_warm:  # there is a connection to the replica
            await site.chat()
        handed(site.core, body).client_left()
        site.saw("left")
        *_, record = await site.invariants_hold()
    assert (record["request_id"], record["outcome"]) == ("f" * 32, "client_gone")
    assert record["attempts"] == is_warm
    assert len(one.calls) == 1 + is_warm


@LEAVING
@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
async def test_40_a_client_that_leaves_in_prefill_is_noticed_by_the_engine(
    faulty: Faulty, leave: Leave, body: dict[str, object]
) -> None:
    [one] = replicas(1)
    one.script = [hangs]
    async with faulty(one) as site:
        client = await site.connect()
        await client.request("POST", CHAT, body)
        await one.until(lambda: one.running == 1)
        await left(site, client, leave)
        [record] = await site.invariants_hold()
    assert record["outcome"] == "client_gone"


@LEAVING
async def test_41_a_client_that_leaves_mid_stream_is_noticed_and_metered(
    faulty: Faulty, leave: Leave
) -> None:
    [one] = replicas(1)
    one.script = [hangs_after("a", "b", "c")]
    async with faulty(one) as site:
        client = await site.connect()
        await client.request("POST", CHAT, STREAM)
        await client.reader.readuntil(b'"content":"c"')
        await left(site, client, leave)
        [record] = await site.invariants_hold()
    assert (record["outcome"], record["completion_tokens"]) == ("client_gone", 2)


async def left(site: Site, client: Client, leave: Leave) -> None:
    """The client leaves and the engine hears of it."""
    [one] = site.rig.replicas
    site.strikes()
    leave(client)
    await one.until(lambda: one.aborted == 1, limit_s=1.0)
    site.saw("left")
    site.measured("engine stops after", 1000 * (site.core.loop.time() - (site.struck_s or 0)), "ms")


async def test_38_slow_readers_are_bounded_in_memory_and_cut_and_slow_nobody_else(
    faulty: Faulty,
) -> None:
    async def pours(call: Call) -> None:
        await call.start_stream()
        while True:
            await call.event(call.chunk("x" * 16_384))

    [one] = replicas(1)
    one.script = [pours] * READERS
    async with faulty(one) as site:
        readers = [await stuck(site) for _ in range(READERS)]
        for reader in readers:
            await reader.request("POST", CHAT, STREAM)
        await until(lambda: len(paused(site)) == READERS)
        assert (await site.chat(stream=True)).events[-1] == "[DONE]"
        most_bytes = max(paused(site))
        assert most_bytes <= 4 * WRITE_BUFFER_BYTES
        site.measured("kept for one of them at most", most_bytes / 1024, "KiB")
        site.core.deadlines = replace(QUICK, write_s=0.1)
        await one.until(lambda: one.aborted == READERS)
        for _ in readers:
            site.saw("cut off")


def paused(site: Site) -> list[int]:
    """Bytes in memory for each client that takes nothing."""
    found = [client for client in site.rig.server._connections if client._stalled_s]
    return [client._transport.get_write_buffer_size() for client in found]


async def stuck(site: Site) -> Client:
    """A client with hardly any buffer that never reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    await site.core.loop.sock_connect(sock, ("127.0.0.1", site.rig.port))
    client = Client(*await asyncio.open_connection(sock=sock, limit=1_024))
    site.rig.clients.append(client)
    return client


async def test_42_the_kernel_is_asked_to_find_a_client_behind_a_dead_nat(faulty: Faulty) -> None:
    """For how long, where it is not made short to be waited for; needs no root."""
    async with faulty(*replicas(1)) as site:
        client = await site.connect()
        await until(lambda: bool(site.rig.server._connections))
        [connection] = site.rig.server._connections
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
        await client.close()


@pytest.fixture
def nat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    """A network with one client, whose silence the gateway soon takes for its end."""
    if missing():
        pytest.skip(missing())
    monkeypatch.setattr(server, "CLIENT_SILENCE_S", SILENCE_S)
    with Hosts(1, "nat", "10.83.0") as hosts:
        yield hosts


@pytest.mark.parametrize("body", [HELLO, STREAM], ids=["whole", "stream"])
async def test_42_a_client_behind_a_dead_nat_is_found_in_prefill(
    faulty: Faulty, nat: Hosts, body: dict[str, object]
) -> None:
    """Nothing is written to it: the kernel has to ask by itself."""
    [one] = replicas(1)
    one.script = [hangs]
    async with faulty(one, at=ANYWHERE) as site:
        client = await behind(nat, site)
        await client.request("POST", CHAT, body)
        await one.until(lambda: one.running == 1)
        await lost(site, nat)
        [record] = await site.invariants_hold()
    assert (record["outcome"], record["completion_tokens"]) == ("client_gone", 0)


async def test_42_a_client_behind_a_dead_nat_is_found_as_its_engine_thinks(
    faulty: Faulty, nat: Hosts
) -> None:
    """It has taken all that was written, and again the kernel has to ask."""
    [one] = replicas(1)
    one.script = [hangs_after("a", "b", "c")]
    async with faulty(one, at=ANYWHERE) as site:
        client = await behind(nat, site)
        await client.request("POST", CHAT, STREAM)
        await client.reader.readuntil(b'"content":"c"')
        await lost(site, nat)
        [record] = await site.invariants_hold()
    assert (record["outcome"], record["completion_tokens"]) == ("client_gone", 2)


async def test_42_a_client_behind_a_dead_nat_is_found_mid_stream_and_metered(
    faulty: Faulty, nat: Hosts
) -> None:
    """What its engine goes on to say is acknowledged by nobody."""
    made = 0

    async def talks(call: Call) -> None:
        nonlocal made
        await call.start_stream()
        while True:
            await call.event(call.chunk("a"))
            made += 1
            await asyncio.sleep(0.05)

    [one] = replicas(1)
    one.script = [talks]
    async with faulty(one, at=ANYWHERE) as site:
        client = await behind(nat, site)
        await client.request("POST", CHAT, STREAM)
        await client.reader.readuntil(b'"content":"a"')
        heard = made
        await lost(site, nat)
        [record] = await site.invariants_hold()
    assert record["outcome"] == "client_gone"
    # The first event of a chat is no token, and the last may have been under way.
    assert heard < made - 2 <= record["completion_tokens"] < made


async def behind(nat: Hosts, site: Site) -> Client:
    """A client on the host of this network."""
    sock = nat.socket_on(1)
    sock.setblocking(False)
    # Or its end would be told to a network that is gone, for minutes.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", True, 0))
    await site.core.loop.sock_connect(sock, (nat.own_address, site.rig.port))
    client = Client(*await asyncio.open_connection(sock=sock))
    site.rig.clients.append(client)
    return client


async def lost(site: Site, nat: Hosts) -> None:
    """The network forgets the client, whose connection stays open; the engine hears of it."""
    [one] = site.rig.replicas
    site.strikes()
    nat.cut_off(1)
    await one.until(lambda: one.aborted == 1, limit_s=3 * SILENCE_S)
    site.saw("lost")
    took_s = site.core.loop.time() - (site.struck_s or 0)
    # Sooner would be a network that told of it.
    assert took_s > SILENCE_S / 2
    site.measured(f"of {SILENCE_S} s of silence, engine stops after", took_s, "s")
