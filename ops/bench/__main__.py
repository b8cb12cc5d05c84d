"""`make bench`: the gateway alone on one core, and its rivals beside it in the same run."""

import argparse
import os
import shlex
import sys

from rich.console import Console

from ops.bench import machine, report, rig, saved, venv
from ops.bench.child import leave_by_exception
from ops.bench.results import Results, errors, noise, to_json
from ops.bench.rivals import ALL, DIRECT
from ops.bench.rivals.rival import Rival
from ops.bench.sample import Samples
from ops.bench.shape import Shape, Window

_FULL = Window(warmup_s=1.0, duration_s=6.0, limit_s=24.0)
_QUICK = Window(warmup_s=0.3, duration_s=1.0, limit_s=4.0)
_PACE_MS = 10.0
_ROUNDS = 3


def shapes(*, quick: bool) -> tuple[Shape, ...]:
    """The lightest first: some gateways work for a minute on streams whose client has left."""
    light = [Shape(stream, count) for count in (1, 64) for stream in (False, True)]
    light.append(Shape(stream=True, connections=64, pause_ms=_PACE_MS))
    heavy = [Shape(stream, connections=256) for stream in (False, True)]
    return tuple(light if quick else light + heavy)


def chosen(names: str | None) -> tuple[Rival, ...]:
    """The rivals asked for, and always direct: without it nothing can be said about added time."""
    if names is None:
        return ALL
    wanted = {DIRECT.name, *names.split(",")}
    unknown = wanted - {rival.name for rival in ALL}
    if unknown:
        known = ", ".join(rival.name for rival in ALL)
        sys.exit(f"no such rival: {', '.join(sorted(unknown))} (there are: {known})")
    return tuple(rival for rival in ALL if rival.name in wanted)


def cores(text: str | None) -> rig.Cores:
    """`GATEWAY,LOAD,UPSTREAM`; by default the first core is the gateway's, the second the rig's."""
    if text is not None:
        gateway, load, upstream = (int(part) for part in text.split(","))
        return rig.Cores(gateway, load, upstream)
    free = sorted(os.sched_getaffinity(0))
    if len(free) == 1:
        sys.exit("the rig needs two cores: with one, every figure would be its own")
    return rig.Cores(free[0], free[1], free[1])


def setup(rival: Rival) -> str:
    """How it is set up, with the versions it has."""
    if not rival.distributions:
        return rival.setup
    found = venv.versions(rig.interpreter(rival), rival.distributions)
    return f"{rival.setup} ({', '.join(f'{name} {version}' for name, version in found.items())})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; a smoke test")
    parser.add_argument("--only", metavar="NAME,...", help="these rivals, and direct")
    parser.add_argument("--rounds", type=int, help=f"default {_ROUNDS}; 1 with --quick")
    parser.add_argument("--cores", metavar="GATEWAY,LOAD,UPSTREAM", help="default 0,1,1")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--save", action="store_true", help="renew its section of RESULTS.md")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    leave_by_exception()
    progress = Console(stderr=True, log_path=False)
    window = _QUICK if arguments.quick else _FULL
    rounds = arguments.rounds or (1 if arguments.quick else _ROUNDS)
    rivals = chosen(arguments.only)
    plan = rig.Plan(rivals, shapes(quick=arguments.quick), window, rounds, cores(arguments.cores))
    samples, skipped = rig.run(plan, progress.log)
    results = Results(
        machine=machine.describe(),
        command=shlex.join(["python", "-m", "ops.bench", *sys.argv[1:]]),
        window=window,
        rounds=rounds,
        setups={rival.name: setup(rival) for rival in rivals if rival.name not in skipped},
        skipped=skipped,
        samples=Samples(samples),
    )
    _show(results, as_json=arguments.json)
    if arguments.save:
        saved.save("gateway", report.page(results))


def _show(results: Results, *, as_json: bool) -> None:
    output = Console(width=None if sys.stdout.isatty() else 200)
    if as_json:
        output.out(to_json(results), highlight=False)
        return
    for table in report.tables(results):
        output.print(table.rich())
    output.print(report.NOTES + noise(results), markup=False)
    for name, reason in results.skipped.items():
        output.print(f"skipped {name}: {reason}", markup=False)
    for line in errors(results):
        output.print(f"error {line}", markup=False)


if __name__ == "__main__":
    main()
