"""LangChain's and LiteLLM's clients against a gateway: prints what they saw as one line of JSON.
Runs in an environment of their own. Where DIE is empty the engine follows no script: it is asked
for no call of a tool, and not to die.
"""

import json
import os
from typing import Any

import litellm
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

URL, KEY = os.environ["BASE_URL"], os.environ["API_KEY"]
MODEL, DIE = os.environ["MODEL"], os.environ["DIE"]


def weather(city: str) -> str:
    """The weather of a city."""
    return city


def langchain() -> dict[str, Any]:
    known: dict[str, Any] = {"model": MODEL, "base_url": URL, "api_key": KEY}
    model = ChatOpenAI(**known, max_retries=0, max_tokens=16, temperature=0)
    found = {
        "whole": model.invoke("hi").content,
        "streamed": "".join(str(chunk.content) for chunk in model.stream("hi")),
        "wrong": refusal(lambda: model.bind(temperature=9).invoke("hi")),
    }
    if DIE:
        called = model.bind_tools([tool(weather)]).invoke("hi")
        found["calls"] = [call["args"] for call in called.tool_calls]
        found["cut"] = refusal(lambda: list(model.stream(DIE)))
    return found


def lite() -> dict[str, Any]:
    known: dict[str, Any] = {"model": f"openai/{MODEL}", "api_base": URL, "api_key": KEY}
    known |= {"num_retries": 0, "max_tokens": 16}

    def ask(content: str, **more: Any) -> Any:
        messages = [{"role": "user", "content": content}]
        return litellm.completion(messages=messages, **known, **{"temperature": 0, **more})

    found = {
        "whole": ask("hi").choices[0].message.content,
        "streamed": "".join(c.choices[0].delta.content or "" for c in ask("hi", stream=True)),
        "wrong": refusal(lambda: ask("hi", temperature=9)),
    }
    if DIE:
        found["cut"] = refusal(lambda: list(ask(DIE, stream=True)))
    return found


def refusal(work: Any) -> str | None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what is looked at
        return type(error).__name__
    return None


if __name__ == "__main__":
    print(json.dumps({"langchain": langchain(), "litellm": lite()}))
