"""Every request is one line, which says no more than may be known; what cannot be written is
counted.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from serving.gateway import access_log
from serving.gateway.access_log import AccessLog
from serving.gateway.exchange import Exchange
from serving.gateway.parser import Head, Message
from tests.fakes import fake_replica, hangs
from tests.faults.site import until
from tests.serving.gateway.rig import CHAT, HELLO, KEY, KEY_RECORD, Rig, gateway, model

NOW_S = 1_795_780_800.25
SECRET = "what nobody may read"


class Wire:
    def write(self, data: bytes) -> None: ...
    def finished(self, keep_alive: bool) -> None: ...
    def new_id(self) -> str:
        return "0" * 32


def exchange() -> Exchange:
    made = Exchange(Wire(), Message(Head(), b""))
    made.reply(b"{}")
    return made


def log_of(folder: Path) -> AccessLog:
    return AccessLog(folder / "logs", "gw", lambda: NOW_S)


def text(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted((folder / "logs").iterdir()))


async def logged(rig: Rig, folder: Path, count: int) -> list[dict[str, Any]]:
    """The lines, when there are so many."""
    log = rig.core.access_log
    assert log is not None
    await until(lambda: len(log._lines) == count)
    await log.close()
    return [json.loads(line) for line in text(folder).splitlines()]


async def test_a_request_is_a_line_with_what_became_of_it(tmp_path: Path) -> None:
    models = [model(window_tokens=64, fallback="big"), model("big", replica_set="tiny")]
    async with fake_replica() as one, gateway(tmp_path, one, models=models) as rig:
        rig.core.access_log = log_of(tmp_path)
        one.count = lambda body: 95
        body = {**HELLO, "messages": [{"role": "user", "content": SECRET * 20}], "stream": True}
        reply = await rig.ask("POST", CHAT, body, x_request_id="mine-1")
        assert reply.status == 200
        [line] = await logged(rig, tmp_path, 1)
    assert line["time"] == "2026-11-27T12:00:00.250Z"
    assert (line["route"], line["status"], line["outcome"]) == ("chat", 200, "complete")
    assert (line["model"], line["answered"], line["replica"]) == ("tiny", "big", one.replica_id)
    assert (line["client_request_id"], line["key"]) == ("mine-1", KEY_RECORD.id)
    assert len(line["request_id"]) == 32
    assert line["duration_s"] >= line["first_token_s"] > 0
    assert line["completion_tokens"] > 0


async def test_refusals_and_clients_that_leave_are_lines_too(tmp_path: Path) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig:
        rig.core.access_log = log_of(tmp_path)
        await rig.ask("POST", CHAT, {**HELLO, "model": "nobody"})
        await rig.ask("GET", f"/v1/models?key={SECRET.replace(' ', '+')}")
        await rig.ask("POST", CHAT, HELLO, authorization="Bearer sk-wrong")
        one.script = [hangs]
        client = await rig.connect()
        await client.request("POST", CHAT, HELLO)
        await until(lambda: rig.core.budget.in_flight == 1)
        client.reset()
        lines = await logged(rig, tmp_path, 4)
    shown = [(line["route"], line["status"], line.get("reason")) for line in lines]
    assert shown[0] == ("chat", 404, "model_not_found")
    assert shown[1] == ("none", 401, "invalid_api_key")
    assert shown[2][1:] == (401, "invalid_api_key")
    assert shown[3][:2] == ("chat", 499)
    assert lines[3]["outcome"] == "client_gone"


async def test_no_line_holds_a_prompt_an_answer_a_key_or_a_path(tmp_path: Path) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig:
        rig.core.access_log = log_of(tmp_path)
        await rig.chat(messages=[{"role": "user", "content": SECRET}])
        await rig.chat(model=SECRET)
        await rig.ask("GET", "/" + SECRET.replace(" ", "-"))
        await rig.ask("GET", "/v1/models", x_request_id=SECRET)
        await logged(rig, tmp_path, 4)
    said = text(tmp_path)
    for secret in (SECRET, SECRET.replace(" ", "-"), KEY, KEY.split("-")[-1]):
        assert secret not in said


async def test_for_people_it_is_columns(tmp_path: Path) -> None:
    async with fake_replica() as one, gateway(tmp_path, one) as rig:
        log = rig.core.access_log = log_of(tmp_path)
        log.form = "text"
        await rig.chat()
        await rig.ask("GET", "/v1/models")
        await until(lambda: len(log._lines) == 2)
        await log.close()
    first, second = text(tmp_path).splitlines()
    assert first.startswith("12:00:00.250  200 chat ")
    assert one.replica_id in first
    assert "tokens" in first
    assert second.startswith("12:00:00.250  200 models ")


async def test_what_comes_too_fast_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "MOST_LINES", 3)
    log = log_of(tmp_path)
    for _ in range(5):
        log.add(exchange(), None)
    await log.close()
    assert (log.dropped, len(text(tmp_path).splitlines())) == (2, 3)


async def test_what_the_disk_does_not_take_is_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").write_text("in the way")
    log = log_of(tmp_path)
    for _ in range(3):
        log.add(exchange(), None)
        await log.flush()
    assert log.dropped == 3
    assert len(caplog.records) == 1
    (tmp_path / "logs").unlink()
    log.add(exchange(), None)
    await log.close()
    assert len(text(tmp_path).splitlines()) == 1


async def test_the_oldest_files_go_when_the_folder_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "FILE_BYTES", 200)
    monkeypatch.setattr(access_log, "FOLDER_BYTES", 1_000)
    folder = tmp_path / "logs"
    folder.mkdir()
    old = folder / "access.another.0.log"
    old.write_text("x" * 100)
    os.utime(old, (1, 1))
    (folder / "not-ours.txt").write_text("x" * 5_000)
    log = log_of(tmp_path)
    for _ in range(30):
        log.add(exchange(), None)
        await log.flush()
    await log.close()
    kept = sorted(folder.glob("access.*.log"))
    assert old not in kept
    assert 2 < len(kept) <= 5
    assert (folder / "not-ours.txt").exists()
    assert log.dropped == 0
