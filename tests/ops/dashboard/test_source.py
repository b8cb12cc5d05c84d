"""The fleet's parts are asked each for itself, and one that does not answer holds up nobody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

import pytest

from deployments.ledger.acts import RevokeKey
from deployments.ledger.questions import ListAudit, ListKeys, ListTenants, Question, Reply
from deployments.node_agents import Measured, NodeAgents
from deployments.render import render
from deployments.serve_control import ServeControl
from ops.dashboard import source
from ops.dashboard.source import FleetSource
from ops.in_flight_client import InFlightClient
from serving.in_flight import InFlight
from serving.snapshot import GatewayReport
from tests.deployments.fake_serve import FakeServe
from tests.deployments.test_plan import models, nodes
from tests.ops.dashboard.fake_fleet import books, line, measured

FLEET = models(a="")


class Call:
    """A method as a Serve handle has it."""

    def __init__(self, answer: Callable[..., Awaitable[Any]]) -> None:
        self.remote = answer


class FakeAgents(NodeAgents):
    async def accelerators(self) -> dict[str, tuple[Measured, ...]]:
        return {"10.0.0.1": (measured(temperature_c=61),)}


class FakeController:
    def __init__(self) -> None:
        self.status = Call(self._status)
        self.recent = Call(self._recent)
        self.answer = Call(self._answer)
        self.perform = Call(self._perform)
        self.hangs = False
        self.ledger_refuses: str | None = None

    async def _status(self) -> dict[str, Any]:
        if self.hangs:
            await asyncio.Event().wait()
        gateway = GatewayReport("g", "n", 1, "n:1", metrics_address="127.0.0.1:1")
        return {"gateways": [asdict(gateway)], "live": ["10.0.0.1"]}

    async def _recent(self, most: int) -> Any:
        return (line(1), line(2))[:most]

    async def _answer(self, question: Question) -> Reply:
        told = books()
        answers = {ListKeys: told.keys, ListTenants: told.tenants, ListAudit: told.audit}
        return Reply(answers.get(type(question), told.usage), refusal=self.ledger_refuses)

    async def _perform(self, _: Any, who: str) -> Reply:
        return Reply(f"done for {who}")


@pytest.fixture
def controller() -> FakeController:
    return FakeController()


@pytest.fixture
async def agents() -> AsyncIterator[NodeAgents]:
    async with FakeAgents() as made:
        yield made


@pytest.fixture
async def requests() -> AsyncIterator[InFlightClient]:
    async with InFlightClient("internal") as client:
        yield client


async def test_everything_is_asked_for(
    controller: FakeController, requests: InFlightClient, agents: NodeAgents
) -> None:
    serve = FakeServe()
    serve.run(render(FLEET, {"a.0": ("10.0.0.1",)}, nodes(8)))
    async with serve.serving(), ServeControl(serve.url, serve.token) as control:
        made = FleetSource(controller, control, requests, agents)
        facts = await made.facts()
        assert facts.problems == ()
        assert set(facts.applications) == {"flotilla", "a.0", "flotilla-dashboard"}
        assert facts.deployed is not None
        assert facts.deployed.fleet == FLEET
        assert facts.books == books()
        assert len(facts.recent) == 2
        assert facts.measured["10.0.0.1"][0].temperature_c == 61
        # The gateway that it names has gone.
        assert facts.in_flight == InFlight(silent=("g",))
        assert (await made.facts()).deployed is facts.deployed


async def test_a_part_that_hangs_is_named_and_its_last_word_stands(
    controller: FakeController,
    requests: InFlightClient,
    agents: NodeAgents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "ASK_DEADLINE_S", 0.05)
    async with ServeControl("http://127.0.0.1:1", "") as control:
        made = FleetSource(controller, control, requests, agents)
        assert (await made.facts()).controller["live"] == ["10.0.0.1"]
        controller.hangs = True
        facts = await made.facts()
        assert facts.controller["live"] == ["10.0.0.1"]
        problems = sorted(facts.problems)
        assert problems[0].startswith("Controller: no answer within")
        assert problems[1].startswith("Serve: no Ray dashboard answers")
        controller.hangs = False
        assert len((await made.facts()).problems) == 1


async def test_a_ledger_that_refuses_is_named(
    controller: FakeController, requests: InFlightClient, agents: NodeAgents
) -> None:
    controller.ledger_refuses = "the ledger does not answer"
    async with ServeControl("http://127.0.0.1:1", "") as control:
        facts = await FleetSource(controller, control, requests, agents).facts()
    assert "ledger: the ledger does not answer" in facts.problems


async def test_accelerators_that_nobody_tells_of_are_unknown_and_no_problem(
    controller: FakeController, requests: InFlightClient
) -> None:
    async with (
        ServeControl("http://127.0.0.1:1", "") as control,
        NodeAgents("http://127.0.0.1:1") as agents,
    ):
        facts = await FleetSource(controller, control, requests, agents).facts()
    assert facts.measured == {}
    assert [said.partition(":")[0] for said in facts.problems] == ["Serve"]


async def test_an_act_goes_to_the_controller_in_the_name_of_who_asked(
    controller: FakeController, requests: InFlightClient, agents: NodeAgents
) -> None:
    async with ServeControl("http://127.0.0.1:1", "") as control:
        reply = await FleetSource(controller, control, requests, agents).perform(
            RevokeKey("k"), "ada"
        )
    assert reply == Reply("done for ada")
