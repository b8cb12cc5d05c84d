"""A JSON schema in a reader's words: what a value is, and its bounds. Pure; text is Markdown that
may stand in a cell of a table.
"""

from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "map",
    "array": "list",
    "null": "null",
}
#: Beyond it a pattern says less to a reader than an error message does.
_PATTERN_CHARS = 40
#: What a type that may be several things at once is called by.
_SEVERAL = ("anyOf", "oneOf")


def without_null(schema: Json) -> Json:
    """What stands there when something does: `null` is the same as nothing."""
    parts = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **parts[0]} if len(parts) == 1 else schema


def kind(schema: Json) -> str:
    """What a value is."""
    schema = without_null(schema)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return _either(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`".lower()
    for several in _SEVERAL:
        if schema.get(several):
            return _either(kind(part) for part in schema[several])
    return _of_its_parts(schema)


def _of_its_parts(schema: Json) -> str:
    name = _TYPES[schema["type"]] if "type" in schema else "anything"
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {kind(schema['items'])}"
    named = list(schema.get("patternProperties", {}).values())
    return f"map of name to {kind(named[0])}" if named else name


def _either(parts: Iterable[str]) -> str:
    """Each once: several records differ in ways that a cell has no room for."""
    return " or ".join(dict.fromkeys(parts))


def bounds(schema: Json) -> str:
    """How large, long or many; empty where nothing is said."""
    return "; ".join(_bounds(without_null(schema)))


def _bounds(schema: Json) -> Iterator[str]:
    if "exclusiveMinimum" in schema:
        yield f"above {_figure(schema['exclusiveMinimum'])}"
    yield from _range(schema, "minimum", "maximum", "")
    yield from _range(schema, "minLength", "maxLength", " characters")
    yield from _range(schema, "minItems", "maxItems", " entries")
    yield from _range(schema, "minProperties", "maxProperties", " entries")
    pattern = schema.get("pattern", "")
    if 0 < len(pattern) <= _PATTERN_CHARS and "|" not in pattern:
        yield f"`{pattern}`"


def _range(schema: Json, least: str, most: str, unit: str) -> Iterator[str]:
    """A bound of nothing at all is none."""
    low, high = schema.get(least), schema.get(most)
    if low is not None and high is not None and (low or not unit):
        yield f"{_figure(low)} to {_figure(high)}{unit}"
    elif high is not None:
        yield f"at most {_figure(high)}{unit}"
    elif low is not None and (low or not unit):
        yield f"at least {_figure(low)}{unit}"


def _figure(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
