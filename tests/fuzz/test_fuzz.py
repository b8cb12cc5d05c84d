"""The fuzzed targets on what hypothesis makes, which knows their structure, and on the saved
corpus.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.protocol import check_chat, check_completion, field
from tests.bad_input.case import corpus
from tests.fuzz import target

SAVED = [
    pytest.param(
        target.TARGETS[path.parent.name], path.read_bytes(), id=f"{path.parent.name}/{path.name}"
    )
    for path in sorted((Path(__file__).parent / "corpus").glob("*/*"))
]


@pytest.mark.parametrize(("check", "data"), SAVED)
def test_what_was_saved_breaks_no_promise(check: Callable[[bytes], None], data: bytes) -> None:
    check(data)


# HTTP: lines that mean something, in any order, cut anywhere.
LINES = st.sampled_from(
    [
        b"GET /v1/models HTTP/1.1",
        b"POST /v1/chat/completions HTTP/1.1",
        b"HEAD / HTTP/1.0",
        b"Host: x",
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Connection: close",
        b"Connection: keep-alive",
        b"Expect: 100-continue",
        b"Upgrade: h2c",
        b" folded",
        b"x" * 300 + b": y",
        b"",
        b"5",
        b"hello",
        b"0",
        b"5;ext=1",
        b"\x00",
    ]
)
REQUESTS = st.lists(LINES, max_size=14).map(lambda lines: b"\r\n".join([*lines, b""]))


@settings(max_examples=300)
@given(REQUESTS)
def test_a_request_is_the_same_however_it_is_cut(data: bytes) -> None:
    target.http(data)


def test_the_framing_faults_of_the_corpus_are_the_same_however_they_are_cut() -> None:
    for case in corpus():
        if case.id.startswith("A") and len(case.request) < 1_000:
            target.http(case.request)


# Bodies: right ones with something wrong somewhere.
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=6)
)
WORDS = st.sampled_from(
    ["role", "user", "content", "type", "text", "function", "name", "tool", "assistant", "$ref"]
)
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
MESSAGE: dict[str, Any] = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "be"}]},
        MESSAGE,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "stop": ["a"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "logit_bias": {"1": 1},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"type": "object", "properties": {"x": {}}}},
    },
}
COMPLETION: dict[str, Any] = {"model": "m", "prompt": ["a", "b"], "n": 2, "logprobs": 1}
Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> list[Place]:
    """Every place in a value."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [at, *(place for key, below in inner for place in places(below, (*at, key)))]


def replaced(value: Any, place: Place, by: Any) -> Any:
    if not place:
        return by
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(copy[place[0]], place[1:], by)
    return copy


def mutants(whole: dict[str, Any], names: list[str]) -> st.SearchStrategy[bytes]:
    """The body with a value somewhere put in place of another, and with any fields added."""
    changed = st.builds(
        lambda at, by: replaced(whole, at, by), st.sampled_from(places(whole)), JSON
    )
    added = st.builds(
        lambda fields: {**whole, **fields},
        st.dictionaries(st.sampled_from(names), JSON, max_size=3),
    )
    return (changed | added).map(lambda body: json.dumps(body).encode())


CHAT_NAMES = sorted({*field.CHAT.kept, *field.CHAT.dropped, *field.CHAT.refused, "x"})
COMPLETION_NAMES = sorted({*field.COMPLETION.kept, *field.COMPLETION.dropped, "suffix", "x"})


@settings(max_examples=200)
@given(mutants(CHAT, CHAT_NAMES))
def test_a_chat_with_something_wrong_somewhere_is_refused_with_words(data: bytes) -> None:
    target.chat(data)


@given(mutants(COMPLETION, COMPLETION_NAMES))
def test_a_completion_with_something_wrong_somewhere_is_refused_with_words(data: bytes) -> None:
    target.completion(data)


def test_the_bodies_that_are_changed_are_right_before_it() -> None:
    check_chat(json.dumps(CHAT).encode())
    check_completion(json.dumps(COMPLETION).encode())


KEYWORDS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "$defs",
        "$ref",
        "pattern",
        "enum",
        "const",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "required",
        "additionalProperties",
        "not",
        "if",
        "minimum",
        "maximum",
        "multipleOf",
        "format",
        "x-note",
        "frobnicate",
    ]
)
VALUES = st.sampled_from(
    [
        "string",
        "object",
        "array",
        "#/$defs/a",
        "#",
        "^a+$",
        "(a+)+",
        True,
        5,
        -1,
        2**70,
        None,
        ["a"],
    ]
)
SCHEMAS = st.recursive(
    st.dictionaries(KEYWORDS, VALUES, max_size=4),
    lambda inner: st.dictionaries(
        KEYWORDS,
        inner | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
        max_size=4,
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(SCHEMAS)
def test_a_schema_of_known_keywords_is_refused_with_words_or_taken(schema: dict[str, Any]) -> None:
    target.schema(json.dumps(schema).encode())


PIECES = st.lists(
    st.sampled_from([*"ab.^$|()[]-\\{},?*+013", "(?:", "(?=", "\\d", "\\u00e9", "{2,3}", "[a-z]"]),
    max_size=14,
).map("".join)


@settings(max_examples=200)
@given(PIECES)
def test_a_pattern_that_is_taken_is_one_for_everybody(pattern: str) -> None:
    target.pattern(pattern.encode())


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps({"error": value}).encode()))
def test_an_engines_refusal_becomes_words_of_ours(data: bytes) -> None:
    target.refusal(data)
