"""The gateway over TLS: real sockets, the official client, strangers that never finish a handshake,
a certificate that changes under load.
"""

import asyncio
import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import openai
import pytest

from serving.gateway import certificate as certificate_module
from serving.gateway import tls as tls_module
from serving.gateway.certificate import Certificate, TlsFiles
from serving.gateway.tls import Handshakes, TlsConnection
from tests.fakes import FakeReplica, hangs, hangs_after, streams
from tests.serving.gateway.certificates import knowing, make_pair, missing
from tests.serving.gateway.rig import CHAT, HELLO, KEY, QUICK, Client, Rig, encode, gateway
from tests.serving.gateway.storm import Storm

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

STREAM = {**HELLO, "stream": True}


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return make_pair(tmp_path / "tls")


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_module, "LOOK_S", 0.02)


@pytest.fixture
async def rig(replica: FakeReplica, tmp_path: Path, files: TlsFiles) -> Any:
    async with gateway(tmp_path, replica, certificate=Certificate(files), tls=knowing(files)) as up:
        yield up


async def plain(rig: Rig) -> Client:
    """A connection without TLS."""
    client = Client(*await asyncio.open_connection("127.0.0.1", rig.port))
    rig.clients.append(client)
    return client


# What clients get
async def test_the_official_client_gets_answers_and_streams(rig: Rig) -> None:
    http = openai.DefaultAsyncHttpxClient(verify=cast(ssl.SSLContext, rig.tls))
    url = f"https://127.0.0.1:{rig.port}/v1"
    async with openai.AsyncOpenAI(
        base_url=url, api_key=KEY, max_retries=0, http_client=http
    ) as api:
        assert [m.id async for m in api.models.list()] == ["tiny"]
        stream = await api.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(said) == "Hello there."


async def test_a_token_goes_out_before_the_next_one_is_made(rig: Rig, replica: FakeReplica) -> None:
    more = asyncio.Event()
    replica.behaviour = streams("a", "b", pause=more, before=1)
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    await client.reader.readuntil(b'"content":"a"')
    more.set()
    await client.reader.readuntil(b"[DONE]")


async def test_an_answer_of_many_records_comes_whole(rig: Rig, replica: FakeReplica) -> None:
    text = "".join(f"{n:07d}" for n in range(200_000))

    async def answers_at_length(call: Any) -> None:
        await call.reply_json(call.whole(text))

    replica.behaviour = answers_at_length
    reply = await rig.chat()
    assert reply.json["choices"][0]["message"]["content"] == text


async def test_requests_on_one_connection_are_answered_in_order(rig: Rig) -> None:
    client = await rig.connect()
    await client.send(encode("GET", "/healthz") + encode("POST", CHAT, HELLO))
    assert (await client.reply()).json == {"status": "ok"}
    assert (await client.reply()).json["object"] == "chat.completion"
    await client.send(encode("GET", "/healthz", headers={"connection": "close"}))
    assert (await client.reply()).status == 200
    assert await client.is_closed()


async def test_a_body_of_many_records_is_read_to_its_end(rig: Rig) -> None:
    reply = await rig.chat(messages=[{"role": "user", "content": "x" * 150_000}])
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")


async def test_the_answer_to_a_body_that_is_not_read_is_not_reset_away(
    tmp_path: Path, files: TlsFiles
) -> None:
    deadlines = replace(QUICK, linger_s=5.0)
    async with gateway(
        tmp_path, deadlines=deadlines, certificate=Certificate(files), tls=knowing(files)
    ) as rig:
        client = await plain(rig)
        hand = HandMade(cast(ssl.SSLContext, rig.tls), client)
        await hand.shake()
        too_long = {"content-length": str(20 * 2**20), "content-type": "application/json"}
        await hand.send(encode("POST", CHAT, headers=too_long))
        assert (await hand.receive()).startswith(b"HTTP/1.1 413 ")
        await client.send(b"x" * 1_000_000)
        client.writer.write_eof()
        await client.reader.read()


async def test_http_1_1_is_agreed_on_and_old_versions_are_not(rig: Rig) -> None:
    context = cast(ssl.SSLContext, rig.tls)
    context.set_alpn_protocols(["h2", "http/1.1"])
    client = await rig.connect()
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await rig.connect()


async def test_tls_1_2_works_too(rig: Rig) -> None:
    cast(ssl.SSLContext, rig.tls).maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await rig.chat()).status == 200


# Clients that leave or stop reading
def closes_politely(client: Client) -> None:
    client.writer.close()


def resets(client: Client) -> None:
    client.reset()


