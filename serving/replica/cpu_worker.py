"""vLLM's CPU worker with two gaps closed that keep pipeline stages from running eagerly. Loaded by
vLLM by name.

Both were read in vLLM 0.32.0; decision 3 says more.
1. Whether a rank sits on rank 0's node is decided by dividing ranks by the number of devices, and
   the CPU platform counts one device: a stage of several ranks asserts at start.
2. A later stage's input buffers are made by the warm-up alone, which eager CPU engines skip: the
   first request asserts. With the buffers made here no stage needs torch.compile, and no machine a
   compiler.
"""

from typing import Any

from vllm.distributed.parallel_state import get_pp_group
from vllm.platforms.interface import set_assigned_physical_gpu_ids
from vllm.v1.worker.cpu_worker import CPUWorker


class StageWorker(CPUWorker):  # type: ignore[misc]  # vLLM is not typed for us
    """One rank of a stage on CPU."""

    def init_device(self) -> None:
        set_assigned_physical_gpu_ids(list(range(self.parallel_config.local_world_size)))
        super().init_device()

    def compile_or_warm_up_model(self) -> Any:
        times = super().compile_or_warm_up_model()
        runner = self.model_runner
        if not get_pp_group().is_first_rank and runner.intermediate_tensors is None:
            runner.intermediate_tensors = runner.model.make_empty_intermediate_tensors(
                batch_size=runner.max_num_tokens,
                dtype=self.model_config.dtype,
                device=self.device,
            )
        return times
