"""The simulator beside a real engine: the same requests at the same times, on loads that it was not
calibrated on.

One engine of the demo model on this machine's CPU, calibrated just before or by a file. Requests
are turns of conversations: each continues the prompt of the one before it, so the cache matters.
Nothing else should run on the machine.
"""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from rich.console import Console

from cluster.this_machine import inventory_of_this_machine
from deployments.calibration import Calibration, Spread
from deployments.calibration_file import calibration_text, load_calibration
from deployments.facts import facts_of
from deployments.load import load
from deployments.simulation.cluster import Site
from deployments.simulation.report import percentile
from deployments.simulation.run import Case, Outcome, simulate
from deployments.simulation.site import timed
from deployments.simulation.trace import Arrival, Trace
from ops.bench import machine, saved
from ops.bench.stats import ratio
from ops.bench.table import Table
from ops.calibration import FIRST_ID, LAST_ID, Rounds, calibrated
from ops.commands.calibrate import ROUNDS, demo_subject
from ops.demo_engine import FLEET, MODEL, demo_engine
from ops.timed_engine import Timed, TimedEngine, timed_engine

#: Of the demo engine's cache on CPU.
BLOCK_TOKENS = 128
CONVERSATIONS = 12
TURNS = 8
#: Of what the simulated engine can do at most.
SHARES = (0.4, 0.7)
SEED = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What both are compared by."""

    first_p50_s: float
    first_p90_s: float
    output_tokens_per_s: float


def conversations(dice: Random) -> list[Arrival]:
    """All requests, the turns of all conversations in turn; without times."""
    numbers = iter(range(1 << 30))
    begun: dict[int, tuple[int, ...]] = {}
    found = []
    for turn in range(TURNS):
        for conversation in range(CONVERSATIONS):
            more = tuple(next(numbers) for _ in range(dice.randint(1, 4 if turn else 8)))
            blocks = begun[conversation] = begun.get(conversation, ()) + more
            # The last block is not full: its tokens are nobody else's.
            tokens = len(blocks) * BLOCK_TOKENS + dice.randint(1, BLOCK_TOKENS - 1)
            found.append(Arrival(0.0, MODEL, tokens, dice.randint(16, 96), blocks))
    return found


def spaced(arrivals: Sequence[Arrival], per_s: float, dice: Random) -> Trace:
    """The same at random times, so many a second."""
    at_s, found = 0.0, []
    for arrival in arrivals:
        at_s += dice.expovariate(per_s)
        found.append(replace(arrival, at_s=at_s))
    return Trace(tuple(found), BLOCK_TOKENS)


def prompt(arrival: Arrival, number: int) -> list[int]:
    """Token ids of its blocks, and an end of its own."""
    ids = range(FIRST_ID, LAST_ID)
    blocks = (Random(block).choices(ids, k=BLOCK_TOKENS) for block in arrival.blocks)  # noqa: S311
    whole = [token for block in blocks for token in block]
    end = Random(f"end {number}").choices(ids, k=arrival.prompt_tokens - len(whole))  # noqa: S311
    return whole + end


async def played(engine: TimedEngine, trace: Trace) -> list[Timed]:
    """The real engine's answers."""
    prompts = [prompt(arrival, number) for number, arrival in enumerate(trace.arrivals)]
    began_s = perf_counter()

    async def one(arrival: Arrival, ids: list[int]) -> Timed:
        await asyncio.sleep(max(began_s + arrival.at_s - perf_counter(), 0.0))
        return await engine.complete(ids, arrival.output_tokens)

    pairs = zip(trace.arrivals, prompts, strict=True)
    return list(await asyncio.gather(*(one(*pair) for pair in pairs)))


def measured_figures(answers: Sequence[Timed], trace: Trace) -> Figures:
    began_s = min(answer.sent_s for answer in answers) - trace.arrivals[0].at_s
    ended_s = max(answer.ended_s for answer in answers)
    return _figures([each.first_token_s for each in answers], trace, ended_s - began_s)


def simulated_figures(outcome: Outcome, trace: Trace) -> Figures:
    firsts = [record.first_token_s for record in outcome.records]
    ended_s = max(record.arrival.at_s + record.ended_s for record in outcome.records)
    return _figures([each for each in firsts if each is not None], trace, ended_s)


