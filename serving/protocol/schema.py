"""Bounds on JSON schemas, which the engine compiles: CVE-2026-105757, CVE-2026-55574,
CVE-2025-48944 and their kin.

Conservative on purpose: keywords are a closed list, so that no subschema hides in one that we do
not walk; keywords that unroll (`minItems`), that recurse (`$ref` in a circle), or that are programs
of their own (`pattern`) are bounded or refused here, before an engine sees them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from serving import bounds
from serving.protocol.check import (
    Json,
    array,
    below,
    boolean,
    integer,
    invalid,
    record,
    text,
    wrong_type,
)
from serving.protocol.pattern import Refused, check_pattern
from serving.protocol.reference import check_references

_TYPES = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))
#: Pairs of keywords of which the first must not be above the second.
_LIMITS = (
    ("minItems", "maxItems"),
    ("minLength", "maxLength"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
    ("minimum", "maximum"),
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A caller's schema as a kind."""

    def __call__(self, value: Any, path: str) -> Json:
        return check_schema(value, path)

    def describe(self) -> Json:
        return {"type": "object"}


def check_schema(schema: Any, path: str) -> Json:
    record(schema, path)
    try:
        size = len(msgspec.json.encode(schema))
    except RecursionError:
        raise invalid(path, f"is nested deeper than {bounds.SCHEMA_DEPTH} levels") from None
    if size > bounds.SCHEMA_BYTES:
        raise invalid(path, f"is over the limit of {bounds.SCHEMA_BYTES} bytes")
    _depth(schema, path, bounds.SCHEMA_DEPTH)
    check_references(schema, path)
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
        check = _KEYWORDS.get(name)
        if check is not None:
            check(value, below(path, name))
        elif not name.startswith("x-"):
            raise invalid(below(path, name), "is not supported in a schema")
    for least, most in _LIMITS:
        if least in schema and most in schema and schema[least] > schema[most]:
            raise invalid(f"{path}.{least}", f"is above '{most}'")
    return schema


def _subschema(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        _schema(record(value, path), path)


def _named_schemas(value: Any, path: str) -> None:
    for name, inner in record(value, path).items():
        _subschema(inner, below(path, name))


def _listed_schemas(value: Any, path: str) -> None:
    for index, inner in enumerate(array(value, path, most=bounds.SCHEMA_COUNT, least=1)):
        _subschema(inner, f"{path}[{index}]")


def _type(value: Any, path: str) -> None:
    names = array(value, path, most=len(_TYPES), least=1) if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str):
            raise wrong_type(path, "the name of a JSON type")
        if name not in _TYPES:
            raise invalid(path, "is not a JSON type")


def _pattern(value: Any, path: str) -> None:
    try:
        check_pattern(text(value, path, most=bounds.PATTERN_CHARS))
    except Refused as reason:
        raise invalid(path, str(reason)) from None


def _names(value: Any, path: str) -> None:
    for index, name in enumerate(array(value, path, most=bounds.SCHEMA_COUNT)):
        text(name, f"{path}[{index}]", most=bounds.SCHEMA_BYTES)


def _named_names(value: Any, path: str) -> None:
    for name, inner in record(value, path).items():
        _names(inner, below(path, name))


def _number(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(path, "a number")


def _step(value: Any, path: str) -> None:
    _number(value, path)
    if value <= 0:
        raise invalid(path, "must be above 0")


def _count(value: Any, path: str) -> None:
    integer(value, path, 0, bounds.SCHEMA_COUNT)


def _values(value: Any, path: str) -> None:
    array(value, path, most=bounds.SCHEMA_COUNT, least=1)


def _words(value: Any, path: str) -> None:
    text(value, path, most=bounds.SCHEMA_BYTES)


def _anything(value: Any, path: str) -> None:
    """Data, not schema: nothing in it is compiled."""


_CHECKS: dict[Callable[[Any, str], object], tuple[str, ...]] = {
    _type: ("type",),
    _pattern: ("pattern",),
    _named_schemas: ("properties", "$defs", "definitions", "dependentSchemas"),
    _listed_schemas: ("anyOf", "oneOf", "allOf", "prefixItems"),
    _subschema: (
        *("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then"),
        *("else", "unevaluatedItems", "unevaluatedProperties"),
    ),
    _names: ("required",),
    _named_names: ("dependentRequired",),
    _count: tuple(name for pair in _LIMITS[:4] for name in pair),
    _number: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    _step: ("multipleOf",),
    _values: ("enum",),
    boolean: ("uniqueItems", "deprecated", "readOnly", "writeOnly"),
    _words: (
        *("$ref", "$schema", "$id", "$comment", "title", "description", "format"),
        *("contentEncoding", "contentMediaType"),
    ),
    _anything: ("const", "default", "examples"),
}
#: Every keyword that a schema may have. Unknown ones may hold anything, so there are none; what
#: begins with `x-` is an annotation by convention.
_KEYWORDS = {name: check for check, names in _CHECKS.items() for name in names}
