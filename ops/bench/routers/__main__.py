"""`python -m ops.bench.routers --trace FILE`: our gateway and its peers as routers, side by side.

`--sweep` runs plain round robin at several loads instead, to find the one where it just saturates.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from rich.console import Console

from ops.bench import machine, saved
from ops.bench.__main__ import cores, setup
from ops.bench.child import leave_by_exception
from ops.bench.rivals.rival import Rival
from ops.bench.routers import report, rig, trace
from ops.bench.routers.outcome import Outcomes, Traffic
from ops.bench.routers.routers import ALL, ROUND_ROBIN
from ops.bench.routers.trace import Ask, BadTrace

_REQUESTS = 2_000
_MOST_REQUESTS = 20_000
_ROUNDS = 3
_MOST_ROUNDS = 100
#: Multiples of the trace's own pace: where round robin just saturates, and well below.
_BUSY = 3.5
_CALM = 2.5


def chosen(names: str | None) -> tuple[Rival, ...]:
    if names is None:
        return ALL
    wanted = set(names.split(","))
    if unknown := wanted - {router.name for router in ALL}:
        known = ", ".join(router.name for router in ALL)
        sys.exit(f"no such router: {', '.join(sorted(unknown))} (there are: {known})")
    return tuple(router for router in ALL if router.name in wanted)


def pairs(routers: tuple[Rival, ...], sweep: str | None) -> tuple[tuple[Rival, Traffic], ...]:
    """Who is measured with what, in the order of a round."""
    if sweep is not None:
        return tuple((ROUND_ROBIN, Traffic(load)) for load in _loads(sweep))
    traffics = (Traffic(_BUSY), Traffic(_CALM, shares_prefixes=False))
    return tuple((router, traffic) for traffic in traffics for router in routers)


def _loads(text: str) -> tuple[float, ...]:
    try:
        loads = tuple(float(part) for part in text.split(","))
    except ValueError:
        sys.exit(f"--sweep takes loads such as 2,3,3.5; {text!r} is none")
    if not all(0 < load <= 1_000 for load in loads):
        sys.exit("--sweep takes loads above 0 and up to 1000 times the trace's own pace")
    return loads


def _asks(path: Path, requests: int) -> tuple[Ask, ...]:
    if not 0 < requests <= _MOST_REQUESTS:
        sys.exit(f"--requests takes 1 to {_MOST_REQUESTS}")
    try:
        with path.open(encoding="utf-8", errors="strict") as lines:
            return trace.read(lines, requests)
    except (OSError, UnicodeDecodeError, BadTrace) as bad:
        sys.exit(f"cannot read the trace {path}: {bad}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.bench.routers", description=__doc__)
    parser.add_argument("--trace", type=Path, required=True, help="Mooncake's format, JSON lines")
    parser.add_argument("--requests", type=int, default=_REQUESTS, help=f"default {_REQUESTS}")
    parser.add_argument("--only", metavar="NAME,...", help="these routers")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"default {_ROUNDS}")
    parser.add_argument("--sweep", metavar="LOAD,...", help="round robin alone at these loads")
    parser.add_argument("--save", action="store_true", help="renew its section of RESULTS.md")
    arguments = parser.parse_args()
    if arguments.save and arguments.sweep:
        parser.error("--save keeps the comparison; a sweep is only printed")
    if not 0 < arguments.rounds <= _MOST_ROUNDS:
        parser.error(f"--rounds takes 1 to {_MOST_ROUNDS}")
    return arguments


def main() -> None:
    arguments = _arguments()
    leave_by_exception()
    asks = _asks(arguments.trace, arguments.requests)
    places = cores(None)
    os.sched_setaffinity(0, {places.load})
    measured = pairs(chosen(arguments.only), arguments.sweep)
    progress = Console(stderr=True, log_path=False, width=200)
    plan = rig.Plan(asks, measured, arguments.rounds, places)
    outcomes, skipped = rig.run(plan, progress.log)
    if not outcomes:
        sys.exit("nothing was measured: every router was skipped")
    routers = dict.fromkeys(router for router, _ in measured)
    results = report.Results(
        machine=machine.describe(),
        command=shlex.join(["python", "-m", "ops.bench.routers", *sys.argv[1:]]),
        requests=len(asks),
        rounds=arguments.rounds,
        engines=rig.ENGINES,
        speed=rig.SPEED,
        setups={router.name: setup(router) for router in routers if router.name not in skipped},
        skipped=skipped,
        outcomes=Outcomes(outcomes),
    )
    _show(results)
    if arguments.save:
        saved.save("routers", report.page(results))


def _show(results: report.Results) -> None:
    output = Console(width=None if sys.stdout.isatty() else 200)
    for table in report.tables(results):
        output.print(table.rich())
    for line in (*report.verdicts(results), report.rig_words(results.outcomes)):
        output.print(line, markup=False)
    for name, reason in results.skipped.items():
        output.print(f"skipped {name}: {reason}", markup=False)
    for line in report.errors(results.outcomes):
        output.print(f"error {line}", markup=False)


if __name__ == "__main__":
    main()
