"""What vLLM itself says, for comparison with our formulas: a program, in a process of its own,
because it imports vLLM once and measures many models with it.

`python -m tests.cluster.vllm_measure CASES RESULTS`, both JSON files: lists of cases and of results
under `engines`, `blueprints`, `windows` and `sizes`.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from vllm import LLM
from vllm.config import set_current_vllm_config
from vllm.distributed import cleanup_dist_env_and_memory, parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.quantization import fbgemm_fp8, modelopt
from vllm.model_executor.layers.quantization.compressed_tensors.schemes import (
    compressed_tensors_w8a8_fp8,
)
from vllm.model_executor.model_loader import base_loader
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.platforms import current_platform
from vllm.utils.argparse_utils import human_readable_int
from vllm.utils.torch_utils import set_default_torch_dtype

from serving.replica.cpu_worker import StageWorker

Case = dict[str, Any]
WORKER = "tests.cluster.vllm_measure.MeasuredWorker"
#: Made to load scales of the KV cache into, and gone afterwards.
PLACEHOLDERS = ("q_scale", "k_scale", "v_scale", "prob_scale", "_zero_point")
#: Where FP8 layers choose a GPU kernel while they are built; bytes do not depend on it.
KERNELS = (
    (fbgemm_fp8, "init_fp8_linear_kernel"),
    (compressed_tensors_w8a8_fp8, "init_fp8_linear_kernel"),
    (compressed_tensors_w8a8_fp8, "expose_input_quant_key"),
    (modelopt, "select_linear_kernel"),
    (modelopt, "expose_input_quant_key"),
)


def parameter_bytes(model: torch.nn.Module) -> int:
    """Parameters that several modules share count once."""
    return sum(
        parameter.numel() * parameter.element_size()
        for name, parameter in model.named_parameters()
        if not name.endswith(PLACEHOLDERS)
    )


def memory_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Memory behind the tensors; what several are views of counts once."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


class MeasuredWorker(StageWorker):
    """Flotilla's CPU worker; counts its parameters after loading, before kernels repack them."""

    def load_model(self, *args: Any, **options: Any) -> Any:
        process = base_loader.process_weights_after_loading

        def count(model: torch.nn.Module, *rest: Any) -> None:
            self.weight_bytes = parameter_bytes(model)
            process(model, *rest)

        with mock.patch.object(base_loader, "process_weights_after_loading", count):
            return super().load_model(*args, **options)

    def measure(self) -> dict[str, int]:
        caches = self.model_runner.kv_caches
        return {"weight_bytes": self.weight_bytes, "kv_bytes": memory_bytes(caches)}

    def segment_name(self) -> str:
        """What the ranks' shared memory is named by."""
        return os.environ["VLLM_DIST_IDENT"]


@contextlib.contextmanager
def model_directory(case: Case) -> Iterator[str]:
    """A directory with the case's config.json and nothing else."""
    with tempfile.TemporaryDirectory(prefix="flotilla-fit-") as directory:
        Path(directory, "config.json").write_text(json.dumps(case["config"]))
        yield directory


def engine(case: Case) -> Case:
    """Starts an engine with random weights; how it refuses is a result too."""
    ranks = case["tensor"] * case["pipeline"]
    with (
        model_directory(case) as directory,
        # The kernel for a cache in FP8 needs AVX-512; bytes do not depend on it, and none is run.
        mock.patch.object(torch.cpu, "_is_avx512_supported", return_value=True),
    ):
        try:
            llm = LLM(
                model=directory,
                skip_tokenizer_init=True,
                load_format="dummy",
                enforce_eager=True,
                worker_cls=WORKER,
                distributed_executor_backend="mp" if ranks > 1 else "uni",
                tensor_parallel_size=case["tensor"],
                pipeline_parallel_size=case["pipeline"],
                **case["options"],
            )
            return engine_facts(llm)
        except ValueError as refusal:
            return {"refusal": str(refusal)}
        finally:
            cleanup_dist_env_and_memory()


def engine_facts(llm: LLM) -> Case:
    names = set(llm.collective_rpc("segment_name"))
    try:
        cache = llm.llm_engine.vllm_config.cache_config
        return {
            "workers": llm.collective_rpc("measure"),
            "blocks": cache.num_gpu_blocks,
            "block_size": cache.block_size,
            "concurrency": cache.kv_cache_max_concurrency,
        }
    finally:
        llm.llm_engine.engine_core.shutdown()
        for name in names:
            remove_segments(name)


def remove_segments(name: str) -> None:
    """Workers may be stopped before they remove what they share."""
    for segment in Path("/dev/shm").glob(f"{name}-*"):
        segment.unlink(missing_ok=True)


def blueprint(case: Case) -> Case:
    """Bytes of each stage's parameters, from vLLM's own classes without memory behind them: any
    size, any number of ranks, and FP8, which the CPU build cannot run.
    """
    with model_directory(case) as directory, contextlib.ExitStack() as stack:
        for module, name in KERNELS:
            stack.enter_context(mock.patch.object(module, name))
        stack.enter_context(mock.patch.object(current_platform, "verify_quantization"))
        try:
            stages = range(case["pipeline"])
            return {"stages": [stage_bytes(directory, case, stage) for stage in stages]}
        except ValueError as refusal:
            return {"refusal": str(refusal)}
        finally:
            cleanup_dist_env_and_memory()


def stage_bytes(directory: str, case: Case, stage: int) -> int:
    args = EngineArgs(
        model=directory, skip_tokenizer_init=True, enforce_eager=True, **case["options"]
    )
    config = args.create_engine_config()
    with (
        set_current_vllm_config(config),
        as_rank(case["tensor"], case["pipeline"], stage),
        set_default_torch_dtype(config.model_config.dtype),
        torch.device("meta"),
    ):
        return parameter_bytes(initialize_model(config))


@contextlib.contextmanager
def as_rank(tensor: int, pipeline: int, stage: int) -> Iterator[None]:
    """This process, taken for the first rank of a stage in a larger engine."""
    with tempfile.TemporaryDirectory(prefix="flotilla-fit-") as directory:
        if not parallel_state.model_parallel_is_initialized():
            where = f"file://{directory}/rendezvous"
            parallel_state.init_distributed_environment(1, 0, where, 0, "gloo")
            parallel_state.initialize_model_parallel()
        tp, pp = parallel_state.get_tp_group(), parallel_state.get_pp_group()
        with (
            mock.patch.object(tp, "world_size", tensor),
            mock.patch.object(pp, "world_size", pipeline),
            mock.patch.object(pp, "rank_in_group", stage),
            mock.patch.object(pp, "ranks", list(range(-stage, pipeline - stage))),
        ):
            yield


def window(case: Case) -> Case:
    """The window that vLLM derives when none is asked for."""
    with model_directory(case) as directory:
        args = EngineArgs(model=directory, skip_tokenizer_init=True)
        return {"window_tokens": args.create_model_config().max_model_len}


def size(case: Case) -> Case:
    """How vLLM's command line reads a size."""
    try:
        return {"bytes": human_readable_int(case["text"])}
    except (ValueError, argparse.ArgumentTypeError) as refusal:
        return {"refusal": str(refusal)}


MEASURES: dict[str, Callable[[Case], Case]] = {
    "engines": engine,
    "blueprints": blueprint,
    "windows": window,
    "sizes": size,
}


def main(cases: Path, results: Path) -> None:
    asked = json.loads(cases.read_text())
    answers = {
        kind: {name: measure(case) for name, case in asked[kind].items()}
        for kind, measure in MEASURES.items()
    }
    results.write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
