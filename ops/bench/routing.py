"""How long the gateway takes to choose a replica, from the checked body on: the prompt as bytes,
its keys, the choice, the claims.

Times are of the thread's own CPU, so that work of others on the machine adds no waiting to them.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_letters

import msgspec
from rich.console import Console

from ops.bench.policies import engine_report
from ops.bench.stats import percentile
from ops.bench.table import Table
from serving.gateway.ask import ask_of
from serving.gateway.config import Catalogue, Model
from serving.protocol import check_chat
from serving.routing.prefix import BYTES_PER_TOKEN
from serving.routing.route import Router
from serving.routing.table import Flight, Slot
from serving.routing.table import Table as Replicas


@dataclass(frozen=True, slots=True)
class _Client:
    holder: str = "key"
    session: bytes | None = None


MODEL = Model(name="m", replica_set="model", window_tokens=1_000_000, created=0)
CATALOGUE = Catalogue()
CALLER = _Client()
CONVERSATIONS = 200
CHOICES = 2_000
#: Bytes of a system prompt that every conversation begins with: the costly case, since then every
#: replica holds something.
COMMON_BYTES = 6_000
#: Requests that are under way at any time.
IN_FLIGHT = 200


@dataclass(frozen=True, slots=True)
class Case:
    replicas: int
    prompt_tokens: int


CASES = (
    Case(1, 50),
    Case(8, 50),
    Case(64, 50),
    Case(8, 12_000),
    Case(64, 12_000),
    Case(64, 120_000),
)


def slots(count: int) -> list[Slot]:
    replicas = Replicas()
    replicas.apply([engine_report(number) for number in range(count)], 0.0, lambda slot: None)
    return replicas.of("model")


def bodies(case: Case, dice: random.Random) -> list[bytes]:
    size = case.prompt_tokens * BYTES_PER_TOKEN
    common = _text(min(COMMON_BYTES, size), dice)
    return [_body(common + _text(size - len(common), dice)) for _ in range(CONVERSATIONS)]


def _text(size: int, dice: random.Random) -> str:
    return "".join(dice.choices(ascii_letters, k=size))


def _body(text: str) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text}]})


def choices_s(case: Case) -> Iterator[float]:
    """The time of each choice from the checked body on, after as many to warm up."""
    dice = random.Random(1)  # noqa: S311
    router, able, asked = Router(), slots(case.replicas), bodies(case, dice)
    flights: list[Flight] = []
    for number in range(2 * CHOICES):
        checked = check_chat(asked[number % CONVERSATIONS])
        began_s = time.thread_time()
        choice = router.choose(
            able, ask_of(CALLER, checked, MODEL, CATALOGUE), (), 0.0, dice.randrange
        )
        if choice is None:
            raise RuntimeError("there is no replica to choose")
        flight = router.send(choice)
        taken_s = time.thread_time() - began_s
        flights.append(flight)
        if len(flights) > IN_FLIGHT:
            flights.pop(dice.randrange(IN_FLIGHT)).close()
        if number >= CHOICES:
            yield taken_s


def row(case: Case) -> tuple[str, ...]:
    times_s = list(choices_s(case))
    figures = (f"{percentile(times_s, share) * 1e6:.1f}" for share in (0.5, 0.9, 0.99))
    return (f"{case.replicas} replicas, {case.prompt_tokens:,} tokens", *figures)


def main() -> None:
    """`python -m ops.bench.routing`"""
    headers = ("case", "p50 us", "p90 us", "p99 us")
    title = f"Choice of a replica, CPU time, {CHOICES:,} choices a case"
    Console(width=100).print(Table(title, headers, tuple(row(case) for case in CASES)).rich())


if __name__ == "__main__":
    main()
