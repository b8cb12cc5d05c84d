"""The whole rig once, with real processes and a handful of requests."""

import os

from ops.bench.rig import Cores
from ops.bench.rivals.rival import Launch, Rival
from ops.bench.routers.outcome import Traffic
from ops.bench.routers.rig import Plan, run
from ops.bench.routers.routers import OURS, ROUND_ROBIN
from ops.bench.routers.trace import Ask

CORE = min(os.sched_getaffinity(0))
CORES = Cores(CORE, CORE, CORE)
#: The same two blocks again and again, far enough apart to be found.
ASKS = tuple(Ask(0.5 * number, 1_100, 20, (1, 2, 3 + number)) for number in range(6))


def plan(*routers: Rival) -> Plan:
    return Plan(ASKS, tuple((router, Traffic(1.0)) for router in routers), 1, CORES)


def test_our_gateway_keeps_a_prefix_together_where_taking_turns_does_not() -> None:
    said: list[str] = []

    (turns, ours), skipped = run(plan(ROUND_ROBIN, OURS), said.append)

    assert not skipped
    assert (turns.router, ours.router) == ("round robin", "flotilla")
    assert turns.requests == ours.requests == len(ASKS)
    assert not turns.errors
    assert not ours.errors
    assert turns.hit_rate == 0
    assert ours.hit_rate > 0.5
    assert len(said) == 2


def test_a_router_that_does_not_start_is_skipped_with_its_last_words() -> None:
    broken = Rival("broken", "", lambda site: Launch((str(site.python), "-c", "exit('no luck')")))

    outcomes, skipped = run(plan(broken), lambda text: None)

    assert outcomes == ()
    assert skipped == {"broken": "ended with 1: no luck"}
