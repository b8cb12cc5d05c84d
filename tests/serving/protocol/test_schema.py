"""References in a schema: only to its own definitions, never in a circle, and cheap to check."""

import time
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


def test_a_long_chain_of_references_does_not_hold_up_the_event_loop() -> None:
    chain: dict[str, Any] = {f"{at}": {"$ref": f"#/$defs/{at + 1}"} for at in range(2000)}
    began_s = time.process_time()
    check_schema({"$defs": chain | {"2000": {}}}, "s")
    assert time.process_time() - began_s < 0.25