def _figures(firsts_s: list[float], trace: Trace, span_s: float) -> Figures:
    tokens = sum(arrival.output_tokens for arrival in trace.arrivals)
    return Figures(median(firsts_s), percentile(sorted(firsts_s), 0.9), tokens / span_s)


class Simulator:
    """The demo fleet with one calibration."""

    def __init__(self, calibration: Calibration) -> None:
        fleet = load(FLEET)
        inventory = inventory_of_this_machine("cpu")
        self._site = Site(fleet, inventory, facts_of(fleet, inventory))
        found = timed(self._site, [calibration], BLOCK_TOKENS)
        self._times = {name: each.time for name, each in found.items()}

    def play(self, trace: Trace) -> Outcome:
        return simulate(Case(self._site, self._times, trace), Random(0).randrange)  # noqa: S311

    def most_per_s(self, arrivals: Sequence[Arrival]) -> float:
        """Requests a second when all come at once."""
        return len(arrivals) / self.play(Trace(tuple(arrivals), BLOCK_TOKENS)).ended_s


def rows(name: str, real: Figures, simulated: Figures) -> Iterator[tuple[str, ...]]:
    pairs = (
        ("first token p50, s", real.first_p50_s, simulated.first_p50_s),
        ("first token p90, s", real.first_p90_s, simulated.first_p90_s),
        ("output tokens/s", real.output_tokens_per_s, simulated.output_tokens_per_s),
    )
    for what, one, other in pairs:
        yield (f"{name}: {what}", f"{one:.3f}", f"{other:.3f}", f"{ratio(other, one):.2f}")


async def compare(url: str, start_s: float, path: Path | None) -> tuple[Calibration, Table]:
    found: list[tuple[str, ...]] = []
    async with timed_engine(url, None, MODEL) as engine:
        start = Spread(median=start_s, low=start_s, high=start_s)
        how = Rounds(ROUNDS, lambda line: print(line, flush=True))  # noqa: T201
        subject = demo_subject(start)
        calibration = load_calibration(path) if path else await calibrated(engine, subject, how)
        simulator = Simulator(calibration)
        most = simulator.most_per_s(conversations(Random(SEED)))  # noqa: S311
        for number, share in enumerate(SHARES):
            dice = Random(SEED + number)  # noqa: S311
            trace = spaced(conversations(dice), share * most, dice)
            # Of each load other blocks, or the second one would find the first one's.
            trace = replace(trace, arrivals=tuple(_shifted(trace.arrivals, number)))
            real = measured_figures(await played(engine, trace), trace)
            name = f"{share:.0%} of the most, {share * most:.2f} requests/s"
            found += rows(name, real, simulated_figures(simulator.play(trace), trace))
    headers = ("load", "engine", "simulated", "simulated / engine")
    title = "Simulated and real"
    return calibration, Table(title, headers, tuple(found))


def _shifted(arrivals: Sequence[Arrival], number: int) -> Iterator[Arrival]:
    for arrival in arrivals:
        blocks = tuple(block + (number << 32) for block in arrival.blocks)
        yield replace(arrival, blocks=blocks)


def page(table: Table, where: machine.Machine) -> str:
    """Its section of RESULTS.md."""
    return f"""\
# The simulator beside a real engine

{where.words} `python -m ops.bench.simulation --save`:
one engine of the demo model with nothing else to do, calibrated, then two loads of
{CONVERSATIONS * TURNS} requests each ({CONVERSATIONS} conversations of {TURNS} turns) that it was
not calibrated on, on the engine and in the simulator.
[What it models, and how fast it is](../decisions/0020-simulation.md).

{table.markdown()}"""


def main() -> None:
    """`python -m ops.bench.simulation [--calibration FILE] [--keep FILE] [--save]`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibration", type=Path, help="instead of measuring first")
    parser.add_argument("--keep", type=Path, help="write the calibration that was used")
    parser.add_argument("--save", action="store_true", help="renew its section of RESULTS.md")
    options = parser.parse_args()
    with demo_engine() as (url, start_s):
        calibration, table = asyncio.run(compare(url, start_s, options.calibration))
    if options.keep is not None:
        options.keep.write_text(calibration_text(calibration), encoding="utf-8")
    Console(width=140).print(table.rich())
    if options.save:
        saved.save("simulator", page(table, machine.describe()))


if __name__ == "__main__":
    main()
