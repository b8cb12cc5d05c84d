"""The OpenAPI document of the gateway, made from what validates and answers: the routes, the kinds
of the fields, the structs of the replies, the table of errors. Nothing is said here a second time.
"""

from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from serving.bounds import SESSION_BYTES
from serving.errors import Refusal
from serving.gateway.config import Card, Cards
from serving.gateway.own_usage import Usage
from serving.gateway.route import ONE_MODEL, ROUTES, Kind, Route
from serving.gateway.shape import ChatReply, TextReply
from serving.protocol import field

Json = dict[str, Any]

_REF = "#/components/schemas/"
#: Statuses that any route may answer with; framing, keys and sizes of the head decide them.
_OF_THE_HEAD = (400, 414, 431, 500, 503)
_OF_A_REQUEST = (404, 413, 415, 429, 502, 504)
_SUMMARIES = {
    Kind.CHAT: "Answers a chat",
    Kind.COMPLETION: "Continues a prompt",
    Kind.MODELS: "Lists the models",
    Kind.MODEL: "Shows one model",
    Kind.USAGE: "Shows what the own key has used this month",
    Kind.HEALTH: "Says that the gateway runs",
    Kind.READY: "Says whether the gateway takes requests",
    Kind.DOCUMENT: "Shows this document",
}
_BODIES = {Kind.CHAT: field.CHAT, Kind.COMPLETION: field.COMPLETION}
_REPLIES = {
    Kind.CHAT: ChatReply,
    Kind.COMPLETION: TextReply,
    Kind.MODELS: Cards,
    Kind.MODEL: Card,
    Kind.USAGE: Usage,
}
_STATUS_WORD: Json = {
    "type": "object",
    "properties": {"status": {"type": "string", "enum": ["ok", "unavailable"]}},
    "required": ["status"],
}


@cache
def document() -> bytes:
    return msgspec.json.encode(describe())


def describe() -> Json:
    routes = {path.decode(): route for path, route in ROUTES.items()}
    routes["/v1/models/{model}"] = ONE_MODEL
    _, schemas = msgspec.json.schema_components(_REPLIES.values(), ref_template=_REF + "{name}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Flotilla", "version": "v1"},
        "security": [{"key": []}],
        "paths": {path: _path(route) for path, route in routes.items()},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, **_errors()},
        },
    }


def _path(route: Route) -> Json:
    operation: Json = {
        "operationId": route.kind.name.lower(),
        "summary": _SUMMARIES[route.kind],
        "parameters": list(_parameters(route.kind)),
        "responses": _responses(route),
    }
    if not route.needs_key:
        operation["security"] = []
    if route.kind in _BODIES:
        content = {"application/json": {"schema": _BODIES[route.kind].describe()}}
        operation["requestBody"] = {"required": True, "content": content}
    return {route.method.decode().lower(): operation}


def _parameters(kind: Kind) -> Iterable[Json]:
    if kind is Kind.MODEL:
        schema = {"type": "string", "minLength": 1}
        yield {"name": "model", "in": "path", "required": True, "schema": schema}
    if kind in _BODIES:
        schema = {"type": "string", "pattern": f"^[!-~]{{1,{SESSION_BYTES}}}$"}
        yield {"name": "X-Session-ID", "in": "header", "required": False, "schema": schema}


def _responses(route: Route) -> Json:
    statuses = [*_OF_THE_HEAD, *([401] if route.needs_key else [])]
    if route.kind in _BODIES:
        statuses += _OF_A_REQUEST
    if route.kind is Kind.MODEL:
        statuses.append(404)
    found: Json = {"200": {"description": "The answer.", "content": _content(route.kind)}}
    for status in sorted(statuses):
        found[str(status)] = _answer(HTTPStatus(status).phrase, _error_ref(status))
    if route.kind is Kind.READY:
        found["503"] = _answer("Not ready.", {"anyOf": [_STATUS_WORD, _error_ref(503)]})
    return found


def _content(kind: Kind) -> Json:
    reply = _REPLIES.get(kind)
    if reply is None:
        is_word = kind in (Kind.HEALTH, Kind.READY)
        schema: Json = _STATUS_WORD if is_word else {"type": "object"}
        return {"application/json": {"schema": schema}}
    content: Json = {"application/json": {"schema": {"$ref": _REF + reply.__name__}}}
    if kind in _BODIES:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return content


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _error_ref(status: int) -> Json:
    return {"$ref": f"{_REF}Error{status}"}


def _errors() -> Json:
    """One schema a status, from the table."""
    statuses = {refusal.value.status for refusal in Refusal}
    return {f"Error{status}": _error(status) for status in sorted(statuses)}


def _error(status: int) -> Json:
    rows = [refusal.value for refusal in Refusal if refusal.value.status == status]
    codes = sorted({row.code for row in rows if row.code is not None})
    code: Json = {"enum": [*codes, *([None] if any(row.code is None for row in rows) else [])]}
    if status == HTTPStatus.BAD_REQUEST:
        code = {"type": ["string", "null"]}  # a field's fault has a finer code
    inner = {
        "message": {"type": "string", "minLength": 1},
        "type": {"enum": sorted({row.type for row in rows})},
        "param": {"type": ["string", "null"]},
        "code": code,
    }
    return {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": inner,
                "required": sorted(inner),
                "additionalProperties": False,
            }
        },
        "required": ["error"],
    }
