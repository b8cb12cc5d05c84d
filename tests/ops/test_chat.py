"""A conversation with a real gateway before a scripted engine, and the same through the command."""

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ops.chat import Chat, Endpoint, Terminal
from ops.conversation import Conversation
from ops.endpoint import Address
from tests.fakes import Call, FakeReplica, answers, dies_after, fake_replica, hangs_after
from tests.serving.gateway.conftest import pytest_asyncio_loop_factories
from tests.serving.gateway.rig import KEY, Rig, gateway, model

__all__ = ["pytest_asyncio_loop_factories"]

MODELS = [model("tiny", window_tokens=4_096), model("small", replica_set="tiny", window_tokens=64)]


async def follows(call: Call) -> None:
    """Hangs, dies or answers, as the last question says."""
    said = call.body["messages"][-1]["content"]
    script = {"hang": hangs_after("Well", ","), "die": dies_after("Oh")}
    await script.get(said, answers)(call)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with (
        fake_replica(FakeReplica(behaviour=follows)) as replica,
        gateway(tmp_path, replica, models=MODELS) as running,
    ):
        yield running


class Typed:
    """A terminal of which every line is known before."""

    def __init__(self, *lines: str) -> None:
        self._lines = iter(lines)
        self.shown = ""
        self.told: list[str] = []

    def terminal(self) -> Terminal:
        return Terminal(self._read, self._show, self.told.append)

    def _read(self) -> str:
        line = next(self._lines, None)
        if line is None:
            raise EOFError
        if line == "^C":
            raise KeyboardInterrupt
        return line

    def _show(self, piece: str) -> None:
        self.shown += piece


async def talk(rig: Rig, *lines: str, name: str = "tiny", **parameters: Any) -> tuple[Typed, Any]:
    """In a thread of its own, as the command runs it."""
    typed, held = Typed(*lines), Conversation(name)
    address = Address(f"http://127.0.0.1:{rig.port}/v1")
    chat = Chat(Endpoint(address, KEY, parameters), held, typed.terminal())
    await asyncio.to_thread(chat.run)
    return typed, held


def sent(rig: Rig, number: int) -> list[str]:
    return [each["content"] for each in rig.replicas[0].calls[number].body["messages"]]


async def test_what_was_said_is_told_with_the_next_question(rig: Rig) -> None:
    typed, _ = await talk(rig, "one", "", "two")
    assert typed.shown == "Hello there.\nHello there.\n"
    assert sent(rig, 1) == ["one", "Hello there.", "two"]


async def test_clear_forgets_and_exit_leaves(rig: Rig) -> None:
    await talk(rig, "one", "/clear", "two", "/exit", "three")
    assert sent(rig, 1) == ["two"]
    assert len(rig.replicas[0].calls) == 2


async def test_a_model_is_listed_chosen_and_a_wrong_name_is_helped(rig: Rig) -> None:
    typed, held = await talk(rig, "/model", "/model smal", "/model small")
    assert typed.told[0] == "tiny small"
    assert "did you mean `small`?" in typed.told[1]
    assert held.model == "small"


async def test_a_conversation_is_saved_as_a_request(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    typed, _ = await talk(rig, "one", f"/save {path}", f"/save {tmp_path}/no/where")
    assert json.loads(path.read_text()) == {
        "model": "tiny",
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "Hello there."},
        ],
    }
    assert typed.told == [f"wrote {path}", f"{tmp_path}/no/where: No such file or directory"]


async def test_what_does_not_fit_the_window_is_left_out_from_the_oldest_on(rig: Rig) -> None:
    questions = [f"{number} " + "word " * 80 for number in range(4)]
    typed, held = await talk(rig, *questions, name="small", max_tokens=8)
    assert len(held.turns) == 4
    assert sent(rig, 3)[-1] == questions[3].strip()
    assert len(sent(rig, 3)) < 7
    assert typed.told[-1].startswith("without the first")


