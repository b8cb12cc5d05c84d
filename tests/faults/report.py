"""`ops/reliability.md` from what tests have proven. Pure; no figure in it is written by hand."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.named import RIGS, SCRIPTED, rig_of
from tests.faults.promises import PROMISES, Promise
from tests.faults.rows import ROWS, Row

_HEAD = """\
# What breaks, what clients see, how long it takes

Made by `python -m tests.faults` from the tests that it ran; change the tests, not this page. Every
fault is a real one on real sockets: a real gateway, and what the table says behind it: engines that
follow a script, or Ray with real engines. After each of them that requests met: every answer was
complete, a stream with an error event at its end and no `[DONE]`, or an error in OpenAI's envelope;
each accepted request left exactly one usage record, with the tokens that its engine counted or,
marked as an estimate, no more; nothing was left in flight or reserved at gateway or engines, and no
task, descriptor, process or placement group; and the next plain request was answered. "Recovery" is
the time from the fault to that answer, from the end of the fault where nothing could be served
meanwhile; with real engines it is the time until everything that was hit is whole again, the start
of an engine included. Where the fault is a wrong request, a refusal or a wanted end, nothing has to
recover, and the page says that.
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """One test that is named after a row."""

    row: int
    #: Where it stands, as pytest writes it.
    test: str
    #: pytest's word: passed, failed or skipped.
    outcome: str
    #: Kinds of answers and how often clients saw them.
    seen: Mapping[str, int] = field(default_factory=dict)
    recovery_s: float | None = None
    measured: Sequence[str] = ()
    #: When and on what it was run.
    on: str = ""


def renewed(kept: Iterable[Proof], found: Collection[Proof], tests: Collection[str]) -> list[Proof]:
    """What was seen last of every test that there is."""
    again = {proof.test for proof in found}
    old = [proof for proof in kept if proof.test in tests and proof.test not in again]
    return sorted([*old, *found], key=lambda proof: (proof.row, proof.test))


def render(proofs: Iterable[Proof]) -> str:
    by_row: dict[int, list[Proof]] = defaultdict(list)
    for proof in proofs:
        by_row[proof.row].append(proof)
    return "\n".join(
        [
            _HEAD,
            *_measured_lines(by_row),
            "## Promises\n",
            "| # | promise | proven by rows | passed | slowest recovery |",
            "|---|---|---|---:|---:|",
            *(_promise_line(promise, by_row) for promise in PROMISES),
            "\n## Faults\n",
            "| # | fault | with | clients saw | recovery | measured | tests |",
            "|---:|---|---|---|---:|---|---:|",
            *(line for row in ROWS for line in _row_lines(row, by_row.get(row.number, ()))),
            "\n## Not proven here\n",
            "| # | fault | why |",
            "|---:|---|---|",
            *(_unproven_line(row) for row in ROWS if row.number not in by_row),
            "\n## Tests\n",
            *(_test_line(proof) for row in sorted(by_row) for proof in _merged(by_row[row])),
            "",
        ]
    )


def _promise_line(promise: Promise, by_row: Mapping[int, list[Proof]]) -> str:
    proofs = [proof for row in promise.rows for proof in by_row.get(row, ())]
    rows = ", ".join(str(row) for row in promise.rows if row in by_row)
    return f"| {promise.name} | {promise.text} | {rows} | {_passed(proofs)} | {_recovery(proofs)} |"


def _measured_lines(by_row: Mapping[int, list[Proof]]) -> Iterator[str]:
    """When and on what the tests of each rig were run."""
    runs: dict[str, set[str]] = defaultdict(set)
    for proofs in by_row.values():
        for proof in proofs:
            runs[rig_of(proof.test)].add(proof.on)
    for rig in sorted(runs):
        yield f"Measured with {rig}: {'; '.join(sorted(runs[rig]))}.\n"


def _row_lines(row: Row, proofs: Iterable[Proof]) -> Iterator[str]:
    """One for each rig."""
    by_rig: dict[str, list[Proof]] = defaultdict(list)
    for proof in proofs:
        by_rig[rig_of(proof.test)].append(proof)
    for rig in (SCRIPTED, *RIGS.values()):
        if rig in by_rig:
            yield _row_line(row, rig, by_rig[rig])


def _row_line(row: Row, rig: str, proofs: list[Proof]) -> str:
    seen: Counter[str] = Counter()
    for proof in proofs:
        seen.update(proof.seen)
    shown = "; ".join(f"{count} x {kind}" for kind, count in seen.most_common())
    measured = "; ".join(dict.fromkeys(word for proof in proofs for word in proof.measured))
    return (
        f"| {row.number} | {row.fault} | {rig} | {shown or 'see the test'} "
        f"| {_recovery(proofs) or row.calm} | {measured} | {_passed(proofs)} |"
    )


def _unproven_line(row: Row) -> str:
    return f"| {row.number} | {row.fault} | {row.why or 'its test was not run for this page'} |"


def _passed(proofs: list[Proof]) -> str:
    passed = sum(proof.outcome == "passed" for proof in proofs)
    return f"{passed} of {len(proofs)}"


def _recovery(proofs: list[Proof]) -> str:
    """The slowest; a millisecond is the finest that means something, a tenth where Ray is in it."""
    times = [
        (proof.recovery_s, 3 if rig_of(proof.test) == SCRIPTED else 1)
        for proof in proofs
        if proof.recovery_s is not None
    ]
    if not times:
        return ""
    slowest_s, digits = max(times)
    return f"{slowest_s:.{digits}f} s"


def _merged(proofs: list[Proof]) -> list[Proof]:
    """One for each test; a case that failed stands for all of its cases."""
    by_test = {proof.test: proof for proof in sorted(proofs, key=lambda p: p.outcome != "passed")}
    return list(by_test.values())


def _test_line(proof: Proof) -> str:
    path, _, name = proof.test.partition("::")
    words = name.removeprefix("test_")[3:].replace("_", " ")
    return f"- {proof.row}: {words} (`{path}`), {proof.outcome}"
