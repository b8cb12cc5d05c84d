"""Every mistake gets its row of the table, before an engine hears of it."""

from typing import Any

import pytest

from tests.fakes import FakeReplica
from tests.serving.gateway.rig import CHAT, HELLO, KEY, OTHER_KEY, TEXT, Reply, Rig

USER = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def circle() -> dict[str, Any]:
    return {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


def pattern(text: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": {"type": "string", "pattern": text}}}


def wants(schema: Any) -> dict[str, Any]:
    shape = {"name": "s", "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": shape}}


def with_tool(**function: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", **function}}]}


#: Engine extensions that must never pass.
NEVER = (
    "chat_template",
    "prompt_embeds",
    "logprob_token_ids",
    "allowed_token_ids",
    "guided_json",
    "guided_regex",
    "structured_outputs",
    "cache_salt",
    "priority",
    "add_special_tokens",
    "ignore_eos",
    "include_stop_str_in_output",
    "truncate_prompt_tokens",
    "echo",
    "documents",
    "request_id",
    "best_of",
)

#: body, param, code
CHAT_CASES: list[tuple[Any, str | None, str | None]] = [
    (b"", None, None),
    (b"{", None, None),
    (b"{'a': 1}", None, None),
    (b"\xef\xbb\xbf{}", None, None),
    (b'{"model":"\xff"}', None, None),
    (b'{"model":"tiny","temperature":NaN}', None, None),
    (b'{"seed":' + b"1" * 5_000 + b"}", None, None),
    (b'{"a":"\\ud800"}', None, None),
    (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, None),
    (b"[]", None, "invalid_type"),
    (b'"x"', None, "invalid_type"),
    ({}, "model", "missing_required_parameter"),
    ({"messages": USER}, "model", "missing_required_parameter"),
    ({"model": "tiny"}, "messages", "missing_required_parameter"),
    ({"Model": "tiny", "messages": USER}, "Model", "unknown_parameter"),
    ({"__proto__": 1}, "__proto__", "unknown_parameter"),
    ({"model": ""}, "model", "invalid_value"),
    ({"model": 5}, "model", "invalid_type"),
    ({"model": {}}, "model", "invalid_type"),
    ({"model": "x" * 10_240}, "model", "string_above_max_length"),
    ({"messages": []}, "messages", "array_below_min_length"),
    ({"messages": "hi"}, "messages", "invalid_type"),
    ({"messages": [None]}, "messages[0]", "invalid_type"),
    ({"messages": [{}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": None}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "invalid_value"),
    (
        {"messages": [{"role": "function", "content": "x"}]},
        "messages[0].role",
        "unsupported_parameter",
    ),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
    (
        {"messages": [{"role": "user", "content": []}]},
        "messages[0].content",
        "array_below_min_length",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0].type",
        "unsupported_parameter",
    ),
    (
        {"messages": [{"role": "user", "content": "x", "name": "n" * 1_000}]},
        "messages[0].name",
        "string_above_max_length",
    ),
    (
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]},
        "messages[0].tool_call_id",
        "invalid_value",
    ),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}],
                }
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
        "invalid_value",
    ),
    ({"temperature": -0.1}, "temperature", "decimal_below_min_value"),
    ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
    ({"temperature": "1"}, "temperature", "invalid_type"),
    ({"temperature": True}, "temperature", "invalid_type"),
    ({"top_p": 1.1}, "top_p", "decimal_above_max_value"),
    ({"top_p": "x"}, "top_p", "invalid_type"),
    ({"presence_penalty": 2.1}, "presence_penalty", "decimal_above_max_value"),
    ({"n": 0}, "n", "integer_below_min_value"),
    ({"n": 9}, "n", "integer_above_max_value"),
    ({"n": 2**63}, "n", "integer_above_max_value"),
    ({"n": "2"}, "n", "invalid_type"),
    ({"n": True}, "n", "invalid_type"),
    ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ({"max_tokens": 2**31}, "max_tokens", "integer_above_max_value"),
    ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "invalid_value"),
    ({"seed": -(2**63) - 1}, "seed", "integer_below_min_value"),
    ({"seed": "a"}, "seed", "invalid_type"),
    ({"logprobs": True, "top_logprobs": -1}, "top_logprobs", "integer_below_min_value"),
    ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ({"top_k": -2}, "top_k", "integer_below_min_value"),
    ({"top_k": 10**9}, "top_k", "integer_above_max_value"),
    ({"repetition_penalty": 0}, "repetition_penalty", "decimal_below_min_value"),
    ({"repetition_penalty": 1e9}, "repetition_penalty", "decimal_above_max_value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
    ({"stop": ""}, "stop", "invalid_value"),
    ({"stop": "x" * 10_240}, "stop", "string_above_max_length"),
    ({"logit_bias": []}, "logit_bias", "invalid_type"),
    ({"logit_bias": {"1": 101}}, "logit_bias.1", "decimal_above_max_value"),
    ({"logit_bias": {"1": "x"}}, "logit_bias.1", "invalid_type"),
    ({"logit_bias": {"x": 1}}, "logit_bias", "invalid_value"),
    ({"user": "x" * 10_240}, "user", "string_above_max_length"),
    ({"service_tier": "x"}, "service_tier", "invalid_value"),
    ({"store": True}, "store", "unsupported_parameter"),
    ({"modalities": ["audio"]}, "modalities", "unsupported_parameter"),
    ({"prediction": {}}, "prediction", "unsupported_parameter"),
    ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
    ({"functions": []}, "functions", "unsupported_parameter"),
    ({"response_format": "json"}, "response_format", "invalid_type"),
    (
        {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        "missing_required_parameter",
    ),
    (wants({"type": "strnig"}), "response_format.json_schema.schema.type", "invalid_value"),
    (wants(circle()), "response_format.json_schema.schema", "invalid_value"),
    (wants({"$ref": "#"}), "response_format.json_schema.schema", "invalid_value"),
    (wants({"$ref": "http://a/b"}), "response_format.json_schema.schema", "invalid_value"),
    (wants({"$defs": []}), "response_format.json_schema.schema.$defs", "invalid_type"),
    (wants(deep(200)), "response_format.json_schema.schema", "invalid_value"),
    (
        wants({"type": "array", "minItems": 10**9}),
        "response_format.json_schema.schema.minItems",
        "integer_above_max_value",
    ),
    (
        wants(pattern("(")),
        "response_format.json_schema.schema.properties.x.pattern",
        "invalid_value",
    ),
    (
        wants(pattern("(?=a)")),
        "response_format.json_schema.schema.properties.x.pattern",
        "invalid_value",
    ),
    ({"tools": {}}, "tools", "invalid_type"),
    ({"tools": [TOOL] * 129}, "tools", "array_above_max_length"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"tools": [TOOL, TOOL]}, "tools[1].function.name", "invalid_value"),
    (
        with_tool(parameters={"type": "something"}),
        "tools[0].function.parameters.type",
        "invalid_value",
    ),
    (
        with_tool(description="x" * 2**20),
        "tools[0].function.description",
        "string_above_max_length",
    ),
    ({"tool_choice": "auto"}, "tool_choice", "invalid_value"),
    ({"stream": "true"}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x", "unknown_parameter"),
    *(({name: 1}, name, "unknown_parameter") for name in NEVER),
]
COMPLETION_CASES: list[tuple[Any, str | None, str | None]] = [
    ({"model": "tiny"}, "prompt", "missing_required_parameter"),
    ({"prompt": []}, "prompt", "array_below_min_length"),
    ({"prompt": ""}, "prompt", "invalid_value"),
    ({"prompt": [[]]}, "prompt[0]", "array_below_min_length"),
    ({"prompt": [-1]}, "prompt[0]", "integer_below_min_value"),
    ({"prompt": [True]}, "prompt[0]", "invalid_type"),
    ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
    ({"prompt": ["a"] * 10_000}, "prompt", "array_above_max_length"),
    ({"prompt": [[[1]]]}, "prompt[0][0]", "invalid_type"),
    ({"prompt": "a", "suffix": "b"}, "suffix", "unsupported_parameter"),
    ({"prompt": "a", "echo": True}, "echo", "unsupported_parameter"),
    ({"prompt": "a", "best_of": 2}, "best_of", "integer_above_max_value"),
    ({"prompt": "a", "logprobs": 6}, "logprobs", "integer_above_max_value"),
    ({"prompt": "a", "messages": USER}, "messages", "unknown_parameter"),
]


def check(reply: Reply, status: int = 400) -> dict[str, Any]:
    assert reply.status == status, reply.body
    error = reply.error
    assert 0 < len(error["message"]) < 500
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    return error


async def refuse_all(
    rig: Rig, path: str, cases: list[tuple[Any, str | None, str | None]], whole: dict[str, Any]
) -> None:
    client = await rig.connect()
    for body, param, code in cases:
        is_change = isinstance(body, dict) and body and not {"Model", "__proto__"} & set(body)
        given = {**whole, **body} if is_change and body != {"messages": USER} else body
        if body == {"model": "tiny"}:
            given = body
        await client.request("POST", path, given)
        error = check(await client.reply())
        shown = str(body)[:80]
        assert (error["type"], error["param"], error["code"]) == (
            "invalid_request_error",
            param,
            code,
        ), shown
    await client.request("POST", CHAT, HELLO)
    assert (await client.reply()).status == 200


async def test_a_wrong_chat_body_is_refused_by_name(rig: Rig, replica: FakeReplica) -> None:
    await refuse_all(rig, CHAT, CHAT_CASES, HELLO)
    assert len(replica.calls) == 1


async def test_a_wrong_completion_body_is_refused_by_name(rig: Rig, replica: FakeReplica) -> None:
    await refuse_all(rig, TEXT, COMPLETION_CASES, {"model": "tiny"})
    assert len(replica.calls) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1e-9},
        {"temperature": 0},
        {"max_tokens": 3, "max_completion_tokens": 3},
        {"stop": ["a", "b"]},
        {"logit_bias": {"12": -100}},
        {"metadata": {"a": "b"}, "store": False, "service_tier": "auto", "user": "u"},
        {"parallel_tool_calls": True},
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
        {"response_format": {"type": "json_object"}},
        wants({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
        {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "min_tokens": 1},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {"functions": None, "audio": None},
        {"stream": None, "stream_options": None, "n": None},
    ],
)
async def test_a_right_body_is_answered(rig: Rig, fields: dict[str, Any]) -> None:
    reply = await rig.chat(**fields)
    assert reply.status == 200, reply.body


