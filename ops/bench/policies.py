"""Ways to choose an engine for a request, as many gateways would do it, for a replay without HTTP.

Peers are modelled by what their documentation says of the policy, not by their code: it is the idea
that is compared, on equal knowledge.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ops.bench.routers.trace import BLOCK_TOKENS
from ops.bench.routers.trace import Ask as Question
from serving.routing import prefix
from serving.routing.prefix import NO_PREFIX
from serving.routing.route import Answer, Ask, Choice, Router
from serving.routing.table import Flight, Slot, Table
from serving.snapshot import Load, Phase, ReplicaReport

SPACE = prefix.space_of("key", "model")


class Gateway(Protocol):
    """What one gateway does; a ticket is whatever it needs to remember of a request."""

    def heard(self, loads: Sequence[Load]) -> None:
        """The engines' newest word about themselves."""

    def choose(self, question: Question) -> tuple[int, Any]:
        """The number of the engine, and a ticket."""

    def began(self, ticket: Any) -> None:
        """The first token is here."""

    def ended(self, ticket: Any, cached_tokens: int) -> None:
        """The answer is complete."""


class RoundRobin:
    def __init__(self, engines: int, seed: int) -> None:
        self._engines, self._next = engines, seed

    def heard(self, loads: Sequence[Load]) -> None: ...

    def choose(self, question: Question) -> tuple[int, Any]:
        self._next += 1
        return self._next % self._engines, None

    def began(self, ticket: Any) -> None: ...

    def ended(self, ticket: Any, cached_tokens: int) -> None: ...


class LeastRequests:
    """Counts its own requests at dispatch and learns of those of others by heartbeat."""

    def __init__(self, engines: int, seed: int) -> None:
        self._own, self._others = [0] * engines, [0] * engines
        self._dice = random.Random(seed)  # noqa: S311

    def heard(self, loads: Sequence[Load]) -> None:
        for number, load in enumerate(loads):
            self._others[number] = max(0, load.waiting + load.running - self._own[number])

    def choose(self, question: Question) -> tuple[int, Any]:
        number = self._pick(question)
        self._own[number] += 1
        return number, number

    def _pick(self, question: Question) -> int:
        loads = [self._load(number) for number in range(len(self._own))]
        return self._dice.choice([n for n, load in enumerate(loads) if load == min(loads)])

    def _load(self, number: int) -> int:
        return self._own[number] + self._others[number]

    def began(self, ticket: Any) -> None: ...

    def ended(self, ticket: Any, cached_tokens: int) -> None:
        self._own[ticket] -= 1


class PowerOfTwo(LeastRequests):
    def _pick(self, question: Question) -> int:
        return min(self._dice.sample(range(len(self._own)), 2), key=self._load)


class CacheAware(LeastRequests):
    """smg's `cache_aware` with its defaults: shortest queue when out of balance, else the longest
    match if it is long enough, else whose tree is smallest.
    """

    CACHE_THRESHOLD = 0.3
    BALANCE_ABSOLUTE, BALANCE_RELATIVE = 64, 1.5

    def __init__(self, engines: int, seed: int) -> None:
        super().__init__(engines, seed)
        self._holders: defaultdict[int, set[int]] = defaultdict(set)
        self._sizes = [0] * engines

    def _pick(self, question: Question) -> int:
        number = self._choice(question)
        for block in question.blocks:
            if number not in self._holders[block]:
                self._holders[block].add(number)
                self._sizes[number] += 1
        return number

    def _choice(self, question: Question) -> int:
        most, least = max(self._own), min(self._own)
        if most - least > self.BALANCE_ABSOLUTE and most > least * self.BALANCE_RELATIVE:
            return self._own.index(least)
        depth, holders = self._match(question)
        if holders and depth > self.CACHE_THRESHOLD * len(question.blocks):
            return min(holders)
        return self._sizes.index(min(self._sizes))

    def _match(self, question: Question) -> tuple[int, set[int]]:
        depth, holders = 0, set[int]()
        for block in question.blocks:
            if not self._holders[block]:
                break
            depth, holders = depth + 1, self._holders[block]
        return depth, holders


@dataclass(frozen=True, slots=True)
class _Ticket:
    question: Question
    choice: Choice
    flight: Flight


class LeastLoad:
    """Ours, blind to prompts."""

    looks_at_prompts = False

    def __init__(self, engines: int, seed: int) -> None:
        self._router, self._table = Router(), Table()
        self._dice = random.Random(seed)  # noqa: S311
        self.heard([Load()] * engines)

    def heard(self, loads: Sequence[Load]) -> None:
        reports = [engine_report(number, load) for number, load in enumerate(loads)]
        self._table.apply(reports, 0.0, lambda slot: None)

    def choose(self, question: Question) -> tuple[int, Any]:
        choice = self._router.choose(
            self._slots, self._ask(question), (), 0.0, self._dice.randrange
        )
        if choice is None:
            raise RuntimeError("no engine may be asked")
        flight = self._router.send(choice)
        return self._slots.index(choice.slot), _Ticket(question, choice, flight)

    @property
    def _slots(self) -> list[Slot]:
        return self._table.of("model")

    def _ask(self, question: Question) -> Ask:
        tokens, blocks = question.prompt_tokens, NO_PREFIX
        if self.looks_at_prompts:
            blocks = prefix.of_block_ids(SPACE, question.blocks, BLOCK_TOKENS, tokens)
        return Ask(tokens, prefix=blocks)

    def began(self, ticket: Any) -> None:
        ticket.flight.began()

    def ended(self, ticket: Any, cached_tokens: int) -> None:
        ticket.flight.close()
        question = ticket.question
        answer = Answer(question.prompt_tokens, cached_tokens, question.output_tokens)
        self._router.learn(ticket.choice, answer)


class PrefixRouting(LeastLoad):
    """Ours, as gateways do by default."""

    looks_at_prompts = True


def engine_report(number: int, load: Load | None = None) -> ReplicaReport:
    """What an engine of a replay says of itself."""
    return ReplicaReport(
        replica_id=f"model.{number}-0",
        application=f"model.{number}",
        replica_set="model",
        node="",
        stages=(),
        address="127.0.0.1:1",
        served_name="model",
        phase=Phase.READY,
        load=load or Load(),
    )


#: By name, in the order of the table; made of the number of engines and a seed. smg's policy stands
#: for vllm-router's too, which has the same rule and defaults.
ALL: Mapping[str, Callable[[int, int], Gateway]] = {
    "round robin": RoundRobin,
    "least requests": LeastRequests,
    "power of two": PowerOfTwo,
    "cache_aware, as smg documents it": CacheAware,
    "ours, least-load": LeastLoad,
    "ours, prefix": PrefixRouting,
}
