"""Turns the outcomes of a run into the tables and the page that people read. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ops.bench.cells import NOTHING, number
from ops.bench.machine import Machine
from ops.bench.routers.outcome import Outcomes, Traffic
from ops.bench.routers.prompt import BYTES_PER_TOKEN
from ops.bench.routers.routers import OURS, ROUND_ROBIN
from ops.bench.routers.service import Service
from ops.bench.stats import Spread, ratio
from ops.bench.table import Table

#: What is to be reached beside the best peer: no worse in hits, a fifth faster, equal without.
_FASTER = 0.8
_PARITY = 0.03


@dataclass(frozen=True)
class Results:
    """Everything a run produced."""

    machine: Machine
    command: str
    requests: int
    rounds: int
    engines: int
    speed: float
    #: Who was measured: name -> how it was set up, with versions; and who was not, and why.
    setups: dict[str, str]
    skipped: dict[str, str]
    outcomes: Outcomes


def tables(results: Results) -> tuple[Table, ...]:
    return tuple(_table(results, traffic) for traffic in results.outcomes.traffics())


def _table(results: Results, traffic: Traffic) -> Table:
    headers = (
        "router",
        "hit rate %",
        "TTFT p50 s",
        "TTFT p90 s",
        "TTFT p99 s",
        "p90, it / ours",
        "reply p50 s",
        "requests/s",
        "tokens/s",
        "max / mean work",
        "router's core",
        "errors",
    )
    rows = tuple(
        _row(results.outcomes, name, traffic) for name in results.outcomes.routers(traffic)
    )
    return Table(f"The trace at {traffic.name}", headers, rows)


def _row(outcomes: Outcomes, name: str, traffic: Traffic) -> tuple[str, ...]:
    def figure(field: str) -> Spread:
        return outcomes.figure(name, traffic, field)

    ours = outcomes.figure(OURS.name, traffic, "ttft_p90_s").median
    rounds = outcomes.of(name, traffic)
    bound = "*" * (2 * sum(found.is_rig_bound for found in rounds) > len(rounds))
    return (
        name + bound,
        _percent(figure("hit_rate")),
        _seconds(figure("ttft_p50_s")),
        _seconds(figure("ttft_p90_s")),
        _seconds(figure("ttft_p99_s")),
        number(ratio(figure("ttft_p90_s").median, ours), 2),
        _seconds(figure("total_p50_s")),
        _with_range(figure("requests_per_s"), 2),
        number(figure("tokens_per_s").median, 0),
        _with_range(figure("spread"), 2),
        NOTHING if name == ROUND_ROBIN.name else f"{figure('router_busy').median:.0%}",
        str(sum(sum(found.errors.values()) for found in rounds)),
    )


def _seconds(figure: Spread) -> str:
    return _with_range(figure, 2)


def _percent(figure: Spread) -> str:
    return _with_range(Spread(100 * figure.median, 100 * figure.low, 100 * figure.high), 1)


def _with_range(figure: Spread, digits: int) -> str:
    median, low, high = (number(v, digits) for v in (figure.median, figure.low, figure.high))
    return median if low == high else f"{median} ({low}..{high})"


def verdicts(results: Results) -> tuple[str, ...]:
    """How far we are from what is to be reached, one line for each traffic."""
    outcomes = results.outcomes
    return tuple(
        _shared(outcomes, traffic) if traffic.shares_prefixes else _unshared(outcomes, traffic)
        for traffic in outcomes.traffics()
        if OURS.name in outcomes.routers(traffic) and len(outcomes.routers(traffic)) > 1
    )


def _peers(outcomes: Outcomes, traffic: Traffic, field: str) -> dict[str, float]:
    return {
        name: outcomes.figure(name, traffic, field).median
        for name in outcomes.routers(traffic)
        if name != OURS.name
    }


def _shared(outcomes: Outcomes, traffic: Traffic) -> str:
    hits, waits = (_peers(outcomes, traffic, field) for field in ("hit_rate", "ttft_p90_s"))
    most, fastest = max(hits, key=lambda n: hits[n]), min(waits, key=lambda n: waits[n])
    our_hits = outcomes.figure(OURS.name, traffic, "hit_rate").median
    our_wait = outcomes.figure(OURS.name, traffic, "ttft_p90_s").median
    faster = ratio(our_wait, waits[fastest])
    return (
        f"{traffic.name}: hit rate {our_hits:.1%} beside {hits[most]:.1%} of the best peer "
        f"({most}): {_met(our_hits >= hits[most])}. TTFT p90 {faster:.2f} of the best peer's "
        f"({fastest}), to reach {_FASTER:g}: {_met(faster <= _FASTER)}."
    )


def _unshared(outcomes: Outcomes, traffic: Traffic) -> str:
    rates, waits = (_peers(outcomes, traffic, f) for f in ("requests_per_s", "ttft_p50_s"))
    rate = ratio(outcomes.figure(OURS.name, traffic, "requests_per_s").median, max(rates.values()))
    wait = ratio(outcomes.figure(OURS.name, traffic, "ttft_p50_s").median, min(waits.values()))
    is_met = rate >= 1 - _PARITY and wait <= 1 + _PARITY
    return (
        f"{traffic.name}: {rate:.3f} of the best peer's requests/s and {wait:.3f} of the best "
        f"peer's TTFT p50, parity is within {_PARITY:.0%}: {_met(is_met)}."
    )


def _met(is_met: bool) -> str:
    return "reached" if is_met else "not reached"


def errors(outcomes: Outcomes) -> tuple[str, ...]:
    return tuple(
        f"{found.router}, {found.traffic.name}: {count} x {what}"
        for found in outcomes
        for what, count in found.errors.items()
    )


def rig_words(outcomes: Outcomes) -> str:
    """How far to trust the figures."""
    found = tuple(outcomes)
    return (
        f"Load and engines took at most {max(one.rig_busy for one in found):.0%} of their core, a "
        f"router at most {max(one.router_busy for one in found):.0%} of its own; other work took "
        f"at most {max(one.foreign for one in found):.0%} of a core. "
        f"Emulated steps ended {1e3 * max(one.late_s for one in found):.1f} ms late, in the mean "
        "of the worst run, in modelled time."
    )


def notes(results: Results) -> str:
    service = Service()
    return f"""\
