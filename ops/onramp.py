"""How a tool is told of an endpoint, in the tool's own words. Pure: values in, text out.

Rules
- Programs and commands read the key from OPENAI_API_KEY: what is typed or committed holds none.
  Files that a tool reads by itself hold it, and are for their owner alone.
- A model is named as the endpoint lists it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

QUESTION = "What is a replica?"


@dataclass(frozen=True, slots=True)
class Target:
    """What a tool has to know."""

    #: Ends in /v1.
    base_url: str
    key: str
    #: The one to ask first is the first.
    models: tuple[str, ...]

    @property
    def model(self) -> str:
        return self.models[0]


@dataclass(frozen=True, slots=True)
class OnRamp:
    """One tool."""

    #: What it reads or runs.
    text: Callable[[Target], str]
    #: What to do with it.
    steps: str
    #: Whether the text holds the key.
    is_secret: bool


def _continue(target: Target) -> str:
    # As JSON: readers of YAML disagree on which plain words are numbers or truths.
    base_url, key = json.dumps(target.base_url), json.dumps(target.key)
    models = "".join(
        f"""\
  - name: {json.dumps(name)}
    provider: openai
    model: {json.dumps(name)}
    apiBase: {base_url}
    apiKey: {key}
    roles: [chat, edit, apply]
"""
        for name in target.models
    )
    return f"name: Flotilla\nversion: 1.0.0\nschema: v1\nmodels:\n{models}"


def _codegpt(target: Target) -> str:
    fields = {
        "Provider": "Custom",
        "Model": target.model,
        "API Key": target.key,
        "Custom link": target.base_url,
    }
    return "".join(f"{name + ':':12} {value}\n" for name, value in fields.items())


def _open_webui(target: Target) -> str:
    settings = {
        "OPENAI_API_BASE_URL": target.base_url,
        "OPENAI_API_KEY": target.key,
        "ENABLE_OLLAMA_API": "false",
        "DEFAULT_MODELS": target.model,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _python(target: Target) -> str:
    return f"""\
import os

from openai import OpenAI

client = OpenAI(base_url={json.dumps(target.base_url)}, api_key=os.environ["OPENAI_API_KEY"])
stream = client.chat.completions.create(
    model={json.dumps(target.model)},
    messages=[{{"role": "user", "content": {json.dumps(QUESTION)}}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
"""


def _node(target: Target) -> str:
    return f"""\
import OpenAI from "openai";

const baseURL = {json.dumps(target.base_url)};
const client = new OpenAI({{ baseURL, apiKey: process.env.OPENAI_API_KEY }});
const stream = await client.chat.completions.create({{
  model: {json.dumps(target.model)},
  messages: [{{ role: "user", content: {json.dumps(QUESTION)} }}],
  stream: true,
}});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
process.stdout.write("\\n");
"""


def _curl(target: Target) -> str:
    body = json.dumps({"model": target.model, "messages": [{"role": "user", "content": QUESTION}]})
    return f"""\
curl -sS {target.base_url}/chat/completions \\
  -H "Authorization: Bearer $OPENAI_API_KEY" -H 'Content-Type: application/json' \\
  -d '{body}'
"""


#: Read without an echo, so that it is neither on the screen nor in the history.
_KEY = "the key first: read -rs OPENAI_API_KEY; export OPENAI_API_KEY"
ON_RAMPS: Mapping[str, OnRamp] = {
    "continue": OnRamp(_continue, "it belongs into ~/.continue/config.yaml", is_secret=True),
    "codegpt": OnRamp(_codegpt, "type it into CodeGPT's window: it reads no file", is_secret=True),
    "open-webui": OnRamp(
        _open_webui,
        "start it with these: set -a; . FILE; open-webui serve (or docker run --env-file FILE)",
        is_secret=True,
    ),
    "python": OnRamp(_python, f"pip install openai; {_KEY}", is_secret=False),
    "node": OnRamp(_node, f"npm install openai, and call it FILE.mjs; {_KEY}", is_secret=False),
    "curl": OnRamp(_curl, _KEY, is_secret=False),
}
