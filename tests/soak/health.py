"""What the processes of a soak weigh, from samples: flat or not. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

MIB = 1024 * 1024
#: What the memory of a gateway or of the Controller may grow by from when it is warm to the end.
#: Python takes memory a MiB at a time, and a burst may leave some behind; the Controller keeps the
#: last 10,000 records.
GROWTH_MIB = 8.0
#: Of its life; then caches are full and all code is loaded.
WARM_SHARE = 0.2
#: Descriptors of an idle gateway over those it began with: of the spool, and to whoever watches.
MORE_DESCRIPTORS = 4
#: Tasks of an idle gateway over those it began with.
MORE_TASKS = 2
#: Of the samples nearest to a moment the middle one stands: one alone may be of a burst.
_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one process at one moment; loop time."""

    process: str
    at_s: float
    rss_bytes: int
    descriptors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Life:
    """Of one process: when it was warm, in the middle, at the end."""

    process: str
    seconds: float
    rss_mib: tuple[float, float, float]
    descriptors: tuple[int, int, int]
    tasks: tuple[int, int, int]

    @property
    def growth_mib(self) -> float:
        return round(self.rss_mib[2] - self.rss_mib[0], 1)


def lives(samples: Iterable[Sample], least_s: float) -> list[Life]:
    """Of those that lived at least so long."""
    by_process: dict[str, list[Sample]] = defaultdict(list)
    for each in samples:
        by_process[each.process].append(each)
    found = [_life(name, each) for name, each in sorted(by_process.items())]
    return [life for life in found if life.seconds >= least_s]


def _life(process: str, samples: Sequence[Sample]) -> Life:
    begin_s, seconds = samples[0].at_s, samples[-1].at_s - samples[0].at_s
    warm, middle, end = (_at(samples, begin_s + share * seconds) for share in (WARM_SHARE, 0.5, 1))
    return Life(
        process,
        round(seconds, 1),
        (_mib(warm), _mib(middle), _mib(end)),
        (warm.descriptors, middle.descriptors, end.descriptors),
        (warm.tasks, middle.tasks, end.tasks),
    )


def _mib(sample: Sample) -> float:
    return round(sample.rss_bytes / MIB, 1)


def _at(samples: Sequence[Sample], moment_s: float) -> Sample:
    near = sorted(samples, key=lambda each: abs(each.at_s - moment_s))[:_SAMPLES]
    return Sample(
        near[0].process,
        moment_s,
        round(median(each.rss_bytes for each in near)),
        round(median(each.descriptors for each in near)),
        round(median(each.tasks for each in near)),
    )


@dataclass(frozen=True, slots=True)
class Idle:
    """A gateway that is asked nothing."""

    process: str
    tasks: int
    descriptors: int
    #: Requests, reservations of limited keys, places in queues.
    in_flight: int
    reservations: int
    queued: int


def leftovers(before: Idle, after: Idle) -> list[str]:
    """What one that nobody asks any more has kept."""
    kept = {
        "requests": after.in_flight,
        "reservations": after.reservations,
        "places in queues": after.queued,
        "more tasks": max(0, after.tasks - before.tasks - MORE_TASKS),
        "more descriptors": max(0, after.descriptors - before.descriptors - MORE_DESCRIPTORS),
    }
    return [f"{after.process} kept {count} {words}" for words, count in kept.items() if count]


def grown(life: Life) -> list[str]:
    """Whether its memory is not flat."""
    if life.growth_mib <= GROWTH_MIB:
        return []
    return [f"{life.process} grew by {life.growth_mib:.1f} MiB, bound {GROWTH_MIB:.0f}"]
