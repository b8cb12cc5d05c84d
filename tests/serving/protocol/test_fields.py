"""Every field of OpenAI's request types is in exactly one class of the allow-list."""

import json
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import completion_create_params as completion
from openai.types.chat import completion_create_params as chat

from serving.errors import ApiError
from serving.protocol import check_chat, check_completion, field
from serving.protocol.fast import read_chat


@pytest.mark.parametrize(
    ("types", "classes"),
    [
        (
            chat.CompletionCreateParamsBase,
            (field.CHAT, field.CHAT_WITHOUT_EFFECT, field.CHAT_UNSUPPORTED),
        ),
        (
            completion.CompletionCreateParamsBase,
            (field.COMPLETION, field.COMPLETION_WITHOUT_EFFECT, field.COMPLETION_UNSUPPORTED),
        ),
    ],
)
def test_openai_fields_are_in_exactly_one_class(types: Any, classes: tuple[Any, ...]) -> None:
    for name in {*typing.get_type_hints(types), "stream"}:
        assert sum(name in known for known in classes) == 1, name


def test_vllm_extensions_are_those_named_and_no_more() -> None:
    known = {*typing.get_type_hints(chat.CompletionCreateParamsBase), "stream"}
    assert set(field.CHAT) - known == {"top_k", "min_p", "repetition_penalty", "min_tokens"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(sorted({*field.CHAT, *field.CHAT_WITHOUT_EFFECT, *field.COMPLETION, "x"}))


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
    allowed = field.CHAT if is_chat else field.COMPLETION
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
