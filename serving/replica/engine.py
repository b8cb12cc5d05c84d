"""vLLM in this process: the engine, its HTTP app, and the proof that it makes tokens.

Only this package imports vLLM, and only inside functions: the environment has to be set first.
"""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import Any

from serving.replica.errors import EngineFailed
from serving.replica.load import LoadMeter
from serving.replica.spec import ReplicaSpec
from serving.replica.tally import Tally
from serving.replica.watched import WatchedRequests
from serving.snapshot import Load

#: One generation of one token must come back within this after the start.
PROOF_DEADLINE_S = 120.0
#: vLLM's own caps are far above what the gateway lets through; these are the gateway's.
FAN_OUT_LIMITS = {"VLLM_MAX_N_SEQUENCES": "8", "VLLM_MAX_COMPLETION_PROMPTS": "16"}
CPU_ENVIRONMENT = {
    "VLLM_TARGET_DEVICE": "cpu",
    # "auto" wants a NUMA node for every worker; a laptop has one.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}
CPU_WORKER = "serving.replica.cpu_worker.StageWorker"


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Where the stages of one engine meet; `rank` is the stage's place in the pipeline."""

    stages: int
    rank: int
    address: str
    port: int

    def argv(self) -> list[str]:
        """vLLM's multi-node arguments; none for an engine of one stage."""
        if self.stages == 1:
            return []
        return [
            *("--nnodes", str(self.stages), "--node-rank", str(self.rank)),
            *("--master-addr", self.address, "--master-port", str(self.port)),
        ]


def set_environment(spec: ReplicaSpec, node_address: str, interface: str, sockets: str) -> None:
    """Prepares this process, and with it every engine process it will start. Holds no secrets.
    `sockets` is a folder for vLLM's own.
    """
    os.environ.update(
        FAN_OUT_LIMITS,
        VLLM_HOST_IP=node_address,
        GLOO_SOCKET_IFNAME=interface,
        NCCL_SOCKET_IFNAME=interface,
        VLLM_WORKER_MULTIPROC_METHOD="spawn",
        VLLM_NO_USAGE_STATS="1",
        VLLM_RPC_BASE_PATH=sockets,
        # Python's way to configure logging cuts the handlers that are there off from their files;
        # a Serve replica without its log file is stopped when Serve's controller comes back.
        VLLM_CONFIGURE_LOGGING="0",
        HF_HUB_OFFLINE="1",
    )
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    # As gateways send their spans; vLLM would take gRPC.
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    if spec.device == "cpu":
        os.environ.update(CPU_ENVIRONMENT)


def parse(argv: list[str]) -> Any:
    """vLLM's parsed arguments. Raises EngineFailed where vLLM would end the process."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    try:
        args = make_arg_parser(FlexibleArgumentParser(allow_abbrev=False)).parse_args(argv)
        validate_parsed_serve_args(args)
    except SystemExit as end:
        raise EngineFailed("vLLM refused its arguments: see the replica's log") from end
    return args


def _config(args: Any, *, is_headless: bool = False) -> Any:
    """The engine's configuration, with the sizes of batches that vLLM takes for a server: without
    that word it takes the smallest, whatever the accelerator.
    """
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext

    return AsyncEngineArgs.from_cli_args(args).create_engine_config(
        usage_context=UsageContext.OPENAI_API_SERVER, headless=is_headless
    )


def run_stage(argv: list[str]) -> None:
    """Runs one further stage of an engine; returns when one of its workers has died."""
    from vllm.v1.executor.multiproc_executor import MultiprocExecutor

    config = _config(parse(argv), is_headless=True)
    executor = MultiprocExecutor(config, monitor_workers=False)
    executor.start_worker_monitor(inline=True)


class Engine:
    """The leader's engine with vLLM's own ASGI app."""

    def __init__(self, llm: Any, app: Any, meter: LoadMeter, tally: Tally) -> None:
        self._llm = llm
        self._meter = meter
        self._tally = tally
        self.app = app

    @classmethod
    async def start(cls, argv: list[str], tally: Tally) -> "Engine":
        """Starts the engine; takes as long as vLLM takes, so callers bring the deadline."""
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.entrypoints.launchers.app import build_app

        meter = LoadMeter()
        args = await asyncio.to_thread(parse, argv)
        llm = await asyncio.to_thread(_make_llm, args, meter)
        llm.output_processor.request_states = WatchedRequests(tally)
        tasks = await llm.get_supported_tasks()
        app = build_app(args, tasks, llm.model_config)
        await init_app_state(llm, app.state, args, tasks)
        return cls(llm, app, meter, tally)

    def attach(self, server: Any) -> None:
        """Tells the app its server: vLLM's handler for a dead engine stops it."""
        self.app.state.server = server

    @property
    def is_dead(self) -> bool:
        return bool(self._llm.errored)

    @property
    def tokenizer(self) -> Any:
        return self._llm.get_tokenizer()

    @property
    def most_running(self) -> int:
        """Requests that the scheduler runs at once, as far as memory lets it."""
        return int(self._llm.vllm_config.scheduler_config.max_num_seqs)

    def load(self) -> Load:
        return self._meter.read(self._llm.get_num_unfinished_requests())

    async def prove(self) -> None:
        """Makes one real token: an open port is no proof. Raises EngineFailed."""
        from vllm import SamplingParams

        try:
            async with asyncio.timeout(PROOF_DEADLINE_S):
                params = SamplingParams(max_tokens=1, temperature=0.0, ignore_eos=True)
                outputs = [out async for out in self._llm.generate("a", params, "proof")]
        except TimeoutError as late:
            raise EngineFailed(f"no token within {PROOF_DEADLINE_S:.0f} s of the start") from late
        if not outputs or not outputs[-1].outputs[0].token_ids:
            raise EngineFailed("the engine answered without a token")
        if not self._tally.ended_requests:
            raise EngineFailed("vLLM does not tell any more how a request ended: no usage")

    async def stop(self) -> None:
        """Ends the engine's processes; quick when they are dead already."""
        with contextlib.suppress(ProcessLookupError):
            await asyncio.to_thread(self._llm.shutdown)


def _make_llm(args: Any, meter: LoadMeter) -> Any:
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.metrics.loggers import StatLoggerBase

    class MeterLogger(StatLoggerBase):  # type: ignore[misc]  # vLLM is not typed for us
        def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
            del vllm_config, engine_index

        def record(
            self,
            scheduler_stats: Any,
            iteration_stats: Any,
            mm_cache_stats: Any = None,
            engine_idx: int = 0,
        ) -> None:
            del mm_cache_stats, engine_idx
            meter.record(scheduler_stats, iteration_stats)

        def log_engine_initialized(self) -> None:
            return None

    return AsyncLLM.from_vllm_config(_config(args), stat_loggers=[MeterLogger])


def stage_argv(spec: ReplicaSpec, rendezvous: Rendezvous) -> list[str]:
    """The arguments of any stage; stages are told apart by their rank only."""
    from serving.replica.arguments import engine_argv

    worker = ["--worker-cls", CPU_WORKER] if spec.device == "cpu" else []
    return [*engine_argv(spec), *worker, *rendezvous.argv()]
