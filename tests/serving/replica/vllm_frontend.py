"""Plays requests through vLLM's own frontend, without an engine; prints what the tally counted."""

import sys

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
from vllm.v1.engine.output_processor import OutputProcessor
from vllm.v1.metrics.stats import IterationStats

from serving.replica.tally import Tally
from serving.replica.watched import WatchedRequests

IDS = [f"{number:032x}" for number in range(3)]


def main() -> None:
    tally = Tally("m.0#1", 1, lambda: 0.0)
    frontend = OutputProcessor(None, log_stats=True)
    frontend.request_states = WatchedRequests(tally)
    for number, name in enumerate(IDS):
        frontend.add_request(request(number, f"chatcmpl-{name}"), None)
    makes(frontend, EngineCoreOutput("e0", [5, 6]), EngineCoreOutput("e1", [5, 6, 7]))
    makes(frontend, EngineCoreOutput("e0", [8], finish_reason=FinishReason.STOP))
    frontend.abort_requests(["e1"], internal=True)
    frontend.abort_requests([f"chatcmpl-{IDS[2]}"], internal=False)
    sys.stdout.write(tally.untold()[0].decode())


def request(number: int, name: str) -> EngineCoreRequest:
    # Of a whole answer vLLM's frontend hands out nothing before its end.
    params = SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, detokenize=False)
    return EngineCoreRequest(
        request_id=f"e{number}",
        external_req_id=name,
        prompt_token_ids=[1, 2, 3, 4],
        mm_features=None,
        sampling_params=params,
        pooling_params=None,
        arrival_time=0.0,
        lora_request=None,
        cache_salt=None,
        data_parallel_rank=None,
    )


def makes(frontend: OutputProcessor, *outputs: EngineCoreOutput) -> None:
    frontend.process_outputs(list(outputs), 1.0, IterationStats())


if __name__ == "__main__":
    main()
