"""The fields of both routes, each in one class: supported (with its check), without effect, or
OpenAI's but not ours.

What is in no table is unknown. security.md, "Fields: allow-list, three classes".
"""

from collections.abc import Callable, Mapping
from typing import Any

from serving import bounds
from serving.protocol.check import (
    Json,
    array,
    boolean,
    integer,
    invalid,
    number,
    one_of,
    only,
    record,
    text,
    unsupported,
)
from serving.protocol.message import check_messages
from serving.protocol.prompt import check_prompt
from serving.protocol.tool import check_response_format, check_tool_choice, check_tools

Check = Callable[[Any, str], Any]


def _int(least: int, most: int) -> Check:
    return lambda value, path: integer(value, path, least, most)


def _num(least: float, most: float) -> Check:
    return lambda value, path: number(value, path, least, most)


def _str(most: int, least: int = 0) -> Check:
    return lambda value, path: text(value, path, most=most, least=least)


def _choice(*choices: str) -> Check:
    return lambda value, path: one_of(value, path, choices)


def _stop(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return text(value, path, most=bounds.STOP_CHARS, least=1)
    stops = array(value, path, most=bounds.STOPS)
    return [text(s, f"{path}[{i}]", most=bounds.STOP_CHARS, least=1) for i, s in enumerate(stops)]


def _logit_bias(value: Any, path: str) -> Json:
    """Whether an id is in the vocabulary is the engine's to say."""
    biases = record(value, path)
    if len(biases) > bounds.LOGIT_BIAS_ENTRIES:
        raise invalid(path, f"has more than {bounds.LOGIT_BIAS_ENTRIES} entries")
    for token, bias in biases.items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            raise invalid(path, "has a key that is no token id")
        number(bias, f"{path}.{token}", -100, 100)
    return biases


def _stream_options(value: Any, path: str) -> Json:
    options = only(record(value, path), path, ("include_usage", "include_obfuscation"))
    if options.pop("include_obfuscation", False) is not False:
        raise unsupported(f"{path}.include_obfuscation")
    if "include_usage" in options:
        boolean(options["include_usage"], f"{path}.include_usage")
    return options


def _metadata(value: Any, path: str) -> Json:
    entries = record(value, path)
    if len(entries) > bounds.METADATA_ENTRIES:
        raise invalid(path, f"has more than {bounds.METADATA_ENTRIES} entries")
    for name, entry in entries.items():
        text(name, path, most=64)
        text(entry, path, most=512)
    return entries


def _only_false(value: Any, path: str) -> bool:
    if boolean(value, path):
        raise unsupported(path)
    return False


def _is_one(value: Any, path: str) -> int:
    return integer(value, path, 1, 1)


_COMMON: dict[str, Check] = {
    "model": _str(bounds.MODEL_NAME_CHARS, least=1),
    "frequency_penalty": _num(-2, 2),
    "presence_penalty": _num(-2, 2),
    "logit_bias": _logit_bias,
    "max_tokens": _int(1, bounds.TOKENS),
    "n": _int(1, bounds.N),
    "seed": _int(-(2**63), 2**63 - 1),
    "stop": _stop,
    "stream": boolean,
    "stream_options": _stream_options,
    "temperature": _num(0, 2),
    "top_p": _num(0, 1),
    # vLLM's own, by name.
    "top_k": _int(-1, bounds.TOP_K),
    "min_p": _num(0, 1),
    "repetition_penalty": _num(1e-6, bounds.REPETITION_PENALTY),
    "min_tokens": _int(0, bounds.TOKENS),
}

CHAT: Mapping[str, Check] = {
    **_COMMON,
    "messages": check_messages,
    "max_completion_tokens": _int(1, bounds.TOKENS),
    "logprobs": boolean,
    "top_logprobs": _int(0, bounds.TOP_LOGPROBS),
    "response_format": check_response_format,
    "tools": check_tools,
    "tool_choice": check_tool_choice,
    "parallel_tool_calls": boolean,
    "reasoning_effort": _choice("none", "minimal", "low", "medium", "high"),
}

COMPLETION: Mapping[str, Check] = {
    **_COMMON,
    "prompt": check_prompt,
    "logprobs": _int(0, bounds.COMPLETION_LOGPROBS),
}

#: Checked, then dropped.
CHAT_WITHOUT_EFFECT: Mapping[str, Check] = {
    "user": _str(bounds.IGNORED_CHARS),
    "safety_identifier": _str(bounds.IGNORED_CHARS),
    "prompt_cache_key": _str(bounds.IGNORED_CHARS),
    "metadata": _metadata,
    "store": _only_false,
    "service_tier": _choice("auto", "default"),
}
COMPLETION_WITHOUT_EFFECT: Mapping[str, Check] = {
    "user": _str(bounds.IGNORED_CHARS),
    "echo": _only_false,
    "best_of": _is_one,
}

CHAT_UNSUPPORTED = frozenset(
    (
        "audio",
        "function_call",
        "functions",
        "modalities",
        "moderation",
        "prediction",
        "prompt_cache_options",
        "prompt_cache_retention",
        "verbosity",
        "web_search_options",
    )
)
COMPLETION_UNSUPPORTED = frozenset(("suffix",))
