"""OpenAI's client for Node: the same answers, the same errors, a cut stream raises."""

from typing import Any

from tests.conformance.clients import Endpoint, needs_node, node
from tests.conformance.engine import ARGUMENTS


@needs_node
async def test_the_client_for_node_sees_what_the_one_for_python_sees(endpoint: Endpoint) -> None:
    seen = await node(endpoint)
    assert seen["whole"] == ["Hello there."] * 2
    assert seen["arguments"] == ARGUMENTS
    assert seen["text"] == "Hello there."
    assert seen["models"] == ["tiny"]
    assert seen["streamed"]["text"] == "Hello there."
    assert seen["streamed"]["usage"]["completion_tokens"] > 0
    check_refusals(seen)
    assert seen["cut"] is not None
    assert seen["cut"]["type"] == "server_error"


def check_refusals(seen: dict[str, Any]) -> None:
    """Whatever answers, a request that is wrong is told so."""
    wrong, nobody, stranger = (seen[name] for name in ("wrong", "nobody", "stranger"))
    assert (wrong["name"], wrong["param"]) == ("BadRequestError", "temperature")
    assert (nobody["name"], nobody["code"]) == ("NotFoundError", "model_not_found")
    assert (stranger["name"], stranger["code"]) == ("AuthenticationError", "invalid_api_key")
    assert all(refusal["has_id"] for refusal in (wrong, nobody, stranger))
