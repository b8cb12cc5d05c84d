"""What a soak has shown, as JSON and as a page. Pure; no figure is written by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tests.soak.health import GROWTH_MIB, Idle, Life
from tests.soak.made import Made
from tests.soak.recovery import AFTERMATH_S, Recovery

_HEAD = """\
# A soak

Made by `make soak`; run it again rather than change this page. Gateways, the Controller and its
ledger are the real ones, each a process of its own; engines follow a script and count their tokens;
all speak over real sockets. Clients of {tenants} tenants come all the time, some leave early, some
send what the corpus of bad input holds, and something breaks every few seconds. When nobody asks
any more, what clients saw, what engines did and what the ledger holds are laid beside each other.
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """A key with a limit of requests a minute, and the most that were let in within one."""

    tenant: str
    per_minute: int
    most: int
    #: One more for each gateway that was there.
    allowed: int


@dataclass(frozen=True, slots=True)
class Report:
    made: Made
    minutes: float
    seed: int
    machine: str
    requests: int
    kinds: Mapping[str, int]
    records: int
    lost: int
    doubled: int
    #: Completion tokens, by who counted them.
    tokens: Mapping[str, int]
    #: Records whose engine's count agrees, and those that stand on the gateway's estimate.
    agreeing: int
    estimated: int
    limits: Sequence[Limit]
    recoveries: Sequence[Recovery]
    lives: Sequence[Life]
    idle_before: Idle
    idle_after: Idle
    #: What should not be so.
    findings: Sequence[str]
    tenants: int

    @property
    def passed(self) -> bool:
        return not self.findings


def encode(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def decode(data: bytes) -> Report:
    return msgspec.json.decode(data, type=Report)


def page(report: Report) -> str:
    return "\n".join(
        [
            _HEAD.format(tenants=report.tenants),
            f"{report.minutes:g} minutes on {report.machine}, seed {report.seed}, "
            f"{report.made.day}, commit {report.made.commit}: "
            f"**{'passed' if report.passed else 'failed'}**.\n",
            *(f"- {finding}" for finding in report.findings),
            *_books(report),
            *_faults(report),
            *_memory(report),
            "",
        ]
    )


def _books(report: Report) -> list[str]:
    return [
        "## Requests and records\n",
        f"{report.requests:,} requests, {report.records:,} records in the ledger: "
        f"**{report.lost} lost, {report.doubled} doubled**. Completion tokens: "
        + ", ".join(f"{count:,} {who}" for who, count in report.tokens.items())
        + f". {report.agreeing:,} records agree with their engine's count to the token; "
        f"{report.estimated} stand on the gateway's own, since the replica that answered was "
        "killed before it had told.\n",
        "| clients saw | requests |",
        "|---|---:|",
        *(f"| {kind} | {count:,} |" for kind, count in report.kinds.items()),
        "",
        *(_limit(each) for each in report.limits),
        "",
    ]


def _limit(limit: Limit) -> str:
    return (
        f"Tenant `{limit.tenant}`, limited to {limit.per_minute} requests a minute at all gateways "
        f"together, was let in {limit.most} times in its fullest minute; {limit.allowed} are "
        "allowed: one more for each gateway that was there."
    )


def _faults(report: Report) -> list[str]:
    return [
        "## Faults\n",
        "A failure is an answer of 5xx other than a full queue's, a stream that was cut, or a "
        "broken connection. It is laid to the faults that were there while its request ran, or up "
        f"to {AFTERMATH_S:.0f} s before: where faults of several layers meet, a broken connection "
        "to the gateway, anything else to the replica, and to the Controller and its ledger only "
        'where nothing else was wrong. "Noticed" is from the beginning of a fault to the end of '
        "its last failure.\n",
        "| fault | times | unnoticed | lasted, median | requests meanwhile | failed "
        "| noticed for, median | at worst |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {each.kind} | {each.faults} | {each.unnoticed} | {each.lasted_s:.1f} s "
            f"| {each.requests:,} | {each.failed:,} | {each.noticed_s:.1f} s "
            f"| {each.worst_s:.1f} s |"
            for each in report.recoveries
        ),
        "",
    ]


def _memory(report: Report) -> list[str]:
    before, after = report.idle_before, report.idle_after
    return [
        "## What is kept\n",
        f"`{after.process}` was never struck. Asked nothing, it had {before.tasks} tasks and "
        f"{before.descriptors} descriptors at the beginning, {after.tasks} and {after.descriptors} "
        f"at the end, with {after.in_flight} requests, {after.reservations} reservations and "
        f"{after.queued} places in queues. The other gateways and the Controller are killed or "
        "replaced now and then; those that lived long are shown. The memory of each may grow by "
        f"{GROWTH_MIB:.0f} MiB from when it is warm to the end.\n",
        "| process | lived | memory warm, middle, end (MiB) | grew by | descriptors | tasks |",
        "|---|---:|---|---:|---|---|",
        *(
            f"| {life.process} | {life.seconds:.0f} s | {_three(life.rss_mib)} "
            f"| {life.growth_mib:.1f} | {_three(life.descriptors)} | {_three(life.tasks)} |"
            for life in report.lives
        ),
    ]


def _three(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