def half_closes_the_socket(client: Client) -> None:
    """A FIN without a word of TLS."""
    own = client.writer.get_extra_info("socket")
    with socket.socket(fileno=socket.dup(own.fileno())) as twin:
        twin.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("leave", [closes_politely, resets, half_closes_the_socket])
@pytest.mark.parametrize("behaviour", [hangs, hangs_after("a")], ids=["prefill", "mid-stream"])
async def test_a_client_that_leaves_frees_the_engine_within_a_second(
    rig: Rig, replica: FakeReplica, leave: Callable[[Client], None], behaviour: Any
) -> None:
    replica.behaviour = behaviour
    client = await rig.connect()
    await client.request("POST", CHAT, STREAM)
    await replica.until(lambda: replica.running == 1)
    if behaviour is not hangs:
        await client.reader.readuntil(b'"content":"a"')
    leave(client)
    await replica.until(lambda: replica.aborted == 1, limit_s=1.0)
    assert [r["outcome"] for r in await rig.records()] == ["client_gone"]


async def test_a_slow_reader_pauses_the_engine_and_is_cut(
    tmp_path: Path, replica: FakeReplica, files: TlsFiles
) -> None:
    sent = 0

    async def pours(call: Any) -> None:
        nonlocal sent
        await call.start_stream()
        for _ in range(4_000):
            await call.event(call.chunk("x" * 16_384))
            sent += 16_384

    replica.behaviour = pours
    deadlines = replace(QUICK, write_s=0.3)
    async with gateway(
        tmp_path, replica, deadlines=deadlines, certificate=Certificate(files), tls=knowing(files)
    ) as rig:
        client = await rig.connect()
        cast(asyncio.Transport, client.writer.transport).pause_reading()
        await client.request("POST", CHAT, STREAM)
        await replica.until(lambda: replica.aborted == 1)
        assert sent < 20 * 2**20


# Those who do not speak TLS, or do not get on with it
async def test_plain_http_is_told_to_use_https_and_the_log_stays_clean(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    client = await plain(rig)
    await client.request("POST", CHAT, HELLO)
    reply = await client.reply()
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert "https://" in reply.error["message"]
    await client.send(b"x" * 100_000)
    assert await client.is_closed()
    assert caplog.records == []


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 64,
        b"\x80\x2e\x01\x03\x01",
        b"\x16\x03\x01\xff\xff" + b"\x00" * 70_000,
        b"\x16\x03\x01\x00\x05hello",
        b"\x16HTTP",
    ],
    ids=["zeros", "ssl2", "huge-record", "no-hello", "nearly"],
)
async def test_what_is_no_handshake_is_closed_and_harms_nobody(
    tmp_path: Path, files: TlsFiles, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    deadlines = replace(QUICK, handshake_s=0.2)
    async with gateway(
        tmp_path, deadlines=deadlines, certificate=Certificate(files), tls=knowing(files)
    ) as rig:
        client = await plain(rig)
        await client.send(raw)
        with_alert = b"\x15"
        async with asyncio.timeout(2):
            with suppress(ConnectionError):
                assert (await client.reader.read())[:1] in (b"", with_alert)
        assert (await rig.ask("GET", "/healthz")).status == 200
    assert caplog.records == []


async def test_a_handshake_that_is_never_finished_is_ended_and_stops_nobody(
    tmp_path: Path, files: TlsFiles
) -> None:
    deadlines = replace(QUICK, handshake_s=1.0)
    async with gateway(
        tmp_path, deadlines=deadlines, certificate=Certificate(files), tls=knowing(files)
    ) as rig:
        silent, begun = await plain(rig), await plain(rig)
        await begun.send(first_flight(cast(ssl.SSLContext, rig.tls)))
        assert (await begun.reader.read(1)) == b"\x16"
        assert (await rig.ask("GET", "/healthz")).status == 200
        assert await silent.is_closed()
        async with asyncio.timeout(2):
            await begun.reader.read()


class HandMade:
    """TLS over a plain connection, a flight at a time."""

    def __init__(self, context: ssl.SSLContext, client: Client) -> None:
        self._client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)

    async def begin(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        await self._client.send(self._outgoing.read())

    async def shake(self) -> None:
        await self.begin()
        await self.end()

    async def end(self) -> None:
        self._incoming.write(await self._client.reader.read(65_536))
        self._tls.do_handshake()

    async def send(self, data: bytes) -> None:
        self._tls.write(data)
        await self._client.send(self._outgoing.read())

    async def send_and_close(self, data: bytes) -> None:
        """With the word that nothing more comes, in one segment."""
        self._tls.write(data)
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        await self._client.send(self._outgoing.read())

    async def receive(self) -> bytes:
        while True:
            with suppress(ssl.SSLWantReadError):
                return self._tls.read(65_536)
            self._incoming.write(await self._client.reader.read(65_536))


async def test_an_answer_is_read_by_a_client_that_says_at_once_that_it_is_done(rig: Rig) -> None:
    client = await plain(rig)
    hand = HandMade(cast(ssl.SSLContext, rig.tls), client)
    await hand.shake()
    await hand.send_and_close(encode("GET", "/v1/models"))
    assert b'"tiny"' in await hand.receive()


def first_flight(context: ssl.SSLContext) -> bytes:
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


async def test_of_too_many_handshakes_the_oldest_makes_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "HANDSHAKES", 3)
    silent = [await plain(rig) for _ in range(5)]
    assert (await rig.ask("GET", "/healthz")).status == 200
    assert [await client.is_closed() for client in silent[:3]] == [True] * 3
    assert not any(client.reader.at_eof() for client in silent[3:])


