"""What a noisy tenant does to the others: python -m ops.bench.fairness

Eight tenants share one engine with a ninth, whose prompts are long: first it is away, then it asks
for what there is room for, then for twenty times as much. The figures are those of a simulation:
the same every time.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from ops.bench.saturation import (
    FairTurns,
    FirstComeFirstServed,
    Policy,
    Request,
    Tenant,
    play,
    requests,
)
from ops.bench.stats import percentile
from ops.bench.table import Table

SECONDS = 330.0
#: Before this an empty engine fills.
WARM_S = 30.0
SEEDS = (1, 2, 3)
QUIET = tuple(Tenant(f"quiet {number}", 0.3) for number in range(1, 9))
LONG_PROMPT = (1_500, 2_500)
#: Of the noisy tenant, requests a second.
CALM, NOISY = 1.0, 20.0
POLICIES: dict[str, Callable[[], Policy]] = {
    "first come, first served": FirstComeFirstServed,
    "fair turns": FairTurns,
}


@dataclass(frozen=True)
class Figures:
    """Of one way to let tenants in: the 99th percentile of the quiet ones' time to first token."""

    alone_s: float
    calm_s: float
    noisy_s: float
    #: Of the quiet tenants' requests while the other is noisy.
    refused_share: float
    #: Prompts and answers of all, while it is noisy.
    tokens_per_s: float

    @property
    def rise(self) -> float:
        return self.noisy_s / self.calm_s - 1


def measure(policy: Callable[[], Policy]) -> Figures:
    alone, calm, noisy = (_played(policy, rate) for rate in (0.0, CALM, NOISY))
    quiet = _quiet(noisy)
    work = sum(each.prompt_tokens + each.answer_tokens for each in noisy if not each.is_refused)
    return Figures(
        _p99(_quiet(alone)),
        _p99(_quiet(calm)),
        _p99(quiet),
        sum(each.is_refused for each in quiet) / len(quiet),
        work / SECONDS / len(SEEDS),
    )


def _played(policy: Callable[[], Policy], requests_per_s: float) -> list[Request]:
    other = (Tenant("noisy", requests_per_s, LONG_PROMPT),) if requests_per_s else ()
    found: list[Request] = []
    for seed in SEEDS:
        asked = requests([*QUIET, *other], SECONDS, seed)
        play(asked, policy())
        found += asked
    return found


def _quiet(asked: list[Request]) -> list[Request]:
    return [each for each in asked if each.tenant != "noisy" and each.at_s > WARM_S]


def _p99(asked: list[Request]) -> float:
    return percentile([each.waited_s for each in asked if not each.is_refused], 0.99)


def table(figures: dict[str, Figures]) -> Table:
    headers = (
        "p99 to first token of eight quiet tenants",
        "alone",
        f"a ninth asks {CALM:.0f}/s",
        f"it asks {NOISY:.0f}/s",
        "rise",
        "refused of the eight",
        "tokens/s of all",
    )
    rows = tuple(
        (
            name,
            f"{each.alone_s:.2f} s",
            f"{each.calm_s:.2f} s",
            f"{each.noisy_s:.2f} s",
            f"{each.rise:+.0%}",
            f"{each.refused_share:.0%}",
            f"{each.tokens_per_s:,.0f}",
        )
        for name, each in figures.items()
    )
    return Table("A noisy tenant", headers, rows)


def main() -> int:
    figures = {name: measure(policy) for name, policy in POLICIES.items()}
    Console().print(table(figures).rich())
    return 0


if __name__ == "__main__":
    sys.exit(main())
