"""The fields of both routes, each in one class: kept (with its kind), dropped because it has no
effect here, or OpenAI's but not ours. What is in no class is unknown.

security.md, "Fields: allow-list, three classes".
"""

from dataclasses import replace

from serving import bounds
from serving.protocol.kind import (
    Choice,
    Either,
    Entries,
    Flag,
    Kind,
    Listing,
    Number,
    Off,
    Record,
    Text,
    Whole,
)
from serving.protocol.message import MESSAGES
from serving.protocol.prompt import Prompt
from serving.protocol.tool import RESPONSE_FORMAT, TOOL_CHOICE, TOOLS

_STOP = Text(most=bounds.STOP_CHARS, least=1)
_TOKENS = Whole(1, bounds.TOKENS)
_IGNORED = Text(most=bounds.IGNORED_CHARS)
STREAM_OPTIONS = Record({"include_usage": Flag()}, dropped={"include_obfuscation": Off()})
#: Whether an id is in the vocabulary is the engine's to say.
_LOGIT_BIAS = Entries(
    Number(-100, 100), bounds.LOGIT_BIAS_ENTRIES, "[0-9]{1,9}", "has a key that is no token id"
)
_METADATA = Entries(
    Text(most=512), bounds.METADATA_ENTRIES, r"[\s\S]{0,64}", "has a name over 64 characters"
)

_COMMON: dict[str, Kind] = {
    "model": Text(most=bounds.MODEL_NAME_CHARS, least=1),
    "frequency_penalty": Number(-2, 2),
    "presence_penalty": Number(-2, 2),
    "logit_bias": _LOGIT_BIAS,
    "max_tokens": _TOKENS,
    "n": Whole(1, bounds.N),
    "seed": Whole(-(2**63), 2**63 - 1),
    "stop": Either(_STOP, Listing(_STOP, most=bounds.STOPS), list, "a string or a list of strings"),
    "stream": Flag(),
    "stream_options": STREAM_OPTIONS,
    "temperature": Number(0, 2),
    "top_p": Number(0, 1),
    # vLLM's own, by name.
    "top_k": Whole(-1, bounds.TOP_K),
    "min_p": Number(0, 1),
    "repetition_penalty": Number(1e-6, bounds.REPETITION_PENALTY),
    "min_tokens": Whole(0, bounds.TOKENS),
}

CHAT = Record(
    {
        **_COMMON,
        "messages": MESSAGES,
        "max_completion_tokens": _TOKENS,
        "logprobs": Flag(),
        "top_logprobs": Whole(0, bounds.TOP_LOGPROBS),
        "response_format": RESPONSE_FORMAT,
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": Flag(),
        "reasoning_effort": Choice(("none", "minimal", "low", "medium", "high")),
    },
    required=("model", "messages"),
    dropped={
        "user": _IGNORED,
        "safety_identifier": _IGNORED,
        "prompt_cache_key": _IGNORED,
        "metadata": _METADATA,
        "store": Off(),
        "service_tier": Choice(("auto", "default")),
    },
    refused=(
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
    ),
)

COMPLETION = Record(
    {
        **_COMMON,
        "prompt": Prompt(),
        "logprobs": Whole(0, bounds.COMPLETION_LOGPROBS),
    },
    required=("model", "prompt"),
    dropped={"user": _IGNORED, "echo": Off(), "best_of": Whole(1, 1)},
    refused=("suffix",),
)


def _for_benchmarks(record: Record) -> Record:
    """An answer of exactly the tokens asked for, whatever the model wants to say: for keys that may
    ask for it. For all others vLLM's field does not exist.
    """
    return replace(record, kept={**record.kept, "ignore_eos": Flag()})


BENCHMARK_CHAT = _for_benchmarks(CHAT)
BENCHMARK_COMPLETION = _for_benchmarks(COMPLETION)
