"""Every field of OpenAI's request types, and of the engine's, is in exactly one class."""

import ast
import importlib.util
import json
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import chat as chat_types
from openai.types import completion_create_params as completion
from openai.types import shared_params
from openai.types.chat import chat_completion_assistant_message_param as assistant
from openai.types.chat import completion_create_params as chat
from openai.types.shared_params.response_format_json_schema import JSONSchema

from serving.errors import ApiError
from serving.protocol import check_chat, check_completion, field, message, tool
from serving.protocol.fast import read_chat
from serving.protocol.kind import Record, Tagged

ALL_ROLES = {
    chat_types.ChatCompletionSystemMessageParam: message.ROLES["system"],
    chat_types.ChatCompletionDeveloperMessageParam: message.ROLES["developer"],
    chat_types.ChatCompletionUserMessageParam: message.ROLES["user"],
    chat_types.ChatCompletionAssistantMessageParam: message.ROLES["assistant"],
    chat_types.ChatCompletionToolMessageParam: message.ROLES["tool"],
}
RECORDS: dict[Any, Record] = {
    chat.CompletionCreateParamsBase: field.CHAT,
    completion.CompletionCreateParamsBase: field.COMPLETION,
    **ALL_ROLES,
    chat_types.ChatCompletionContentPartTextParam: message.TEXT_PART,
    chat_types.ChatCompletionMessageFunctionToolCallParam: message.CALL,
    chat_types.ChatCompletionStreamOptionsParam: field.STREAM_OPTIONS,
    chat_types.ChatCompletionFunctionToolParam: tool.TOOL,
    shared_params.FunctionDefinition: tool.FUNCTION,
    chat_types.ChatCompletionNamedToolChoiceParam: tool.NAMED_CHOICE,
    JSONSchema: tool.JSON_SCHEMA,
}


@pytest.mark.parametrize(("types", "record"), RECORDS.items(), ids=[it.__name__ for it in RECORDS])
def test_every_field_of_openais_types_is_in_exactly_one_class(types: Any, record: Record) -> None:
    names = set(typing.get_type_hints(types))
    if types in (chat.CompletionCreateParamsBase, completion.CompletionCreateParamsBase):
        names.add("stream")
    classes = (record.kept, record.dropped, record.refused)
    for name in names:
        assert sum(name in known for known in classes) == 1, name


def tags(union: Any, tag: str) -> set[str]:
    """The values that tell the members of a union of OpenAI's apart."""
    literals = (typing.get_type_hints(member)[tag] for member in typing.get_args(union))
    return {value for literal in literals for value in typing.get_args(literal)}


@pytest.mark.parametrize(
    ("union", "tagged"),
    [
        (chat_types.ChatCompletionMessageParam, message.MESSAGE),
        (chat_types.ChatCompletionContentPartParam, message.PART),
        (assistant.ContentArrayOfContentPart, message.PART),
        (chat.ResponseFormat, tool.RESPONSE_FORMAT),
    ],
    ids=["message", "part", "assistant's part", "response_format"],
)
def test_every_shape_that_openai_tells_apart_is_taken_or_refused(
    union: Any, tagged: Tagged
) -> None:
    found = tags(union, tagged.tag)
    assert found
    assert found <= {*tagged.shapes, *tagged.refused}


def vllm_fields(module: str, name: str) -> set[str]:
    """Of a request class of the engine, read and not imported."""
    spec = importlib.util.find_spec("vllm")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "entrypoints" / "openai" / module
    classes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)]
    body = next(found.body for found in classes if found.name == name)
    return {
        line.target.id
        for line in body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


EXTENSIONS = {"top_k", "min_p", "repetition_penalty", "min_tokens"}


@pytest.mark.parametrize(
    ("module", "name", "check", "types", "record", "whole"),
    [
        (
            "chat_completion/protocol.py",
            "ChatCompletionRequest",
            check_chat,
            chat.CompletionCreateParamsBase,
            field.CHAT,
            {"model": "m", "messages": [{"role": "user", "content": "x"}]},
        ),
        (
            "completion/protocol.py",
            "CompletionRequest",
            check_completion,
            completion.CompletionCreateParamsBase,
            field.COMPLETION,
            {"model": "m", "prompt": "x"},
        ),
    ],
    ids=["chat", "completion"],
)
def test_of_vllms_own_fields_four_pass_and_all_others_are_refused_by_name(  # noqa: PLR0913
    module: str, name: str, check: Any, types: Any, record: Record, whole: dict[str, Any]
) -> None:
    openais = {*typing.get_type_hints(types), "stream"}
    assert set(record.kept) - openais == EXTENSIONS
    own = vllm_fields(module, name) - openais
    assert own >= EXTENSIONS
    assert len(own) > 20
    for extension in own - EXTENSIONS:
        with pytest.raises(ApiError) as refused:
            check(json.dumps({**whole, extension: 1}).encode())
        assert (refused.value.code, refused.value.param) == ("unknown_parameter", extension)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(
    sorted(
        {*field.CHAT.kept, *field.CHAT.dropped, *field.CHAT.refused, *field.COMPLETION.kept, "x"}
    )
)


@given(st.dictionaries(names, json_values, max_size=5), st.booleans())
def test_any_body_is_checked_or_refused_with_words(fields: dict[str, Any], is_chat: bool) -> None:
    whole: dict[str, Any] = {"model": "m"}
    if is_chat:
        whole["messages"] = [{"role": "user", "content": "x"}]
    else:
        whole["prompt"] = "x"
    body = json.dumps({**whole, **fields}).encode()
    try:
        checked = (check_chat if is_chat else check_completion)(body)
    except ApiError:
        return
    sent = json.loads(checked.encode("served", None))
    assert sent["model"] == "served"
    allowed = (field.CHAT if is_chat else field.COMPLETION).kept
    assert set(sent) <= set(allowed)
    assert None not in sent.values()
    checked.size()


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_with_words(body: bytes) -> None:
    for check in (check_chat, check_completion):
        with pytest.raises(ApiError):
            check(body)


@given(
    st.fixed_dictionaries(
        {"model": st.just("m")},
        optional={
            "temperature": st.floats(-1, 3) | st.integers(-1, 3) | st.booleans(),
            "top_p": st.floats(-1, 2),
            "n": st.integers(-1, 10) | st.booleans() | st.floats(0, 3),
            "max_tokens": st.integers(-1, 2**40),
            "max_completion_tokens": st.integers(1, 3),
            "seed": st.integers(-(2**70), 2**70),
            "stop": st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=6),
            "stream": st.booleans() | st.none(),
            "stream_options": st.none() | st.just({"include_usage": True}),
            "presence_penalty": st.floats(-3, 3),
            "user": st.text(max_size=3),
        },
    )
)
def test_both_paths_take_and_refuse_the_same(fields: dict[str, Any]) -> None:
    whole = {**fields, "messages": [{"role": "user", "content": "x"}]}
    slow_only = {**whole, "logit_bias": {}}
    outcomes = []
    for given_fields in (whole, slow_only):
        try:
            sent = json.loads(check_chat(json.dumps(given_fields).encode()).encode("m", None))
            sent.pop("logit_bias", None)
            outcomes.append(sent)
        except ApiError as error:
            outcomes.append((error.code, error.param))
    assert outcomes[0] == outcomes[1]


def test_the_common_shape_takes_the_fast_path() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    assert read_chat(json.dumps(body).encode()) is not None


def test_the_last_of_two_equal_keys_is_checked_and_sent() -> None:
    body = b'{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}'
    checked = check_chat(body)
    assert checked.model == "b"
    assert checked.encode("s", None).count(b"model") == 1
