"""Service times with round figures, for tests."""

from deployments.calibration import Batch, Cache
from deployments.simulation.engine import Engine, Work
from deployments.simulation.prefix_cache import PrefixCache
from deployments.simulation.service_time import ServiceTime
from deployments.simulation.trace import Arrival

BLOCK = 16


def service_time(
    tokens: int = 100, sequences: int = 4, blocks: int = 1000, context_token_s: float = 0.0
) -> ServiceTime:
    """A step takes a second, a prompt token a hundredth, and a start ten seconds."""
    return ServiceTime(
        overhead_s=0.5,
        step_s=(1.0,) * (sequences + 1),
        context_token_s=context_token_s,
        prompt_token_s=0.01,
        prompt_pair_s=0.0,
        batch=Batch(tokens=tokens, sequences=sequences),
        cache=Cache(blocks=blocks, block_tokens=BLOCK),
        start_s=10.0,
    )


def engine(time: ServiceTime, patience_s: float = 1e9) -> Engine:
    cache = PrefixCache(time.cache.blocks, 1)
    return Engine(time, cache, block_tokens=BLOCK, patience_s=patience_s)


def arrival(
    prompt: int, output: int, blocks: tuple[int, ...] = (), at_s: float = 0.0, model: str = "m"
) -> Arrival:
    return Arrival(at_s, model, prompt, output, blocks)


def work(prompt: int, output: int, blocks: tuple[int, ...] = (), at_s: float = 0.0) -> Work:
    return Work.of(arrival(prompt, output, blocks, at_s), blocks)
