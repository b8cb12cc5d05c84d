"""LangChain and LiteLLM, each with what it does with a wrong request and with a cut stream."""

from tests.conformance.clients import Endpoint, langchain_and_litellm

BAD_REQUEST = ("BadRequestError", "OpenAIInvalidRequestError")


async def test_langchain_and_litellm_get_answers_and_raise_what_they_should(
    endpoint: Endpoint,
) -> None:
    seen = await langchain_and_litellm(endpoint)
    for found in seen.values():
        assert found["whole"] == found["streamed"] == "Hello there."
        assert found["wrong"] in BAD_REQUEST
        assert found["cut"] is not None
    assert seen["langchain"]["calls"] == [{"city": "Rome"}]
