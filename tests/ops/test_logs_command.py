"""`flotilla logs` shows what the processes of a model say, from Ray's dashboard over real HTTP."""

import asyncio
import json

import pytest

from deployments.render import render
from deployments.serve_control import Process
from ops.model_logs import lines_of
from tests.deployments.fake_serve import FakeServe
from tests.deployments.fleets import fleet_of
from tests.ops.test_cli import _vllm_says_yes, flotilla, serve

__all__ = ["_vllm_says_yes", "serve"]


@pytest.fixture
def busy(serve: FakeServe) -> FakeServe:
    serve.run(render(fleet_of()))
    serve.logs = {
        "big.0": {"serve/big.0.log": "one\ntwo\n", "worker-a-1-100.out": "\x1b[31mthree\x1b[0m\n"},
        "big.1": {"serve/big.1.log": "four"},
    }
    return serve


@pytest.mark.usefixtures("busy")
def test_every_line_says_whose_it_is() -> None:
    assert flotilla("logs", "big").stdout.splitlines() == [
        "big.0 | one",
        "big.0 | two",
        "big.0 | three",
        "big.1 | four",
    ]


@pytest.mark.usefixtures("busy")
def test_a_name_that_shares_replicas_has_their_logs() -> None:
    assert flotilla("logs", "small", "--lines", "1").stdout.splitlines()[0] == "big.0 | two"


@pytest.mark.usefixtures("busy")
def test_one_replica_can_be_asked_for_and_json_is_a_line_each() -> None:
    (line,) = flotilla("logs", "big.1", "--json").stdout.splitlines()
    assert json.loads(line) == {
        "application": "big.1",
        "node": "10.0.0.1",
        "pid": 101,
        "text": "four",
    }


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "bgi",
            "bgi is unknown; did you mean `big`? (big, big.0, big.1, flotilla, flotilla-dashboard",
        ),
        ("flotilla", "flotilla has no process now: `flotilla events` says why"),
    ],
)
def test_what_cannot_be_shown_is_a_line_with_the_way_out(name: str, said: str) -> None:
    result = flotilla("logs", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_a_file_that_ray_does_not_give_is_named(busy: FakeServe) -> None:
    del busy.logs["big.1"]["serve/big.1.log"]
    result = flotilla("logs", "big.1")
    assert result.exit_code == 1
    assert "10.0.0.1: serve/big.1.log: no such file" in result.stderr


async def test_following_gives_the_lines_of_all_files_as_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with FakeServe().serving() as fake:
        monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", fake.url)
        fake.logs = {"a.0": {"serve/a.0.log": "one\n"}, "a.1": {"serve/a.1.log": "two\n"}}
        processes = [(f"a.{n}", Process(100 + n, "10.0.0.1", f"serve/a.{n}.log")) for n in range(2)]
        lines = lines_of(processes, 10, follow=True)
        async with asyncio.timeout(10):
            seen = {(await anext(lines)).text, (await anext(lines)).text}
        await lines.aclose()  # type: ignore[attr-defined]
    assert seen == {"one", "two"}
