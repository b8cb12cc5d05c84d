"""The official client, with every reply validated against its types."""

from pathlib import Path

import openai
import pytest

from tests.fakes import FakeReplica, dies_after, errs_after, hangs, refuses
from tests.serving.gateway.rig import KEY, Rig

USER: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


def client(rig: Rig, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{rig.port}/v1",
        api_key=key,
        max_retries=0,
        _strict_response_validation=True,
    )


async def test_the_client_takes_every_kind_of_answer(rig: Rig) -> None:
    async with client(rig) as api:
        chat = await api.chat.completions.create(model="tiny", messages=USER, n=2)
        assert [c.message.content for c in chat.choices] == ["Hello there."] * 2
        text = await api.completions.create(model="tiny", prompt="x")
        assert text.choices[0].text == "Hello there."
        assert [m.id async for m in api.models.list()] == ["tiny"]
        assert (await api.models.retrieve("tiny")).owned_by == "lambda"


async def test_the_client_reads_a_stream_to_its_end(rig: Rig) -> None:
    async with client(rig) as api:
        stream = await api.chat.completions.create(
            model="tiny", messages=USER, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello there."
    assert chunks[-1].usage is not None


async def test_the_client_raises_what_the_table_says(rig: Rig, replica: FakeReplica) -> None:
    async with client(rig) as api, client(rig, "sk-wrong") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
        with pytest.raises(openai.NotFoundError) as missing:
            await api.chat.completions.create(model="x", messages=USER)
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as wrong:
            await api.chat.completions.create(model="tiny", messages=USER, temperature=9)
        assert wrong.value.param == "temperature"
        replica.behaviour = refuses(503)
        with pytest.raises(openai.InternalServerError) as busy:
            await api.chat.completions.create(model="tiny", messages=USER)
        assert busy.value.code == "server_is_overloaded"


@pytest.mark.parametrize("behaviour", [dies_after("a"), errs_after("a")])
async def test_03_the_client_raises_on_a_cut_stream(
    rig: Rig, replica: FakeReplica, behaviour: object
) -> None:
    replica.behaviour = behaviour  # type: ignore[assignment]
    async with client(rig) as api:
        stream = await api.chat.completions.create(model="tiny", messages=USER, stream=True)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass


async def test_a_client_that_stops_reading_frees_the_engine(
    rig: Rig, replica: FakeReplica, tmp_path: Path
) -> None:
    replica.behaviour = hangs
    async with client(rig) as api:
        with pytest.raises(openai.APITimeoutError):
            await api.chat.completions.create(model="tiny", messages=USER, timeout=0.1)
        await replica.until(lambda: replica.aborted == 1, limit_s=1.0)