class FakeLoop:
    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def time(self) -> float:
        return 0.0

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.due.append(callback)


class FakeTransport:
    def __init__(self) -> None:
        self.written = b""
        self.is_paused = False

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return False


def test_a_turn_of_the_loop_does_one_step_of_one_handshake(files: TlsFiles) -> None:
    loop, sockets = FakeLoop(), [FakeTransport() for _ in range(3)]
    handshakes = Handshakes(Certificate(files), QUICK, cast(Any, loop))
    for sock in sockets:
        connection = TlsConnection(cast(Any, None), handshakes)
        connection.connection_made(cast(Any, sock))
        connection.data_received(first_flight(knowing(files)))
    for answered in (0, 1, 2):
        assert [bool(sock.written) for sock in sockets].count(True) == answered
        assert [sock.is_paused for sock in sockets].count(True) == 3 - answered
        (turn,) = loop.due
        loop.due.clear()
        turn()
    assert loop.due == []


# A certificate that changes
async def shown_to(rig: Rig) -> bytes:
    """The certificate that a new client sees."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, ssl=anybody)
    del reader
    seen: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return seen


def der(files: TlsFiles) -> bytes:
    return ssl.PEM_cert_to_DER_cert(files.certificate.read_text())


def trusting_all(*pairs: TlsFiles) -> ssl.SSLContext:
    context = knowing(pairs[0])
    for files in pairs[1:]:
        context.load_verify_locations(files.certificate)
    return context


@pytest.mark.usefixtures("quick_looks")
async def test_a_new_certificate_is_taken_up_under_load_and_no_request_fails(
    tmp_path: Path, files: TlsFiles, replica: FakeReplica
) -> None:
    fresh = make_pair(tmp_path / "fresh")
    more = asyncio.Event()
    replica.behaviour = streams("a", "b", pause=more, before=1)
    async with gateway(
        tmp_path, replica, certificate=Certificate(files), tls=trusting_all(files, fresh)
    ) as rig:
        old = await rig.connect()
        await old.request("POST", CHAT, STREAM)
        await old.reader.readuntil(b'"content":"a"')
        storm = Storm(rig.port, rig.tls)
        await storm.until(50)
        for name in ("key", "certificate"):
            getattr(fresh, name).replace(getattr(files, name))
        async with asyncio.timeout(5):
            while await shown_to(rig) != der(files):
                await storm.until(storm.answers + 1)
        await storm.until(storm.answers + 50)
        await storm.stop()
        assert storm.failures == []
        more.set()
        await old.reader.readuntil(b"[DONE]")


@pytest.mark.usefixtures("quick_looks")
async def test_half_a_file_leaves_the_certificate_before_in_use(
    rig: Rig, files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    before = der(files)
    files.certificate.write_bytes(files.certificate.read_bytes()[:200])
    async with asyncio.timeout(5):
        while not caplog.records:  # noqa: ASYNC110 - written by a thread
            await asyncio.sleep(0.02)
    assert await shown_to(rig) == before
    assert (await rig.chat()).status == 200


# Leaving
async def test_a_handshake_under_way_is_finished_by_a_gateway_that_leaves(rig: Rig) -> None:
    silent, begun = await plain(rig), await plain(rig)
    hand = HandMade(cast(ssl.SSLContext, rig.tls), begun)
    await hand.begin()
    leaving = asyncio.create_task(rig.drain(grace_s=5))
    assert await silent.is_closed()
    await hand.end()
    await hand.send(encode("GET", "/healthz"))
    assert b"connection: close" in await hand.receive()
    await leaving