async def test_a_question_that_fits_no_window_is_said_and_the_talk_goes_on(rig: Rig) -> None:
    typed, held = await talk(rig, "word " * 200, "hi", name="small", max_tokens=8)
    assert "The window is 64 tokens" in typed.told[0]
    assert [turn.question for turn in held.turns] == ["hi"]


async def test_an_answer_that_breaks_off_stays_as_far_as_it_came(rig: Rig) -> None:
    typed, held = await talk(rig, "die", "hi")
    assert typed.shown == "Oh\nHello there.\n"
    assert [turn.answer for turn in held.turns] == ["Oh", "Hello there."]
    assert typed.told


async def test_ctrl_c_at_the_prompt_only_says_how_to_leave(rig: Rig) -> None:
    typed, _ = await talk(rig, "^C", "hi")
    assert typed.told == ["Ctrl-D or /exit leaves"]
    assert typed.shown == "Hello there.\n"


async def test_an_endpoint_that_is_gone_is_a_line_with_the_next_command() -> None:
    typed = Typed("hi")
    endpoint = Endpoint(Address("http://127.0.0.1:1/v1"), KEY, {})
    await asyncio.to_thread(Chat(endpoint, Conversation("tiny"), typed.terminal()).run)
    assert "`flotilla status` says what runs" in typed.told[0]


# The command, as a process
async def run(
    rig: Rig | None, *arguments: str, question: bytes = b"", key: str = KEY
) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "chat", *arguments),
        env=environment(rig, key),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate(question)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


def environment(rig: Rig | None, key: str) -> dict[str, str]:
    url = f"http://127.0.0.1:{rig.port if rig else 1}/v1"
    return {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": key}


async def test_a_question_by_a_pipe_is_answered_and_that_is_all(rig: Rig) -> None:
    assert await run(rig, question=b"hi") == (0, "Hello there.\n", "")


async def test_as_json_the_answer_comes_with_its_usage(rig: Rig) -> None:
    status, output, _ = await run(rig, "hi", "there", "--json", "--model", "tiny")
    assert status == 0
    answer = json.loads(output)
    assert (answer["model"], answer["answer"]) == ("tiny", "Hello there.")
    assert answer["usage"]["completion_tokens"] == 3
    assert sent(rig, 0) == ["hi there"]


@pytest.mark.parametrize(
    ("arguments", "key", "said"),
    [
        (["hi"], "sk-wrong", "`flotilla keys create NAME` makes one"),
        (["hi", "--model", "tinny"], KEY, "did you mean `tiny`?"),
    ],
)
async def test_what_is_wrong_is_one_line_with_the_way_out(
    rig: Rig, arguments: list[str], key: str, said: str
) -> None:
    status, output, errors = await run(rig, *arguments, key=key)
    assert (status, output) == (1, "")
    assert said in errors
    assert len(errors.splitlines()) == 1


async def test_ctrl_c_cuts_the_answer_and_not_the_program(rig: Rig) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "chat"),
        env=environment(rig, KEY),
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(theirs)
    try:
        os.write(ours, b"hang\n")
        await until(process.stdout, "Well,")
        process.send_signal(signal.SIGINT)
        await until(process.stderr, "cut")
        await wait_for(lambda: rig.replicas[0].aborted == 1)
        os.write(ours, b"hi\n\x04")
        await until(process.stdout, "Hello there.")
        async with asyncio.timeout(10):
            _, errors = await process.communicate()
        assert (process.returncode, errors.decode().strip()) == (0, "")
    finally:
        os.close(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert sent(rig, 1) == ["hang", "Well,", "hi"]


async def until(stream: asyncio.StreamReader | None, said: str) -> None:
    assert stream is not None
    async with asyncio.timeout(60):
        await stream.readuntil(said.encode())


async def wait_for(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110 - the fake counts, and tells nobody
            await asyncio.sleep(0.01)
