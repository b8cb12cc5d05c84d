"""An emulated engine's metrics in vLLM's names, and back again. Pure.

Routers read the gauges; the rig reads the counters, which say what the engine saw, whatever a
router believes. The names that vLLM does not have begin with `emulated`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ops.bench.routers.engine import Engine

_SUCCESS = "vllm:request_success_total"
_QUERIES = "vllm:prefix_cache_queries_total"
_HITS = "vllm:prefix_cache_hits_total"
_GENERATED = "vllm:generation_tokens_total"
_BUSY = "emulated:busy_seconds_total"
_LATE = "emulated:late_seconds_total"
_STEPS = "emulated:steps_total"


@dataclass(slots=True)
class Lateness:
    """How far the emulation lags behind its own clock, in modelled seconds."""

    late_s: float = 0.0
    steps: int = 0

    def count(self, late_s: float) -> None:
        self.late_s += late_s
        self.steps += 1


def exposition(model: str, engine: Engine, lateness: Lateness) -> str:
    """Prometheus text."""
    return "".join(_lines(model, engine, lateness))


def _lines(model: str, engine: Engine, lateness: Lateness) -> Iterator[str]:
    counters = engine.counters
    rows = (
        ("vllm:num_requests_running", "gauge", engine.running),
        ("vllm:num_requests_waiting", "gauge", engine.waiting),
        (
            "vllm:kv_cache_usage_perc",
            "gauge",
            engine.cache.used_blocks / engine.cache.capacity_blocks,
        ),
        (_QUERIES, "counter", counters.prompt_tokens),
        (_HITS, "counter", counters.cached_tokens),
        ("vllm:prompt_tokens_total", "counter", counters.prompt_tokens),
        (_GENERATED, "counter", counters.output_tokens),
        (_SUCCESS, "counter", counters.finished),
        (_BUSY, "counter", counters.busy_s),
        (_LATE, "counter", lateness.late_s),
        (_STEPS, "counter", lateness.steps),
    )
    for name, kind, value in rows:
        yield f"# TYPE {name} {kind}\n"
        yield f'{name}{{engine="0",model_name="{model}"}} {float(value)!r}\n'


@dataclass(frozen=True, slots=True)
class Seen:
    """What one engine has counted since it started."""

    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    busy_s: float
    late_s: float
    steps: int

    def since(self, before: "Seen") -> "Seen":
        return Seen(
            self.requests - before.requests,
            self.prompt_tokens - before.prompt_tokens,
            self.cached_tokens - before.cached_tokens,
            self.output_tokens - before.output_tokens,
            self.busy_s - before.busy_s,
            self.late_s - before.late_s,
            self.steps - before.steps,
        )


def seen(text: str) -> Seen:
    """Raises KeyError when the text is not an emulated engine's."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    values = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}
    return Seen(
        int(values[_SUCCESS]),
        int(values[_QUERIES]),
        int(values[_HITS]),
        int(values[_GENERATED]),
        values[_BUSY],
        values[_LATE],
        int(values[_STEPS]),
    )
