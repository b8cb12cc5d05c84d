"""HTTP at the level of bytes: what a stranger can do to a connection."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from serving import bounds
from tests.fakes import FakeReplica
from tests.serving.gateway.rig import CHAT, HELLO, KEY, QUICK, Client, Rig, encode, gateway

GOOD = encode("POST", CHAT, HELLO)
AUTH = f"Authorization: Bearer {KEY}\r\n"
JSON = "Content-Type: application/json\r\n"
HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{AUTH}{JSON}"


@pytest.mark.parametrize(
    "raw",
    [
        f"GET /v1/models HTTP/1.1\r\n{AUTH}\r\n",
        f"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n{AUTH}\r\n",
        HEAD + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + "Content-Length: -1\r\n\r\n",
        HEAD + "Content-Length: +5\r\n\r\nhello",
        HEAD + "Content-Length: 5,5\r\n\r\nhello",
        HEAD + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + "Transfer-Encoding: identity\r\n\r\n",
        HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + "X-Folded: a\r\n b\r\n\r\n",
        HEAD + "X-Bad\x00: a\r\n\r\n",
        HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        HEAD + f"Transfer-Encoding: chunked\r\n\r\n1;{'x' * 65_536}\r\n{{\r\n0\r\n\r\n",
        "GET /v1/models HTTP/3.0\r\nHost: x\r\n\r\n",
        "get /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{AUTH}Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_46_a_framing_fault_is_400_and_the_end(rig: Rig, raw: str) -> None:
    client = await rig.connect()
    await client.send(raw.encode("latin-1"))
    reply = await client.reply()
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert reply.headers["connection"] == "close"
    assert await client.is_closed()


async def test_too_many_or_too_large_headers_are_431(rig: Rig) -> None:
    for headers in (
        "".join(f"x-{n}: y\r\n" for n in range(101)),
        f"x: {'y' * 70_000}\r\n",
        "".join(f"x-{n}: {'y' * 2_000}\r\n" for n in range(40)),
    ):
        client = await rig.connect()
        await client.send(f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (431, "request_too_large")
        assert await client.is_closed()


async def test_a_header_that_never_ends_is_431(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nx: ")
    for _ in range(70):
        await client.send(b"y" * 1_024)
    assert (await client.reply()).status == 431


async def test_a_long_url_is_414(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(f"GET /{'a' * 65_536} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await client.reply()).status == 414
    assert await client.is_closed()


async def test_44_a_body_over_the_limit_is_413_before_it_is_sent(
    rig: Rig, replica: FakeReplica
) -> None:
    length = bounds.BODY_BYTES + 1
    client = await rig.connect()
    await client.send(f"{HEAD}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n".encode())
    reply = await client.reply()
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert await client.is_closed()
    assert replica.calls == []


async def test_44_a_chunked_body_over_the_limit_is_413(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    for _ in range(11):
        await client.send(chunk)
    reply = await client.reply()
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


async def test_a_chunked_body_is_read(rig: Rig) -> None:
    raw = json.dumps(HELLO).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in raw)
    client = await rig.connect()
    await client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
    await client.send(b"0\r\n\r\n" + GOOD)
    assert (await client.reply()).status == 200
    assert (await client.reply()).status == 200


async def test_expect_100_is_answered_when_the_body_may_come(rig: Rig) -> None:
    raw = json.dumps(HELLO).encode()
    client = await rig.connect()
    await client.send(f"{HEAD}Content-Length: {len(raw)}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert (await client.head())[0] == 100
    await client.send(raw)
    assert (await client.reply()).status == 200


async def test_45_pipelined_requests_are_answered_in_order(rig: Rig, replica: FakeReplica) -> None:
    client = await rig.connect()
    models = encode("GET", "/v1/models")
    await client.send(GOOD + models + GOOD + encode("GET", "/nowhere") + GOOD)
    replies = [await client.reply() for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 404, 200]
    assert "data" in replies[1].json
    assert len(replica.calls) == 3


async def test_45_a_fault_behind_a_good_request_does_not_harm_its_answer(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(GOOD + b"NONSENSE\r\n\r\n")
    assert (await client.reply()).status == 200
    assert (await client.reply()).status == 400
    assert await client.is_closed()


async def test_45_what_is_answered_as_a_client_says_that_it_is_done_is_still_read(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(2 * encode("GET", "/v1/models"))
    client.writer.write_eof()
    async with asyncio.timeout(5):
        assert (await client.reader.read()).count(b"HTTP/1.1 200") == 2


async def test_many_pipelined_bytes_wait_unread(rig: Rig, replica: FakeReplica) -> None:
    client = await rig.connect()
    count = 600
    await client.send(GOOD * count)
    for _ in range(count):
        assert (await client.reply()).status == 200
    assert len(replica.calls) == count


async def test_a_request_byte_by_byte_is_a_request(rig: Rig) -> None:
    client = await rig.connect()
    for byte in GOOD:
        await client.send(bytes([byte]))
    assert (await client.reply()).status == 200


async def test_a_refusal_of_a_half_sent_body_comes_at_once_and_closes(
    rig: Rig, replica: FakeReplica
) -> None:
    client = await rig.connect()
    await client.send(
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: 99\r\n\r\n{{".encode()
    )
    reply = await client.reply()
    assert reply.status == 401
    assert reply.headers["connection"] == "close"
    assert replica.calls == []


async def test_connection_close_is_obeyed(rig: Rig) -> None:
    client = await rig.connect()
    await client.request("GET", "/v1/models", connection="close")
    assert (await client.reply()).headers["connection"] == "close"
    assert await client.is_closed()


async def test_http_1_0_is_served_and_kept_alive_when_asked(rig: Rig) -> None:
    client = await rig.connect()
    keep = f"GET /v1/models HTTP/1.0\r\n{AUTH}Connection: keep-alive\r\n\r\n".encode()
    await client.send(keep)
    assert (await client.reply()).headers["connection"] == "keep-alive"
    await client.send(f"GET /v1/models HTTP/1.0\r\n{AUTH}\r\n".encode())
    assert (await client.reply()).status == 200
    assert await client.is_closed()


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [("abc_DEF-1", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("<b>", False)],
)
async def test_49_a_request_id_is_kept_only_if_it_is_harmless(
    rig: Rig, given: str, is_kept: bool
) -> None:
    reply = await rig.ask("GET", "/v1/models", x_request_id=given)
    assert (reply.headers["x-request-id"] == given) == is_kept


async def test_two_authorization_headers_are_401(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{AUTH}{AUTH}\r\n".encode())
    assert (await client.reply()).error["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /v1/chat", f"{HEAD}Content-Length: 9\r\n\r\n{{".encode(), GOOD],
    ids=["nothing", "half a head", "half a body", "idle after an answer"],
)
async def test_43_a_client_that_says_no_more_is_closed(
    tmp_path: Path, replica: FakeReplica, sent: bytes
) -> None:
    short = replace(QUICK, headers_s=0.1, body_s=0.1, keep_alive_s=0.1)
    async with gateway(tmp_path, replica, deadlines=short) as rig:
        client = await rig.connect()
        await client.send(sent)
        if sent == GOOD:
            assert (await client.reply()).status == 200
        assert await client.is_closed()


async def test_43_a_slow_head_is_closed_although_bytes_keep_coming(
    tmp_path: Path, replica: FakeReplica
) -> None:
    async with gateway(tmp_path, replica, deadlines=replace(QUICK, headers_s=0.2)) as rig:
        client = await rig.connect()
        await client.send(b"GET /v1/models HTTP/1.1\r\n")
        with pytest.raises((ConnectionError, RuntimeError)):  # uvloop's word for closed
            await drip(client)


async def drip(client: Client) -> None:
    async with asyncio.timeout(5):
        while True:
            await client.send(b"x: y\r\n")
            await asyncio.sleep(0.01)
