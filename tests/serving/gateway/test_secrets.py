"""Planted words (a key, a prompt, the engines' token) turn up nowhere but where they belong."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.gateway import shape
from tests.fakes import TOKEN, FakeReplica, dies, errs_after, hangs, refuses, says
from tests.serving.gateway.rig import CHAT, KEY, TEXT, Rig

PROMPT = "canary-4711-of-a-prompt"
SECRET = KEY[12:]
PLANTED = (PROMPT, SECRET, TOKEN)
BODY = {"model": "tiny", "messages": [{"role": "user", "content": PROMPT}]}
LEAKY = f'Traceback: /srv/vllm/engine.py {PROMPT} {{"token":"{TOKEN}"}} 0x7fffdeadbeef'


def found_in(text: str) -> list[str]:
    return [word for word in PLANTED if word in text]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def all_reprs() -> list[str]:
    """Of everything alive that a module of ours made."""
    gc.collect()  # what the test before has left is not alive
    alive = gc.get_objects()
    return [repr(thing) for thing in alive if str(type(thing).__module__).startswith("serving.")]


async def test_no_error_and_no_log_line_holds_a_planted_word(
    rig: Rig, replica: FakeReplica, log: pytest.LogCaptureFixture
) -> None:
    failures = [
        refuses(400, LEAKY),
        refuses(500, LEAKY),
        refuses(422, PROMPT),
        dies,
        says(LEAKY.encode()),
        errs_after("a", message=LEAKY),
    ]
    for failure in failures:
        replica.behaviour = failure
        for stream in (False, True):
            reply = await rig.ask("POST", CHAT, {**BODY, "stream": stream})
            shown = reply.body.decode() + str(reply.headers)
            if failure is not failures[2]:  # an engine's plain words about a request are passed on
                assert found_in(shown) == []
    wrong = [
        {**BODY, "temperature": PROMPT},
        {**BODY, "stop": [PROMPT] * 9},
        {**BODY, "tools": [{"type": "function", "function": {"name": PROMPT + "!"}}]},
    ]
    for body in wrong:
        assert found_in((await rig.ask("POST", CHAT, body)).body.decode()) == []
    assert found_in(log.text) == []


async def test_a_fault_of_ours_is_logged_without_what_it_was_about(
    rig: Rig, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise KeyError(PROMPT, SECRET)

    monkeypatch.setattr(shape, "chat", fail)
    reply = await rig.ask("POST", CHAT, BODY)
    assert reply.status == 500
    assert found_in(reply.body.decode()) == []
    assert "KeyError at test_secrets.py" in log.text
    assert found_in(log.text) == []


async def test_no_object_shows_a_planted_word_while_requests_are_under_way(
    rig: Rig, replica: FakeReplica
) -> None:
    replica.behaviour = hangs
    clients = [await rig.connect() for _ in range(3)]
    await clients[0].request("POST", CHAT, BODY)
    await clients[1].request("POST", CHAT, {**BODY, "top_k": 5})
    await clients[2].request("POST", TEXT, {"model": "tiny", "prompt": PROMPT})
    await replica.until(lambda: replica.running == 3)
    shown = "\n".join(all_reprs())
    assert "ClientConnection" in shown
    assert "Checked(" in shown
    assert found_in(shown) == []


async def test_what_is_kept_of_a_request_holds_no_planted_word(rig: Rig, tmp_path: Path) -> None:
    await rig.ask("POST", CHAT, BODY, x_session_id="session", x_request_id="mine")
    await rig.records()
    kept = written(tmp_path)
    assert "tiny" in kept
    assert found_in(kept) == []


def written(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.rglob("*") if path.is_file())


async def test_the_engine_hears_neither_key_nor_cookie_nor_the_callers_id(
    rig: Rig, replica: FakeReplica
) -> None:
    await rig.ask("POST", CHAT, BODY, cookie=f"a={SECRET}", x_request_id="mine", x_evil=SECRET)
    heard = str(replica.calls[0].headers)
    assert SECRET not in heard
    assert "mine" not in heard
    assert set(replica.calls[0].headers) == {
        *("host", "authorization", "content-type", "x-request-id", "content-length")
    }


async def test_a_task_of_a_request_shows_no_planted_word(rig: Rig, replica: FakeReplica) -> None:
    replica.behaviour = hangs
    client = await rig.connect()
    await client.request("POST", CHAT, BODY)
    await replica.until(lambda: replica.running == 1)
    assert found_in("\n".join(repr(task) for task in asyncio.all_tasks())) == []
