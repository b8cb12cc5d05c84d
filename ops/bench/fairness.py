"""What a noisy tenant does to the others: python -m ops.bench.fairness [--save]

Quiet tenants share one engine with noisy ones: first these are away, then they ask for what there
is room for, then for about twenty times as much. The figures are those of a simulation: the same
every time.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from ops.bench import saved
from ops.bench.noisy import SCENARIOS, Scenario
from ops.bench.saturation import FairTurns, FirstComeFirstServed, Policy, Request, play, requests
from ops.bench.stats import percentile
from ops.bench.table import Table

SECONDS = 330.0
#: Before this an empty engine fills.
WARM_S = 30.0
SEEDS = (1, 2, 3)
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
    #: Of the quiet tenants' requests while the others are noisy.
    refused_share: float
    #: Prompts and answers of all, while they are noisy.
    tokens_per_s: float

    @property
    def rise(self) -> float:
        return self.noisy_s / self.calm_s - 1


def measure(policy: Callable[[], Policy], scenario: Scenario) -> Figures:
    alone, calm, noisy = (_played(policy, scenario, each) for each in ("alone", "calm", "noisy"))
    quiet = _quiet(noisy, scenario)
    work = sum(each.prompt_tokens + each.answer_tokens for each in noisy if not each.is_refused)
    return Figures(
        _p99(_quiet(alone, scenario)),
        _p99(_quiet(calm, scenario)),
        _p99(quiet),
        sum(each.is_refused for each in quiet) / len(quiet),
        work / SECONDS / len(SEEDS),
    )


def _played(policy: Callable[[], Policy], scenario: Scenario, stage: str) -> list[Request]:
    found: list[Request] = []
    for seed in SEEDS:
        asked = requests(scenario.of(stage), SECONDS, seed)
        play(asked, policy())
        found += asked
    return found


def _quiet(asked: list[Request], scenario: Scenario) -> list[Request]:
    names = {tenant.name for tenant in scenario.quiet}
    return [each for each in asked if each.tenant in names and each.at_s > WARM_S]


def _p99(asked: list[Request]) -> float:
    return percentile([each.waited_s for each in asked if not each.is_refused], 0.99)


def table(figures: dict[tuple[str, str], Figures]) -> Table:
    """By scenario and way to let tenants in."""
    headers = (
        "who is noisy",
        "the quiet ones' p99 to first token",
        "alone",
        "while there is room",
        "while it is noisy",
        "rise",
        "refused of the quiet ones",
        "tokens/s of all",
    )
    rows = tuple(
        (
            scenario,
            policy,
            f"{each.alone_s:.2f} s",
            f"{each.calm_s:.2f} s",
            f"{each.noisy_s:.2f} s",
            f"{each.rise:+.0%}",
            f"{each.refused_share:.0%}",
            f"{each.tokens_per_s:,.0f}",
        )
        for (scenario, policy), each in figures.items()
    )
    return Table("Noisy tenants", headers, rows)


def page(shown: Table) -> str:
    """Its section of RESULTS.md."""
    return f"{shown.markdown().removeprefix('#')}\n{_HOW}"


_HOW = f"""\
`python -m ops.bench.fairness --save`: a simulation, the same every time, {len(SEEDS)} times
{SECONDS:.0f} s of one engine that runs 64 requests. The time to first token is that of the quiet
tenants, which ask the same throughout: without the noisy one, while it asks for about what there
is room for, and while it asks for about twenty times as much. "Rise" is from the second to the
third. Why turns are as they are: [decision 23](../decisions/0023-limits-and-fair-turns.md).
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="renew its section of RESULTS.md")
    arguments = parser.parse_args()
    figures = {
        (scenario.name, name): measure(policy, scenario)
        for scenario in SCENARIOS
        for name, policy in POLICIES.items()
    }
    shown = table(figures)
    Console(width=None if sys.stdout.isatty() else 160).print(shown.rich())
    if arguments.save:
        saved.save("fairness", page(shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