- The same {results.requests} requests of Mooncake's conversation trace through each router, to
  {results.engines} emulated engines. Nothing here ran on a GPU: an engine is `engine.py`, with
  continuous batching, chunked prefill ({service.batch_tokens:,} tokens a step) and an LRU prefix
  cache of {service.cache_blocks} blocks of 512 tokens; its rates are a roofline estimate of Llama
  3.1 8B on one H100: {service.prefill_tokens_per_s:,.0f} prompt tokens a second,
  {service.step_s * 1e3:g} ms a step and {service.sequence_s * 1e3:g} ms more for each sequence that
  decodes.
- All seconds are the engines'; {results.speed:g} of them pass in one of the wall's. A router's own
  delay counts {results.speed:g}-fold. The load is a multiple of the trace's own pace; requests of
  one tick of its clock (3 s) are spread evenly over it.
- Every block of the trace is the same {512 * BYTES_PER_TOKEN:,} bytes of text each time, so
  that prompts have their full length; caches start empty; hit rate is what the engines count, over
  the whole run.
- Time to first token (TTFT) runs from the moment a request was due. "max / mean work" is prompt
  tokens computed by the busiest engine over the mean. "p90, it / ours" above 1.0: we are ahead.
- `*` the rig or the router had less than a fifth of a core left: what is measured may be the rig.
- A figure is the median of {results.rounds} interleaved rounds, with its range.
"""


def page(results: Results) -> str:
    """Its section of RESULTS.md."""
    parts = [
        "# Routers side by side\n",
        f"{results.machine.words} `{results.command}`. {rig_words(results.outcomes)}\n",
        notes(results),
        _bullets(verdicts(results)),
        *(table.markdown() for table in tables(results)),
        "## Set up as\n",
        _bullets(_named(results.setups)),
    ]
    if results.skipped:
        parts += ["## Skipped\n", _bullets(_named(results.skipped))]
    if found := errors(results.outcomes):
        parts += ["## Errors\n", _bullets(found)]
    return "\n".join(parts)


def _named(lines: dict[str, str]) -> Iterator[str]:
    return (f"**{name}**: {text}" for name, text in lines.items())


def _bullets(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
