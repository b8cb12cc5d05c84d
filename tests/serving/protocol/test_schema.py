"""References in a schema: only to its own definitions, never in a circle, and cheap to check."""

import sys
from types import FrameType
from typing import Any

import pytest

from serving.errors import FieldError
from serving.protocol.schema import check_schema


def test_references_to_own_definitions_are_taken_in_both_spellings() -> None:
    schema = {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/definitions/b"}},
        "definitions": {"b": {"type": "string"}},
        "properties": {"x": {"$ref": "#/$defs/a"}},
    }
    assert check_schema(schema, "s") is schema


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}},
        # The same name in both places must not hide one of them.
        {"definitions": {"a": {"$ref": "#/definitions/a"}}, "$defs": {"a": {}}},
        # The engine reads this pointer as the `b` inside of `a`.
        {"$defs": {"a": {"b": {"$ref": "#/$defs/a/b"}}, "a/b": {}}},
        {"$ref": "#/$defs/a"},
        {"$ref": "a", "$defs": {"a": {}}},
    ],
)
def test_a_reference_that_leads_back_or_out_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match=r"has a \$ref"):
        check_schema(schema, "s")


def test_each_reference_of_a_long_chain_is_looked_at_a_few_times_only() -> None:
    """The event loop waits meanwhile."""
    assert calls_to_check(chain=2000) < 12 * calls_to_check(chain=200)


def calls_to_check(chain: int) -> int:
    links = {f"{at}": {"$ref": f"#/$defs/{at + 1}"} for at in range(chain)}
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        check_schema({"$defs": links | {f"{chain}": {}}}, "s")
    finally:
        sys.setprofile(None)
    return calls
