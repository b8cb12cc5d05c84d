"""`flotilla requests` shows what gateways have in flight, and says whom it did not hear."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from serving.in_flight import PATH, InFlight
from serving.keystore import INTERNAL_TOKEN_FILE, secret_file
from serving.metrics.port import MetricsPort, Route
from serving.metrics.token import requests_token
from tests.deployments.fake_controller import FakeController
from tests.ops.test_cli import _vllm_says_yes, controller, flotilla, running
from tests.serving.test_in_flight import request

__all__ = ["_vllm_says_yes", "controller"]


class FakeGateway:
    """The private port of a gateway with these requests."""

    def __init__(self, token: str) -> None:
        self.told = InFlight((request(12.3, "abc"), request(1.0, "[red]")), 250)
        route = Route(PATH, lambda: msgspec.json.encode(self.told), lambda: token)
        self.port = MetricsPort(lambda: (), lambda: "", [route])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeGateway"]:
        await self.port.open("127.0.0.1")
        yield self
        await self.port.close()


@pytest.fixture
def gateway(controller: FakeController) -> Iterator[FakeGateway]:
    token = requests_token(secret_file(controller.home / INTERNAL_TOKEN_FILE))
    with running(FakeGateway(token)) as fake:
        (report,) = controller.status["gateways"]
        report["metrics_address"] = fake.port.address
        yield fake


@pytest.mark.usefixtures("gateway")
def test_each_request_is_a_row_and_the_rest_is_counted() -> None:
    done = flotilla("requests")
    head, oldest, newest = (line.split() for line in done.stdout.splitlines())
    assert head[:3] == ["for", "model", "answers"]
    assert oldest == ["12.3", "s", "m", "stream", "m.0#1", "3", "1", "tenant", "key", "abc"]
    assert newest[-1] == "[red]"
    assert done.stderr == "and 248 more\n"


def test_as_json_it_is_all_there(gateway: FakeGateway) -> None:
    told = json.loads(flotilla("requests", "--json").stdout)
    assert (told["total"], told["silent"]) == (250, [])
    assert told["requests"][0]["phase"] == "stream"
    gateway.told = InFlight()
    assert flotilla("requests").stderr == "no request is in flight\n"


def test_a_gateway_that_does_not_answer_is_named(controller: FakeController) -> None:
    (report,) = controller.status["gateways"]
    report["metrics_address"] = "127.0.0.1:1"
    assert flotilla("requests").stderr == "g1 did not tell its requests in time\n"


def test_without_a_controller_it_says_what_to_do() -> None:
    done = flotilla("requests")
    assert done.exit_code == 1
    assert "run `flotilla deploy FLEET`" in done.stderr
