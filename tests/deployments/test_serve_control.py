"""The client of Serve's REST API against a server on a real port."""

from pathlib import Path

import pytest

from deployments.errors import ServeRefused, ServeUnreachable
from deployments.ray_token import ray_token
from deployments.render import render
from deployments.serve_control import ServeControl, Status
from tests.deployments.fake_serve import FakeServe
from tests.deployments.fleets import fleet_of

CONFIG = render(fleet_of())


async def test_applications_come_with_their_config_and_their_state() -> None:
    async with FakeServe().serving() as serve, ServeControl(serve.url, "token") as control:
        serve.run(CONFIG)
        serve.broken["big.1"] = "no room"
        found = await control.applications()
    assert list(found) == ["flotilla", "big.0", "big.1", "flotilla-dashboard"]
    assert found["big.0"].status is Status.RUNNING
    assert found["big.0"].config == CONFIG["applications"][1]
    assert found["big.1"].status is Status.DEPLOY_FAILED
    assert found["big.1"].cause() == "no room"


async def test_what_is_put_is_what_runs() -> None:
    async with FakeServe().serving() as serve, ServeControl(serve.url, "token") as control:
        assert await control.applications() == {}
        await control.put(CONFIG)
        assert serve.puts == [CONFIG]
        assert (await control.applications())["flotilla"].status is Status.DEPLOYING


async def test_a_wrong_token_is_said_to_be_one() -> None:
    async with FakeServe().serving() as serve, ServeControl(serve.url, "wrong") as control:
        with pytest.raises(ServeRefused, match="Ray token"):
            await control.applications()


async def test_a_refusal_keeps_serves_own_words() -> None:
    async with FakeServe().serving() as serve, ServeControl(serve.url, "token") as control:
        serve.refusals = [400]
        with pytest.raises(ServeRefused, match="400: the GCS may be down") as caught:
            await control.put(CONFIG)
    assert caught.value.status == 400


async def test_nobody_there_says_what_to_do() -> None:
    async with ServeControl("http://127.0.0.1:1", "token") as control:
        with pytest.raises(ServeUnreachable, match="make up"):
            await control.applications()


async def test_another_server_on_that_port_is_not_taken_for_ray() -> None:
    async with FakeServe().serving() as serve:
        serve.running = {"x": {"name": "x"}}
        serve._looked = {"x": 0}
        serve._details = lambda *_: {"status": "FLYING"}  # type: ignore[method-assign]
        async with ServeControl(serve.url, "token") as control:
            with pytest.raises(ServeUnreachable, match="no Ray dashboard"):
                await control.applications()


def test_the_token_is_found_where_ray_looks_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ray_token() == ""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("of home\n")
    assert ray_token() == "of home"
    (tmp_path / "other").write_text("of path")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "other"))
    assert ray_token() == "of path"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of environment")
    assert ray_token() == "of environment"
