"""Every case of the corpus over a real socket: the right refusal, nothing given away in it, and
the gateway as good as before.
"""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from serving.protocol import field
from tests.bad_input.case import ERROR, MODELS, Case, corpus, count
from tests.fakes import TOKEN, Call, FakeReplica, fake_replica
from tests.serving.gateway.rig import CHAT, HELLO, TEXT, Client, Reply, Rig, gateway

CASES = list(corpus())
ALLOWED = {CHAT: set(field.CHAT.kept), TEXT: set(field.COMPLETION.kept)}
#: Header lines that the engine hears; none of them is the caller's.
TO_ENGINE = {"host", "authorization", "content-type", "content-length", "x-request-id"}
#: What a message must not hold: a traceback, a path, an address in memory, an exception's name.
TELLTALE = re.compile(r"Traceback|File \"|/\w+/\w+|0x[0-9a-f]{6,}|\w+(Error|Exception)\b")
#: The caller's own words in a message.
QUOTED = re.compile(r"'[^']*'")
#: Characters of the caller's own text that may come back.
ECHO_CHARS = 64


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        fake_replica(FakeReplica(count=count)) as replica,
        gateway(folder, replica, models=MODELS) as rig,
    ):
        yield rig


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_a_case_is_answered_as_the_corpus_says_and_harms_nobody(
    rig: Rig, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    engine = rig.replicas[0]
    engine.calls.clear()
    client = await rig.connect()
    await client.send(case.request)
    reply = await read(client, case)
    check_answer(case, reply)
    check_calls(case, engine.calls)
    if reply.headers.get("connection") == "close":
        assert await client.is_closed()
    else:
        await greet(client)
    await greet(await rig.connect())
    for used in rig.clients:
        await used.close()
    rig.clients.clear()
    assert [record.getMessage() for record in caplog.records] == []


async def read(client: Client, case: Case) -> Reply:
    if not case.is_head:
        return await client.reply(5)
    async with asyncio.timeout(5):
        return Reply(*await client.head(), b"")


async def greet(client: Client) -> None:
    await client.request("POST", CHAT, HELLO)
    assert (await client.reply(5)).status == 200


def check_answer(case: Case, reply: Reply) -> None:
    assert reply.status in case.statuses, reply.body[:300]
    assert reply.headers["x-request-id"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert not {"server", "access-control-allow-origin"} & set(reply.headers)
    for name, value in case.answers.items():
        assert reply.headers[name] == value
    if reply.status >= 400 and not case.is_head:
        check_error(case, reply)


def check_error(case: Case, reply: Reply) -> None:
    assert reply.headers["content-type"] == "application/json"
    error = reply.error
    wanted = "service_unavailable_error" if reply.status == 503 else ERROR
    assert error["type"] == wanted
    assert error["code"] in case.codes
    assert error["param"] == case.param
    message = error["message"]
    assert 0 < len(message) < 500
    assert not TELLTALE.search(QUOTED.sub("", message)), message
    assert echo_chars(message, case.request) <= ECHO_CHARS, message


def echo_chars(message: str, request: bytes) -> int:
    """The longest stretch of the message, up to one too many, that the request has as well."""
    sent = request[:65_536].decode("utf-8", "replace")
    width = ECHO_CHARS + 1
    pieces = (message[at : at + width] for at in range(len(message) - ECHO_CHARS))
    return width if any(piece in sent for piece in pieces) else 0


def check_calls(case: Case, calls: list[Call]) -> None:
    assert len(calls) == case.calls
    for call in calls:
        assert set(call.body) <= ALLOWED[call.path]
        assert set(call.headers) <= TO_ENGINE
        assert call.headers["authorization"] == f"Bearer {TOKEN}"
        assert {name: call.body.get(name) for name in case.sees} == case.sees


def test_the_corpus_is_large_and_every_id_is_one_cases_own() -> None:
    ids = [case.id for case in CASES]
    assert len(ids) >= 400
    assert len(set(ids)) == len(ids)
