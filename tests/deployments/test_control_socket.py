"""Commands ask the Controller over a socket that only its own user can open."""

from pathlib import Path
from typing import Any

import pytest

from deployments.control_socket import SOCKET_NAME, ControlSocket
from ops.control_client import ControlClient
from ops.errors import ControllerMissing
from tests.deployments.fake_controller import STATUS, FakeController


async def test_one_connection_answers_many_questions(tmp_path: Path) -> None:
    async with FakeController(tmp_path).serving() as fake, ControlClient(tmp_path) as client:
        assert (await client.status())["keys"] == 1
        fake.status["keys"] = 2
        assert (await client.status())["keys"] == 2


async def test_the_socket_is_for_its_user_alone(tmp_path: Path) -> None:
    async with FakeController(tmp_path).serving():
        assert (tmp_path / SOCKET_NAME).stat().st_mode & 0o777 == 0o600


async def test_a_controller_that_comes_after_another_has_the_name(tmp_path: Path) -> None:
    async with FakeController(tmp_path).serving(), FakeController(tmp_path).serving() as newer:
        newer.status["keys"] = 5
        async with ControlClient(tmp_path) as client:
            assert (await client.status())["keys"] == 5


async def test_where_nobody_listens_the_next_command_is_named(tmp_path: Path) -> None:
    async with ControlClient(tmp_path) as client:
        with pytest.raises(ControllerMissing, match=r"nobody listens.*run `flotilla deploy FLEET`"):
            await client.status()


async def test_a_controller_that_fails_to_answer_is_missing_too(tmp_path: Path) -> None:
    async def fails() -> dict[str, Any]:
        return {**STATUS, "keys": frozenset()}

    socket = await ControlSocket.open(tmp_path, fails)
    async with ControlClient(tmp_path) as client:
        with pytest.raises(ControllerMissing, match="500"):
            await client.status()
    await socket.close()


async def test_a_folder_whose_path_is_too_long_is_refused(tmp_path: Path) -> None:
    async def status() -> dict[str, Any]:
        return STATUS

    folder = tmp_path / ("x" * 108)
    folder.mkdir()
    with pytest.raises(OSError, match="too long"):
        await ControlSocket.open(folder, status)
