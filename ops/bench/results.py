"""Everything a run produced, as one value and as JSON. Pure."""

import json
import math
from dataclasses import asdict, dataclass

from ops.bench.machine import Machine
from ops.bench.sample import Samples
from ops.bench.shape import Window
from ops.bench.stats import percentile


@dataclass(frozen=True)
class Results:
    """Everything a run produced."""

    machine: Machine
    command: str
    window: Window
    rounds: int
    #: Who was measured, in the order of the tables: name -> how it was set up, with versions.
    setups: dict[str, str]
    #: Who was not: name -> why.
    skipped: dict[str, str]
    samples: Samples


def noise(results: Results) -> str:
    """How far to trust the figures."""
    gateway = [sample.gateway_foreign for sample in results.samples]
    rig = [sample.rig_foreign for sample in results.samples]
    return (
        f"Other work took {_range(gateway)} of the gateway's core and {_range(rig)} of the rig's "
        "(median load..worst load)."
    )


def _range(shares: list[float]) -> str:
    return f"{percentile(shares, 0.5):.0%}..{percentile(shares, 1.0):.0%}"


def errors(results: Results) -> tuple[str, ...]:
    """One line for each rival, load and kind of error."""
    return tuple(
        f"{sample.rival}, {sample.shape.name}: {count} x {what}"
        for sample in results.samples
        for what, count in sample.errors.items()
    )


def to_json(results: Results) -> str:
    value = {
        "machine": asdict(results.machine),
        "command": results.command,
        "window": asdict(results.window),
        "rounds": results.rounds,
        "setups": results.setups,
        "skipped": results.skipped,
        "samples": [_finite(asdict(sample)) for sample in results.samples],
    }
    return json.dumps(value, indent=1, allow_nan=False)


def _finite(sample: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in sample.items()
    }
