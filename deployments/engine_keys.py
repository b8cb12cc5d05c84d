"""Which of vLLM's arguments a fleet file may set: all but those that are Flotilla's, or that would
open a hole.

Pure, and no list of what vLLM knows: that is vLLM's to say (`serving.replica.arguments.problems`).
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from serving.replica.spec import EngineValue

#: vLLM's own cap, and what OpenAI's `top_logprobs` allows.
MAX_LOGPROBS = 20

_PORT = "a replica listens on a private port that Flotilla chooses"
_RANKS = "Flotilla brings the stages of a replica together"
_COPIES = "use `replicas`"
_LISTENER = "it would open a port or a route that nothing guards"
_LORA = "LoRA adapters are not served"
_PROMPTS = "it would write prompts and answers into logs"
_MEDIA = "requests must not read files or fetch addresses"
_REQUESTS = "it would let a request bring code or raw tensors"
_LOAD = "gateways route on these numbers"
_CONNECTOR = "engines trust whoever reaches a connector's port, and nothing guards it"

#: Refused names and what to do instead, or why.
OWNED: Mapping[str, str] = {
    "model": "use `source`",
    "model_tag": "use `source`",
    "served_model_name": "the model's name in this file is the name",
    "max_model_len": "use `max_model_len` of the model",
    "tensor_parallel_size": "use `tensor`",
    "pipeline_parallel_size": "use `pipeline`",
    "prefill_context_parallel_size": "use `tensor` and `pipeline`",
    "api_server_count": _COPIES,
    "distributed_executor_backend": "Flotilla runs every engine with `mp`",
    "nnodes": _RANKS,
    "node_rank": _RANKS,
    "master_addr": _RANKS,
    "master_port": _RANKS,
    "headless": _RANKS,
    "device_ids": "Ray places a replica",
    "host": _PORT,
    "port": _PORT,
    "uds": _PORT,
    "root_path": _PORT,
    "ssl_keyfile": _PORT,
    "ssl_certfile": _PORT,
    "ssl_ca_certs": _PORT,
    "ssl_cert_reqs": _PORT,
    "ssl_ciphers": _PORT,
    "enable_ssl_refresh": _PORT,
    "h11_max_incomplete_event_size": "the gateway bounds requests",
    "h11_max_header_count": "the gateway bounds requests",
    "api_key": "use `flotilla keys create`",
    "hf_token": "a fleet file holds no secrets: set HF_TOKEN on the nodes",
    "middleware": _LISTENER,
    "allowed_origins": _LISTENER,
    "allowed_methods": _LISTENER,
    "allowed_headers": _LISTENER,
    "allow_credentials": _LISTENER,
    "grpc": _LISTENER,
    "grpc_port": _LISTENER,
    "kv_events_config": _LISTENER,
    "kv_transfer_config": _CONNECTOR,
    "ec_transfer_config": _CONNECTOR,
    "weight_transfer_config": _CONNECTOR,
    "worker_cls": "Flotilla chooses the worker",
    "enable_offline_docs": _LISTENER,
    "disable_fastapi_docs": _LISTENER,
    "enable_tokenizer_info_endpoint": _LISTENER,
    "enable_scale_out": _LISTENER,
    "enable_elastic_ep": _LISTENER,
    "enable_sleep_mode": _LISTENER,
    "tokens_only": "the gateway needs text",
    "config": "write its settings under `engine`",
    "fingerprint_mode": "the API's replies carry no fingerprint",
    "fingerprint_value": "the API's replies carry no fingerprint",
    "shutdown_timeout": "use `grace_s`",
    "disable_log_stats": _LOAD,
    "otlp_traces_endpoint": "write `traces:` at the top of the fleet file",
    "enable_log_requests": _PROMPTS,
    "enable_log_outputs": _PROMPTS,
    "enable_log_deltas": _PROMPTS,
    "max_log_len": _PROMPTS,
    "uvicorn_log_level": "set VLLM_LOGGING_LEVEL on the nodes",
    "disable_uvicorn_access_log": "Flotilla's server writes no access log",
    "log_level": "set VLLM_LOGGING_LEVEL on the nodes",
    "log_config_file": "set VLLM_LOGGING_LEVEL on the nodes",
    "logging_config": "set VLLM_LOGGING_LEVEL on the nodes",
    "lora_modules": _LORA,
    "enable_lora": _LORA,
    "default_mm_loras": _LORA,
    "enable_tower_connector_lora": _LORA,
    "allowed_local_media_path": _MEDIA,
    "allowed_media_domains": _MEDIA,
    "tool_server": _MEDIA,
    "enable_prompt_embeds": _REQUESTS,
    "enable_mm_embeds": _REQUESTS,
    "trust_request_chat_template": _REQUESTS,
    "trust_request_mm_kwargs": _REQUESTS,
}
#: Whole families: one engine is one replica, so vLLM's own data parallelism would count
#: accelerators twice.
OWNED_PREFIXES: Mapping[str, str] = {"data_parallel_": _COPIES, "dp_supervisor_": _COPIES}

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("is not the name of a vLLM argument: small letters, digits and `_`")
    snake = name.replace("-", "_")
    reason = _reason(snake) or _reason(snake.removeprefix("no_"))
    if reason:
        raise ValueError(f"is not for a fleet file to set: {reason}")
    if snake.startswith("no_"):
        raise ValueError(f"write `{snake.removeprefix('no_')}: false`")
    return snake


def _reason(snake: str) -> str | None:
    families = (why for prefix, why in OWNED_PREFIXES.items() if snake.startswith(prefix))
    return OWNED.get(snake) or next(families, None)


def _value(value: Any) -> EngineValue:
    match value:
        case bool() | int():
            return value
        case float() if isfinite(value):
            return value
        case str():
            return _text(value)
        case dict() if _is_json(value):
            return value
        case list() | tuple() if value and all(_is_plain(item) for item in value):
            return tuple(_item(item) for item in value)
    raise ValueError("is true, false, a number, text, a list of these or a mapping")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def _is_json(value: Any) -> bool:
    match value:
        case dict():
            return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
        case list():
            return all(_is_json(item) for item in value)
        case _:
            return value is None or _is_plain(value)


def _item(item: int | float | str) -> int | float | str:
    if isinstance(item, str) and item.startswith("-"):
        raise ValueError("would pass for an option: an item must not begin with `-`")
    return _text(item) if isinstance(item, str) else item


def _text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("is not printable text on one line")
    return text


#: vLLM's argument in snake_case; dashes are understood.
EngineName = Annotated[str, AfterValidator(_name)]
EngineSetting = Annotated[EngineValue, BeforeValidator(_value)]
