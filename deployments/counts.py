"""Which replicas of a fleet should run: how many of each model, under which numbers. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count, islice

from deployments.fleet import Fleet
from deployments.render import replica_name
from deployments.running import Running


@dataclass(frozen=True, slots=True)
class Counts:
    """How many replicas of each model should run; of a model that is not named, as many as do."""

    by_model: Mapping[str, int] = field(default_factory=dict)
    #: Replicas that go before others of their model do.
    leaving: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A replica that should run."""

    model: str
    number: int
    #: Beyond the model's `min`.
    is_beyond: bool
    #: Lower ones are placed first.
    rank: tuple[bool, int, int]


def wanted_replicas(
    fleet: Fleet,
    running: Mapping[str, Running],
    counts: Counts,
    displaced: Collection[str] = (),
) -> dict[str, Wanted]:
    """By name: of each model those that run already, lower numbers first, and then new ones; never
    fewer than its `min` or more than its `max`. What is `displaced` comes after what can stay where
    it is, so that no replica that serves goes for one that does not.
    """
    wanted = {}
    for name, model in fleet.served().items():
        numbers = sorted(_numbers(name, running))
        runs = sorted(numbers, key=lambda at: replica_name(name, at) in displaced)
        replicas = model.replicas.clipped(counts.by_model.get(name, len(runs)))
        staying = [at for at in runs if replica_name(name, at) not in counts.leaving]
        unused = (at for at in count() if at not in runs)
        for position, at in enumerate(islice(chain(staying, unused), replicas)):
            is_beyond = position >= model.replicas.min
            rank = (is_beyond, -model.scaling.priority, position)
            wanted[replica_name(name, at)] = Wanted(name, at, is_beyond, rank)
    return wanted


def _numbers(model: str, running: Mapping[str, Running]) -> Iterator[int]:
    """Those of a model's replicas that run."""
    for replica, each in running.items():
        number = replica.removeprefix(f"{model}.")
        is_number = number.isdecimal() and replica == replica_name(model, int(number))
        if is_number and each.model == model:
            yield int(number)