async def test_fields_without_effect_do_not_reach_the_engine(
    rig: Rig, replica: FakeReplica
) -> None:
    await rig.chat(metadata={"a": "b"}, store=False, user="u", safety_identifier="s")
    assert replica.calls[0].body == HELLO


async def test_an_unknown_model_is_404_and_names_no_other(rig: Rig) -> None:
    for name in ("other", "tiny:adapter", "http://169.254.169.254"):
        error = check(await rig.chat(model=name), 404)
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert "tiny'" not in error["message"]
    assert check(await rig.ask("GET", "/v1/models/other"), 404)["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("-", None),
        ("Bearer x", "invalid_api_key"),
        ("Bearer ", "invalid_api_key"),
        (f"Basic {KEY}", "invalid_api_key"),
        (f"Bearer {KEY[:-1]}x", "invalid_api_key"),
        (f"Bearer {KEY[:12]}{OTHER_KEY[12:]}", "invalid_api_key"),
        (f"Bearer {OTHER_KEY}", "invalid_api_key"),
        (f"Bearer {KEY}\u00e9", "invalid_api_key"),
        ("Bearer " + "x" * 600, "invalid_api_key"),
        ('Bearer {"$ne": null}', "invalid_api_key"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/nowhere", "//v1/models", "/v1/%2e%2e/admin"])
async def test_without_a_good_key_everything_is_401(
    rig: Rig, path: str, header: str, code: str | None
) -> None:
    reply = await rig.ask("GET", path, authorization=header)
    assert check(reply, 401)["code"] == code
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_may_be_written_in_any_case(rig: Rig) -> None:
    assert (await rig.ask("GET", "/v1/models", authorization=f"bearer {KEY}")).status == 200


async def test_a_host_header_cannot_move_the_path(rig: Rig) -> None:
    reply = await rig.ask("GET", "/v1/models", host="x/healthz?", authorization="-")
    assert reply.status == 401


async def test_a_key_in_the_query_is_not_taken(rig: Rig) -> None:
    reply = await rig.ask("GET", f"/v1/models?api_key={KEY}")
    assert check(reply, 401)["code"] == "invalid_api_key"


async def test_a_revoked_key_is_out_with_the_next_snapshot(rig: Rig) -> None:
    assert (await rig.chat()).status == 200
    rig.keys = ()
    rig.publish()
    assert check(await rig.chat(), 401)["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "unknown_url"),
        ("GET", "//v1/models", 404, "unknown_url"),
        ("GET", "/v1/models/", 404, "unknown_url"),
        ("GET", "/v1/%2e%2e/admin", 404, "unknown_url"),
        ("POST", "/v1/responses", 404, "unknown_url"),
        ("GET", CHAT, 405, "method_not_supported"),
        ("DELETE", "/v1/models/tiny", 405, "method_not_supported"),
        ("TRACE", "/v1/models", 405, "method_not_supported"),
        ("OPTIONS", CHAT, 405, "method_not_supported"),
    ],
)
async def test_routes_are_a_closed_list(
    rig: Rig, method: str, path: str, status: int, code: str
) -> None:
    reply = await rig.ask(method, path, HELLO if method == "GET" else None)
    assert check(reply, status)["code"] == code
    assert ("allow" in reply.headers) == (status == 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-encoding": "gzip"},
    ],
)
async def test_a_body_that_is_no_plain_json_is_415(rig: Rig, headers: dict[str, str]) -> None:
    reply = await rig.ask("POST", CHAT, HELLO, **headers)
    assert check(reply, 415)["code"] == "unsupported_content_type"


async def test_a_message_repeats_little_of_what_was_sent(rig: Rig) -> None:
    reply = await rig.chat(**{"x" * 5_000: 1})
    error = check(reply)
    assert len(error["param"]) <= 64
    assert "x" * 65 not in error["message"]


async def test_a_model_nobody_can_serve_does_not_exist(rig: Rig) -> None:
    config = {
        "name": "lfm-40b",
        "replica_set": "lfm-40b",
        "window_tokens": 0,
        "created": 0,
        "unavailable": "Its weights were never published.",
    }
    rig.core.apply_user_config({"models": [config]})
    error = check(await rig.chat(model="lfm-40b"), 404)
    assert error["message"] == "Its weights were never published."
    assert (await rig.ask("GET", "/v1/models")).json["data"] == []
