"""Tools, the choice among them, and the shape asked of the answer."""

import re
from typing import Any

from serving import bounds
from serving.protocol.check import (
    Json,
    array,
    boolean,
    invalid,
    needed,
    one_of,
    only,
    record,
    text,
    wrong_type,
)
from serving.protocol.schema import check_schema

_NAME = re.compile(r"[A-Za-z0-9_-]+")


def check_tools(value: Any, path: str) -> list[Json]:
    names: set[str] = set()
    entries = array(value, path, most=bounds.TOOLS, least=1)
    return [_tool(entry, f"{path}[{i}]", names) for i, entry in enumerate(entries)]


def _tool(value: Any, path: str, names: set[str]) -> Json:
    fields = only(record(value, path), path, ("type", "function"))
    one_of(fields.get("type", "function"), f"{path}.type", ("function",))
    at = f"{path}.function"
    function = _function(record(needed(fields, "function", path), at), at)
    if function["name"] in names:
        raise invalid(f"{at}.name", "is the name of an earlier tool, too")
    names.add(function["name"])
    return {"type": "function", "function": function}


def _function(fields: Json, path: str) -> Json:
    fields = only(fields, path, ("name", "description", "parameters", "strict"))
    _name(needed(fields, "name", path), f"{path}.name")
    if "description" in fields:
        text(fields["description"], f"{path}.description", most=bounds.DESCRIPTION_CHARS)
    if "strict" in fields:
        boolean(fields["strict"], f"{path}.strict")
    if "parameters" in fields:
        check_schema(fields["parameters"], f"{path}.parameters")
    return fields


def _name(value: Any, path: str) -> str:
    name = text(value, path, most=bounds.FUNCTION_NAME_CHARS, least=1)
    if not _NAME.fullmatch(name):
        raise invalid(path, "may hold letters, digits, '_' and '-' only")
    return name


def check_tool_choice(value: Any, path: str) -> str | Json:
    if isinstance(value, str):
        return one_of(value, path, ("none", "auto", "required"))
    if not isinstance(value, dict):
        raise wrong_type(path, "a string or an object")
    fields = only(value, path, ("type", "function"))
    one_of(needed(fields, "type", path), f"{path}.type", ("function",))
    at = f"{path}.function"
    function = only(record(needed(fields, "function", path), at), at, ("name",))
    name = _name(needed(function, "name", at), f"{at}.name")
    return {"type": "function", "function": {"name": name}}


def check_response_format(value: Any, path: str) -> Json:
    fields = only(record(value, path), path, ("type", "json_schema"))
    kinds = ("text", "json_object", "json_schema")
    kind = one_of(needed(fields, "type", path), f"{path}.type", kinds)
    if kind != "json_schema":
        if "json_schema" in fields:
            raise invalid(f"{path}.json_schema", "goes with type 'json_schema' only")
        return {"type": kind}
    at = f"{path}.json_schema"
    return {"type": kind, "json_schema": _json_schema(needed(fields, "json_schema", path), at)}


def _json_schema(value: Any, path: str) -> Json:
    fields = only(record(value, path), path, ("name", "description", "schema", "strict"))
    _name(needed(fields, "name", path), f"{path}.name")
    if "description" in fields:
        text(fields["description"], f"{path}.description", most=bounds.DESCRIPTION_CHARS)
    if "strict" in fields:
        boolean(fields["strict"], f"{path}.strict")
    check_schema(needed(fields, "schema", path), f"{path}.schema")
    return fields
