"""vLLM's command line for a replica, and vLLM's own verdict on it.

`engine_argv` is pure. `problems` imports vLLM, which takes ten seconds and more: ask only when
there is something to ask. Every option is written `--name=value`, so no value can pass for an
option.
"""

import contextlib
import difflib
import io
import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from serving.replica.spec import EngineValue, ReplicaSpec

#: Requests waiting and running in one engine. Without a bound vLLM queues for ever; it answers 503
#: beyond it.
MAX_NUM_QUEUED_REQS = 512
MAX_VERDICT_CHARS = 400

#: Set for every replica unless its `engine:` says otherwise.
DEFAULTS: Mapping[str, EngineValue] = {
    # OpenAI's sampling defaults rather than those of the checkpoint.
    "generation_config": "vllm",
    "max_num_queued_reqs": MAX_NUM_QUEUED_REQS,
    # `usage` says how much of a prompt was in the cache: routing learns from it.
    "enable_prompt_tokens_details": True,
}
#: vLLM takes 0.92 of a GPU; what is left beyond this is for NCCL and for fragments. The planner
#: counts with the same share.
GPU_MEMORY_UTILIZATION = 0.9


def engine_argv(spec: ReplicaSpec) -> list[str]:
    """The arguments of every stage; where the stages meet is added by whoever starts them."""
    argv = _options(
        {
            "model": spec.source,
            "served_model_name": spec.served_name,
            "max_model_len": spec.window_tokens,
            "tensor_parallel_size": spec.tensor,
            "pipeline_parallel_size": spec.pipeline,
            # Left open, vLLM takes Ray's executor inside a placement group, which is impossible on
            # CPU.
            "distributed_executor_backend": "mp",
            "fingerprint_mode": "none",
            "disable_fastapi_docs": True,
        }
    )
    return argv + _options({**DEFAULTS, **_memory(spec), **dict(spec.engine)})


def _memory(spec: ReplicaSpec) -> Mapping[str, EngineValue]:
    """On CPU it would be a share of the machine's memory; there the cache's size is always said."""
    if spec.device == "cpu":
        return {}
    return {"gpu_memory_utilization": GPU_MEMORY_UTILIZATION}


def problems(argv: list[str]) -> list[str]:
    """What vLLM's own parser has against the arguments. Raises ImportError without vLLM."""
    # vLLM logs to stdout, which belongs to whoever asked.
    with contextlib.redirect_stdout(sys.stderr):
        return _problems(argv)


def _problems(argv: list[str]) -> list[str]:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # It warns of what CPU machines lack before it reads that level.
    logging.getLogger("vllm.triton_utils").setLevel(logging.ERROR)
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.exceptions import VLLMError
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    # A shortened name would get around the list of names that a fleet file may not use.
    parser = make_arg_parser(FlexibleArgumentParser(allow_abbrev=False))
    known = [option for action in parser._actions for option in action.option_strings]
    unknown = _unknown(argv, known)
    if unknown:
        return unknown
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            validate_parsed_serve_args(parser.parse_args(argv))
    except SystemExit:
        return [_verdict(said.getvalue())]
    except (ValueError, TypeError, VLLMError) as error:
        return [_line(str(error).removeprefix("Error: "))]
    return []


def _unknown(argv: list[str], known: list[str]) -> list[str]:
    names = [arg.split("=", 1)[0] for arg in argv if arg.startswith("--")]
    return [_unknown_name(name, known) for name in names if name not in known]


def _unknown_name(name: str, known: list[str]) -> str:
    positive = "--" + name.removeprefix("--").removeprefix("no-")
    if positive in known:
        return f"`{_key(positive)}` cannot be false: leave it out"
    near = difflib.get_close_matches(positive, known, n=1)
    hint = f"; did you mean `{_key(near[0])}`?" if near else ""
    return f"vLLM has no argument `{_key(positive)}`{hint}"


def _verdict(said: str) -> str:
    """What argparse says after its usage, on one line."""
    _, _, reason = said.partition(": error: ")
    return _line(reason) or "vLLM refused the arguments"


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_VERDICT_CHARS]


def _key(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _options(values: Mapping[str, EngineValue]) -> list[str]:
    return [arg for name, value in values.items() for arg in _option(name, value)]


def _option(name: str, value: EngineValue) -> Iterable[str]:
    option = "--" + name.replace("_", "-")
    match value:
        case bool():
            return [option if value else "--no-" + option.removeprefix("--")]
        case tuple():
            return [option, *(str(item) for item in value)]
        case Mapping():
            return [f"{option}={_json(value)}"]
        case _:
            return [f"{option}={value}"]


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)
