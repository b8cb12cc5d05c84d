"""A prompt too long for a model is answered by the next larger one, and the client can tell."""

from pathlib import Path

import pytest

from tests.fakes import FakeReplica, fake_replica
from tests.serving.gateway.rig import CHAT, HELLO, TEXT, gateway, model

MODELS = [
    model("small", replica_set="tiny", window_tokens=100, fallback="large", aliases=["old-small"]),
    model("large", replica_set="tiny", window_tokens=1_000, aliases=["old-large"]),
]


def chat(length: int, **changes: object) -> dict[str, object]:
    messages = [{"role": "user", "content": "x" * length}]
    return {**HELLO, "model": "small", "messages": messages, **changes}


@pytest.fixture
def shared() -> FakeReplica:
    return FakeReplica(window_tokens=1_000)


async def test_what_certainly_fits_is_not_counted(tmp_path: Path, shared: FakeReplica) -> None:
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        reply = await rig.ask("POST", CHAT, chat(5, max_tokens=20))
        assert reply.json["model"] == "small"
        assert "x-flotilla-fallback" not in reply.headers
    assert shared.counts == 0


@pytest.mark.parametrize(("tokens", "answers"), [(80, "small"), (81, "large")])
@pytest.mark.parametrize("name", ["small", "old-small"])
async def test_the_count_decides_at_the_boundary(
    tmp_path: Path, shared: FakeReplica, tokens: int, answers: str, name: str
) -> None:
    shared.count = lambda body: tokens
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        for stream in (False, True):
            body = chat(200, max_tokens=20, stream=stream, model=name)
            reply = await rig.ask("POST", CHAT, body)
            assert reply.status == 200
            assert f'"model":"{answers}"'.encode() in reply.body
            header = reply.headers.get("x-flotilla-fallback")
            assert header == (None if answers == "small" else "small -> large")
    assert shared.counts == 2


async def test_it_holds_for_completions_too(tmp_path: Path, shared: FakeReplica) -> None:
    shared.count = lambda body: 95
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        body = {"model": "small", "prompt": "x" * 200, "max_tokens": 20}
        reply = await rig.ask("POST", TEXT, body)
    assert reply.json["model"] == "large"


async def test_what_fits_nowhere_is_400_with_the_numbers(
    tmp_path: Path, shared: FakeReplica
) -> None:
    shared.count = lambda body: 990
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        reply = await rig.ask("POST", CHAT, chat(2_000, max_tokens=20))
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    assert reply.error["param"] == "messages"
    assert "1000" in reply.error["message"]
    assert "990" in reply.error["message"]
    assert shared.calls == []


async def test_five_mebibytes_are_refused_without_counting(
    tmp_path: Path, shared: FakeReplica
) -> None:
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        reply = await rig.ask("POST", CHAT, chat(5 * 2**20))
    assert reply.error["code"] == "context_length_exceeded"
    assert shared.counts == 0


async def test_70_a_count_that_cannot_be_had_is_replaced_by_the_upper_bound(
    tmp_path: Path, shared: FakeReplica
) -> None:
    shared.count = None
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        rig.core.deadlines = type(rig.core.deadlines)(count_s=0.1, lone_s=0.1, tick_s=0.02)
        reply = await rig.ask("POST", CHAT, chat(200, max_tokens=20))
        assert reply.json["model"] == "large"
        reply = await rig.ask("POST", CHAT, chat(2_000, max_tokens=20))
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")


async def test_an_unnamed_length_stays_inside_the_smaller_window(
    tmp_path: Path, shared: FakeReplica
) -> None:
    shared.count = lambda body: 40
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        await rig.ask("POST", CHAT, chat(5))
        assert shared.calls[-1].body["max_tokens"] == 60
        await rig.ask("POST", CHAT, chat(5, model="large"))
        assert "max_tokens" not in shared.calls[-1].body


async def test_the_record_names_both_models(tmp_path: Path, shared: FakeReplica) -> None:
    shared.count = lambda body: 500
    async with fake_replica(shared), gateway(tmp_path, shared, models=MODELS) as rig:
        await rig.ask("POST", CHAT, chat(400))
        (record,) = await rig.records()
    assert (record["model_asked"], record["model_answered"]) == ("small", "large")


APART = [
    model("small", replica_set="other", window_tokens=100, fallback="middle"),
    model("middle", replica_set="nobody", window_tokens=200, fallback="large"),
    model("large", replica_set="tiny", window_tokens=1_000),
]


async def test_a_model_that_nobody_serves_is_answered_by_the_first_fallback_that_is_served(
    tmp_path: Path, shared: FakeReplica
) -> None:
    async with fake_replica(shared), gateway(tmp_path, shared, models=APART) as rig:
        reply = await rig.ask("POST", CHAT, chat(5, max_tokens=20))
        assert reply.json["model"] == "large"
        assert reply.headers["x-flotilla-fallback"] == "small -> large"


async def test_with_no_fallback_that_is_served_the_model_is_unavailable(
    tmp_path: Path, shared: FakeReplica
) -> None:
    models = [*APART[:2], model("large", replica_set="gone", window_tokens=1_000)]
    async with fake_replica(shared), gateway(tmp_path, shared, models=models) as rig:
        reply = await rig.ask("POST", CHAT, chat(5, max_tokens=20))
        assert (reply.status, reply.error["code"]) == (503, "model_unavailable")
