"""A kind says of itself what it does: what it takes fits its schema, and what fits it takes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from serving.errors import FieldError
from serving.protocol import field, message, tool
from serving.protocol.kind import Choice, Entries, Flag, Kind, Listing, Off, Record, Tagged, Text

NUMBERS = st.integers(-(2**66), 2**66) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.sampled_from(
    [
        *("type", "text", "function", "name", "role", "user", "assistant", "tool", "content", "id"),
        *("json_object", "auto", "required", "low", "default", "include_usage", "1", "a-b", ""),
        *("arguments", "tool_calls", "custom", "refusal", "prompt_cache_breakpoint", "audio"),
    ]
)
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
TEXT_PART = {"type": "text", "text": "a"}
LIKELY = st.sampled_from(
    [
        "a",
        ["a", "b"],
        [[1, 2], [3]],
        {"1": 5, "22": -5},
        {"a": "b"},
        {"include_usage": True, "include_obfuscation": False},
        {"include_obfuscation": None},
        [{"role": "user", "content": [TEXT_PART]}],
        [{"role": "assistant", "content": "a", "refusal": None, "audio": None}],
        [{"role": "assistant", "content": "a", "audio": {}}],
        [{"type": "function", "function": {"name": "f", "strict": True}}],
        [{"function": {"name": "f", "parameters": None}, "custom": None}],
        {"type": "function", "function": {"name": "f"}},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        {"type": "text"},
        {"type": "text", "more": 1},
    ]
)
KINDS: dict[str, Kind] = {
    **{f"chat {name}": kind for name, kind in field.CHAT.kept.items()},
    **{f"chat {name}": kind for name, kind in field.CHAT.dropped.items()},
    **{f"completion {name}": kind for name, kind in field.COMPLETION.kept.items()},
}
#: What holds between their parts, or inside a schema or a JSON text, no schema says.
RULED = ("chat messages", "chat tools", "chat response_format")


def takes(kind: Kind, value: Any) -> bool:
    try:
        kind(value, "it")
    except FieldError:
        return False
    return True


@pytest.mark.parametrize("name", KINDS)
def test_what_a_field_takes_is_what_its_schema_says(name: str) -> None:
    kind = KINDS[name]
    schema = Draft202012Validator(kind.describe())
    Draft202012Validator.check_schema(kind.describe())

    @settings(max_examples=60, database=None)
    @given(JSON | LIKELY)
    def agree(value: Any) -> None:
        is_taken, fits = takes(kind, value), schema.is_valid(value)
        assert fits or not is_taken
        assert is_taken or not fits or name in RULED

    agree()


def refused(kind: Kind, value: Any) -> tuple[str | None, str | None]:
    with pytest.raises(FieldError) as error:
        kind(value, "it")
    return error.value.param, error.value.code


SHAPE = Record(
    {"a": Flag(), "b": Listing(Text(most=3), most=2)},
    required=("a",),
    dropped={"c": Off()},
    refused=("d",),
    defaults={"e": "f"},
)


def test_a_record_keeps_drops_and_refuses_by_class() -> None:
    assert SHAPE({"a": True, "b": None, "c": False, "d": None}, "it") == {"a": True, "e": "f"}
    assert refused(SHAPE, {}) == ("it.a", "missing_required_parameter")
    assert refused(SHAPE, {"a": None}) == ("it.a", "missing_required_parameter")
    assert refused(SHAPE, {"a": True, "c": True}) == ("it.c", "unsupported_parameter")
    assert refused(SHAPE, {"a": True, "d": 1}) == ("it.d", "unsupported_parameter")
    assert refused(SHAPE, {"a": True, "x": None}) == ("it.x", "unknown_parameter")
    assert refused(SHAPE, {"a": True, "b": ["1234"]}) == ("it.b[0]", "string_above_max_length")
    assert refused(SHAPE, []) == ("it", "invalid_type")


def test_a_tag_chooses_the_shape_and_one_of_others_is_named_as_such() -> None:
    kind = Tagged("t", {"x": Record({"t": Choice(("x",))})}, refused={"y": "send x"})
    assert kind({"t": "x"}, "it") == {"t": "x"}
    assert refused(kind, {"t": "y"}) == ("it.t", "unsupported_parameter")
    assert refused(kind, {"t": "z"}) == ("it.t", "invalid_value")
    assert refused(kind, {"t": 1}) == ("it.t", "invalid_type")
    assert refused(kind, {}) == ("it.t", "missing_required_parameter")


def test_names_of_the_callers_own_are_short_and_printable_in_a_path() -> None:
    kind = Entries(Flag(), most=2, name="[^x]*", words="has an x")
    param, code = refused(kind, {"\x1b" + "a" * 500: 1})
    assert param == "it.?" + "a" * 60 + "..."
    assert code == "invalid_type"
    assert refused(kind, {"x": True}) == ("it", "invalid_value")
    assert refused(kind, dict.fromkeys("abc", True)) == ("it", "invalid_value")


def test_the_shapes_of_this_page_are_the_ones_in_use() -> None:
    assert set(message.ROLES) == set(message.MESSAGE.shapes)
    assert set(tool.RESPONSE_FORMAT.shapes) == {"text", "json_object", "json_schema"}
