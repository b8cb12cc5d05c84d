"""LangChain's and LiteLLM's clients against a gateway: prints what they saw as one line of JSON.
Runs in an environment of their own.
"""

import json
import os
from typing import Any

import litellm
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

URL, KEY, DIE = os.environ["BASE_URL"], os.environ["API_KEY"], os.environ["DIE"]


def weather(city: str) -> str:
    """The weather of a city."""
    return city


def langchain() -> dict[str, Any]:
    model = ChatOpenAI(model="tiny", base_url=URL, api_key=KEY, max_retries=0)
    called = model.bind_tools([tool(weather)]).invoke("hi")
    return {
        "whole": model.invoke("hi").content,
        "streamed": "".join(str(chunk.content) for chunk in model.stream("hi")),
        "calls": [call["args"] for call in called.tool_calls],
        "cut": refusal(lambda: list(model.stream(DIE))),
        "wrong": refusal(lambda: model.bind(temperature=9).invoke("hi")),
    }


def lite() -> dict[str, Any]:
    known: dict[str, Any] = {"model": "openai/tiny", "api_base": URL, "api_key": KEY}
    known["num_retries"] = 0

    def ask(content: str, **more: Any) -> Any:
        messages = [{"role": "user", "content": content}]
        return litellm.completion(messages=messages, **known, **more)

    return {
        "whole": ask("hi").choices[0].message.content,
        "streamed": "".join(c.choices[0].delta.content or "" for c in ask("hi", stream=True)),
        "cut": refusal(lambda: list(ask(DIE, stream=True))),
        "wrong": refusal(lambda: ask("hi", temperature=9)),
    }


def refusal(work: Any) -> str | None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what is looked at
        return type(error).__name__
    return None


if __name__ == "__main__":
    print(json.dumps({"langchain": langchain(), "litellm": lite()}))
