"""The prompt of /v1/completions: a text, token ids, or a short list of either."""

from typing import Any

from serving import bounds
from serving.protocol.check import array, integer, text, wrong_type

Prompt = str | list[int] | list[str] | list[list[int]]

_WANTED = "a string, a list of strings, a list of token ids, or a list of such lists"
_LONGEST = bounds.BODY_BYTES


def check_prompt(value: Any, path: str) -> Prompt:
    if isinstance(value, str):
        return text(value, path, most=_LONGEST, least=1)
    if not isinstance(value, list):
        raise wrong_type(path, _WANTED)
    array(value, path, most=_LONGEST, least=1)
    first = value[0]
    if isinstance(first, int):
        return _ids(value, path)
    array(value, path, most=bounds.PROMPTS)
    if isinstance(first, str):
        return [text(p, f"{path}[{i}]", most=_LONGEST, least=1) for i, p in enumerate(value)]
    if isinstance(first, list):
        return [
            _ids(array(p, f"{path}[{i}]", most=_LONGEST, least=1), f"{path}[{i}]")
            for i, p in enumerate(value)
        ]
    raise wrong_type(path, _WANTED)


def _ids(value: list[Any], path: str) -> list[int]:
    """Whether an id is in the vocabulary is the engine's to say."""
    for index, token in enumerate(value):
        if type(token) is not int or not 0 <= token <= bounds.TOKENS:
            integer(token, f"{path}[{index}]", 0, bounds.TOKENS)
    return value
