"""The applier against Serve's API on a real port: it waits for each step, takes a bad one back."""

import math
from typing import Any

import pytest

from deployments.apply import STOP_ROUNDS, Patience, Progress, apply, trimmed
from deployments.dashboard import DASHBOARD_APPLICATION as DASHBOARD
from deployments.errors import ServeRefused, StepFailed
from deployments.render import render
from deployments.serve_control import ServeControl
from deployments.steps import Action, applications_of
from tests.deployments.fake_serve import FakeServe
from tests.deployments.fleets import changed, fleet_of

CONFIG = render(fleet_of())
LONGER = render(changed(fleet_of(), big={"max_model_len": 9000}))


async def applied(
    serve: FakeServe, config: dict[str, Any], timeout_s: float = 5
) -> list[tuple[Action, str]]:
    seen: list[Progress] = []
    async with ServeControl(serve.url, "token") as control:
        taken = await apply(control, config, seen.append, patience=Patience(timeout_s, 0.001))
    assert [each.step for each in seen if each.took_s is not None] == taken
    return [(step.action, step.application) for step in taken]


def names(config: dict[str, Any]) -> list[str]:
    return list(applications_of(config))


async def test_a_first_deploy_puts_one_application_after_the_other() -> None:
    async with FakeServe().serving() as serve:
        taken = await applied(serve, CONFIG)
        assert taken == [(Action.ADD, name) for name in ("flotilla", DASHBOARD, "big.0", "big.1")]
        assert [len(applications_of(put)) for put in serve.puts] == [1, 2, 3, 4]
        assert serve.puts[-1] == CONFIG


async def test_applying_twice_changes_nothing() -> None:
    async with FakeServe().serving() as serve:
        await applied(serve, CONFIG)
        serve.puts.clear()
        assert await applied(serve, CONFIG) == []
        assert serve.puts == []


async def test_nothing_to_do_still_waits_until_everything_runs() -> None:
    async with FakeServe().serving() as serve:
        serve.run(CONFIG)
        serve.stuck = {"big.1"}
        with pytest.raises(StepFailed, match=r"big\.1: not done after"):
            await applied(serve, CONFIG, timeout_s=0.05)


async def test_an_application_that_is_no_longer_wanted_goes_last() -> None:
    async with FakeServe().serving() as serve:
        serve.run(CONFIG)
        fewer = render(changed(fleet_of(), big={"replicas": {"min": 1, "max": 1}}))
        last = (Action.REMOVE, "big.1")
        assert await applied(serve, fewer) == [(Action.CHANGE, "flotilla"), last]
        assert list(serve.running) == ["flotilla", "big.0", DASHBOARD]


async def test_a_new_replica_that_fails_is_taken_away_again_and_the_cause_is_kept() -> None:
    async with FakeServe().serving() as serve:
        serve.broken = {"big.0": "failed 3 times\nTraceback\n  File x\nEngineFailed: no memory"}
        with pytest.raises(StepFailed) as caught:
            await applied(serve, CONFIG)
    assert str(caught.value) == "big.0: EngineFailed: no memory; what ran before is back"
    assert caught.value.is_rolled_back
    there = ["flotilla", DASHBOARD]
    tried = ["flotilla", "big.0", DASHBOARD]
    assert [names(put) for put in serve.puts] == [["flotilla"], there, tried, there]


async def test_a_changed_replica_that_never_comes_up_is_what_it_was_again() -> None:
    async with FakeServe().serving() as serve:
        serve.run(CONFIG)
        serve.broken = {"big.0": "no"}
        serve._details = _fails_with_the_longer_window(serve)  # type: ignore[method-assign]
        with pytest.raises(StepFailed) as caught:
            await applied(serve, LONGER)
        assert caught.value.is_rolled_back
        assert serve.running == applications_of(CONFIG)


async def test_a_roll_back_that_fails_too_is_not_called_one() -> None:
    async with FakeServe().serving() as serve:
        serve.run(CONFIG)
        serve.broken = {"big.0": "no"}
        with pytest.raises(StepFailed) as caught:
            await applied(serve, LONGER)
    assert not caught.value.is_rolled_back
    assert str(caught.value) == "big.0: no"


async def test_what_serve_has_given_up_on_is_removed_and_added() -> None:
    async with FakeServe().serving() as serve:
        serve.run(CONFIG)
        serve.broken = {"big.1": "no"}
        details = serve._details

        def well_after_a_put(name: str, app: dict[str, Any]) -> dict[str, Any]:
            serve.broken = {} if serve.puts else serve.broken
            return details(name, app)

        serve._details = well_after_a_put  # type: ignore[method-assign]
        assert await applied(serve, CONFIG) == [(Action.REMOVE, "big.1"), (Action.ADD, "big.1")]


async def test_a_dashboard_that_stumbles_during_the_wait_is_asked_again() -> None:
    async with FakeServe().serving() as serve:
        serve.refused_looks = 3
        assert len(await applied(serve, CONFIG)) == 4


async def test_50_a_config_that_serve_refuses_changes_nothing() -> None:
    async with FakeServe().serving() as serve:
        serve.run(CONFIG)
        async with ServeControl(serve.url, "token") as control:
            with pytest.raises(ServeRefused):
                await apply(
                    _Refusing(control), LONGER, lambda _: None, patience=Patience(poll_s=0.001)
                )
        assert serve.puts == []


class _Refusing:
    def __init__(self, control: ServeControl) -> None:
        self.applications = control.applications

    async def put(self, config: object) -> None:
        raise ServeRefused(400, "no")


def _fails_with_the_longer_window(serve: FakeServe) -> Any:
    details = serve._details

    def of(name: str, app: dict[str, Any]) -> dict[str, Any]:
        longer = name == "big.0" and app["args"]["window_tokens"] == 9000
        serve.broken = {"big.0": "no"} if longer else {}
        return details(name, app)

    return of


def test_there_is_patience_for_every_round_of_replacing_a_fifth() -> None:
    rounds = [math.ceil(size / max(int(0.2 * size), 1)) for size in range(1, 1000)]
    assert max(rounds) == STOP_ROUNDS


def test_of_a_traceback_the_exception_is_kept() -> None:
    assert trimmed("a\n  File x\nValueError: b\n\n") == "ValueError: b"
    assert trimmed("E: a\n  File x\nValueError: b\nand c\n") == "ValueError: b and c"
    assert trimmed("it waits\nfor room") == "for room"
    assert trimmed("") == ""
