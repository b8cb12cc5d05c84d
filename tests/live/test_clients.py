"""Clients that others wrote, against a real fleet; the one for Python is in all the other tests."""

import pytest

from tests.conformance.clients import Endpoint, langchain_and_litellm, needs_node, node
from tests.conformance.test_openai_node import check_refusals
from tests.conformance.test_other_clients import BAD_REQUEST
from tests.live.fleet_under_test import LiveFleet

pytestmark = pytest.mark.timeout(900)


def endpoint(fleet: LiveFleet) -> Endpoint:
    return Endpoint(fleet.base_url, fleet.key, "demo")


@needs_node
async def test_the_client_for_node_sees_a_real_fleet(fleet: LiveFleet) -> None:
    seen = await node(endpoint(fleet))
    assert len(seen["whole"]) == 2
    assert all(seen["whole"])
    assert seen["streamed"]["text"]
    assert fleet.says("demo", "hi").startswith(seen["streamed"]["text"])
    assert 0 < seen["streamed"]["usage"]["completion_tokens"] <= 16
    assert seen["text"]
    assert seen["models"] == ["demo-2k", "demo"]
    check_refusals(seen)


async def test_langchain_and_litellm_see_a_real_fleet(fleet: LiveFleet) -> None:
    seen = await langchain_and_litellm(endpoint(fleet))
    lang, lite = seen["langchain"], seen["litellm"]
    assert lang["whole"] == lang["streamed"] == lite["whole"] == lite["streamed"] != ""
    assert {lang["wrong"], lite["wrong"]} <= set(BAD_REQUEST)
