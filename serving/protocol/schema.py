"""Bounds on JSON schemas, which the engine compiles: CVE-2026-105757, CVE-2026-55574,
CVE-2025-48944 and their kin.

Conservative on purpose: keywords that unroll (`minItems`), that recurse (`$ref` in a circle), or
that are programs of their own (`pattern`) are bounded or refused here, before an engine sees them.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from serving import bounds
from serving.protocol.check import Json, array, integer, invalid, record, text, wrong_type

_TYPES = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))
_COUNTS = frozenset(
    ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
)
#: Keywords whose value maps names to schemas, is a list of schemas, or is a schema.
_MAPS = frozenset(("properties", "$defs", "definitions", "dependentSchemas"))
_LISTS = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_SCHEMAS = frozenset(("items", "additionalProperties", "not", "contains", "if", "then", "else"))
_REFUSED = frozenset(("patternProperties", "$dynamicRef", "$recursiveRef", "$anchor"))
#: Lookaround, backreferences and nested repeats: no grammar backend has them, some die of them.
_PATTERN_FORBIDDEN = re.compile(r"\(\?[=!<]|\\[1-9]|\(\?P|[+*}]\)[+*{]")


def check_schema(schema: Any, path: str) -> Json:
    record(schema, path)
    try:
        size = len(msgspec.json.encode(schema))
    except RecursionError:
        raise invalid(path, f"is nested deeper than {bounds.SCHEMA_DEPTH} levels") from None
    if size > bounds.SCHEMA_BYTES:
        raise invalid(path, f"is over the limit of {bounds.SCHEMA_BYTES} bytes")
    _depth(schema, path, bounds.SCHEMA_DEPTH)
    _references(schema, path)
    return _schema(schema, path)


def _depth(value: Any, path: str, left: int) -> None:
    if left == 0:
        raise invalid(path, f"is nested deeper than {bounds.SCHEMA_DEPTH} levels")
    if isinstance(value, dict):
        for inner in value.values():
            _depth(inner, path, left - 1)
    elif isinstance(value, list):
        for inner in value:
            _depth(inner, path, left - 1)
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise invalid(path, "holds a number of more than 64 bits")


def _schema(schema: Json, path: str) -> Json:
    for name, value in schema.items():
        _keyword(name, value, f"{path}.{name}")
    return schema


def _keyword(name: str, value: Any, path: str) -> None:
    if name in _REFUSED:
        raise invalid(path, "is not supported in a schema")
    if name in _COUNTS:
        integer(value, path, 0, bounds.SCHEMA_COUNT)
    elif name in _CHECKS:
        _CHECKS[name](value, path)
    else:
        _children(name, value, path)


def _children(name: str, value: Any, path: str) -> None:
    if name in _MAPS:
        for key, inner in record(value, path).items():
            _subschema(inner, f"{path}.{key}")
    elif name in _LISTS:
        for index, inner in enumerate(array(value, path, most=bounds.SCHEMA_COUNT, least=1)):
            _subschema(inner, f"{path}[{index}]")
    elif name in _SCHEMAS:
        _subschema(value, path)


def _subschema(value: Any, path: str) -> None:
    if isinstance(value, bool):
        return
    _schema(record(value, path), path)


def _check_type(value: Any, path: str) -> None:
    for name in value if isinstance(value, list) else [value]:
        if not isinstance(name, str):
            raise wrong_type(path, "the name of a JSON type")
        if name not in _TYPES:
            raise invalid(path, "is not a JSON type")


def _check_pattern(value: Any, path: str) -> None:
    text(value, path, most=bounds.PATTERN_CHARS)
    if _PATTERN_FORBIDDEN.search(value):
        raise invalid(path, "uses lookaround, backreferences or nested repeats")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        raise invalid(path, "is not a regular expression") from None
    if any(int(count) > bounds.SCHEMA_COUNT for count in re.findall(r"\d{1,18}", value)):
        raise invalid(path, f"repeats more than {bounds.SCHEMA_COUNT} times")


def _check_enum(value: Any, path: str) -> None:
    array(value, path, most=bounds.SCHEMA_COUNT, least=1)


def _check_reference(value: Any, path: str) -> None:
    text(value, path, most=bounds.PATTERN_CHARS)


_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "type": _check_type,
    "pattern": _check_pattern,
    "enum": _check_enum,
    "$ref": _check_reference,
}


def _references(schema: Json, path: str) -> None:
    """Only references into the schema's own definitions, and none that comes round again."""
    edges = {
        f"#/{section}/{name}": _targets(inner)
        for section in ("definitions", "$defs")
        for name, inner in record(schema.get(section, {}), f"{path}.{section}").items()
        if "/" not in name  # a pointer to it would lead elsewhere
    }
    rest = {name: value for name, value in schema.items() if name not in ("$defs", "definitions")}
    for targets in (_targets(rest), *edges.values()):
        if not targets <= edges.keys():
            raise invalid(path, "has a $ref that is not to its own $defs")
    if _comes_round(edges):
        raise invalid(path, "has a $ref that leads back to itself")


def _targets(value: Any) -> set[str]:
    """Everything that a value refers to."""
    found: set[str] = set()
    if isinstance(value, list):
        return found.union(*(_targets(inner) for inner in value))
    if isinstance(value, dict):
        found = found.union(*(_targets(inner) for inner in value.values()))
        reference = value.get("$ref")
        if isinstance(reference, str):
            found.add(reference)
    return found


def _comes_round(edges: dict[str, set[str]]) -> bool:
    """Takes away what refers to nothing any more; a circle is what stays. Each edge is looked at
    once: a schema may hold thousands, and the event loop waits.
    """
    open_targets = {name: len(targets) for name, targets in edges.items()}
    referrers: dict[str, list[str]] = {name: [] for name in edges}
    for name, targets in edges.items():
        for target in targets:
            referrers[target].append(name)
    leaves = [name for name, count in open_targets.items() if not count]
    for leaf in leaves:  # grows while it is walked
        for name in referrers[leaf]:
            open_targets[name] -= 1
            if not open_targets[name]:
                leaves.append(name)
    return len(leaves) < len(edges)
