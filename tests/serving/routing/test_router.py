"""Where a request goes: sticky until that costs more than it saves, alike in every gateway."""

import random
from collections import Counter
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from serving.routing.breaker import Breaker
from serving.routing.prefix import of_block_ids, of_session
from serving.routing.route import Answer, Ask, Choice, Dice, Router
from serving.routing.table import Slot, Table
from serving.snapshot import Load, Phase, ReplicaReport
from tests.serving.reports import replica

BLOCK = 512


def report(number: int, phase: Phase = Phase.READY, load: Load | None = None) -> ReplicaReport:
    return replica(f"m.{number}", "-x", phase, load)


def replicas(count: int, load: Load | None = None) -> list[Slot]:
    table = Table()
    table.apply([report(number, load=load) for number in range(count)], 0.0, lambda slot: None)
    return table.of("m")


def prompt(*ids: int, tenant: str = "key") -> Ask:
    return Ask(BLOCK * len(ids), prefix=of_block_ids(f"{tenant} m", ids, BLOCK, BLOCK * len(ids)))


def choose(router: Router, slots: list[Slot], ask: Ask) -> Choice:
    choice = router.choose(slots, ask, (), 0.0, lambda count: 0)
    assert choice is not None
    return choice


def served(router: Router, slots: list[Slot], ask: Ask, cached: int = 0) -> Slot:
    """A request from its choice to its complete answer."""
    choice = choose(router, slots, ask)
    with closing(router.send(choice)) as flight:
        flight.began()
    router.learn(choice, Answer(int(ask.prompt_tokens), cached, 100))
    return choice.slot


def test_a_conversation_stays_where_its_beginning_is() -> None:
    router, slots = Router(), replicas(8)
    first = served(router, slots, prompt(1, 2))
    busy = choose(router, slots, prompt(1, 2, 3))
    assert busy.slot is first
    assert busy.claimed_tokens == 2 * BLOCK
    assert busy.prompt_tokens == BLOCK


def test_a_saturated_holder_is_left_for_whoever_has_least_to_do() -> None:
    router, slots = Router(), replicas(3)
    holder = served(router, slots, prompt(1, 2, 3, 4))
    others = [slot for slot in slots if slot is not holder]
    others[0].ahead_tokens = 10.0
    holder.ahead_tokens = 3 * BLOCK
    assert choose(router, slots, prompt(1, 2, 3, 4)).slot is holder
    holder.ahead_tokens = 1_000 * BLOCK
    others[1].ahead_tokens = 900 * BLOCK
    assert choose(router, slots, prompt(1, 2, 3, 4)).slot is others[0]


def test_the_busier_all_are_the_longer_is_it_worth_staying() -> None:
    router, slots = Router(), replicas(2)
    holder = served(router, slots, prompt(1, 2))
    other = next(slot for slot in slots if slot is not holder)
    holder.ahead_tokens, other.ahead_tokens = 3 * BLOCK, 0.0
    assert choose(router, slots, prompt(1, 2)).slot is other
    holder.ahead_tokens, other.ahead_tokens = 23 * BLOCK, 20 * BLOCK
    assert choose(router, slots, prompt(1, 2)).slot is holder


def test_a_common_beginning_does_not_glue_everything_to_one_replica() -> None:
    router, slots, taken = Router(), replicas(8), Counter[str]()
    with ExitStack() as in_flight:
        for number in range(160):
            choice = choose(router, slots, prompt(0, 1, 2, 1_000 + number))
            in_flight.enter_context(closing(router.send(choice)))
            taken[choice.slot.replica_id] += 1
    assert len(taken) == 8
    assert max(taken.values()) <= 30


def test_a_replica_whose_claims_are_not_kept_loses_its_pull() -> None:
    router, slots = Router(), replicas(2)
    holder = served(router, slots, prompt(1, 2))
    for _ in range(60):
        choice = choose(router, [holder], prompt(1, 2))
        router.send(choice).close()
        router.learn(choice, Answer(2 * BLOCK, 0, 100))
    holder.ahead_tokens = 10.0
    assert choose(router, slots, prompt(1, 2)).slot is not holder


def test_an_engine_that_does_not_say_what_it_had_changes_no_credit() -> None:
    router, slots = Router(), replicas(2)
    holder = served(router, slots, prompt(1, 2))
    choice = choose(router, [holder], prompt(1, 2))
    router.learn(choice, Answer(2 * BLOCK, None, 100))
    assert router.index.credit(holder.replica_id) == 1.0


def test_a_replica_that_left_pulls_nobody() -> None:
    router, slots = Router(), replicas(2)
    holder = served(router, slots, prompt(1, 2))
    router.forget(holder.replica_id)
    holder.ahead_tokens = 10.0
    assert choose(router, slots, prompt(1, 2)).slot is not holder


def test_what_another_tenant_sent_pulls_nobody() -> None:
    router, slots = Router(), replicas(2)
    holder = served(router, slots, prompt(1, 2, tenant="one"))
    holder.ahead_tokens = 10.0
    assert choose(router, slots, prompt(1, 2, tenant="one")).slot is holder
    assert choose(router, slots, prompt(1, 2, tenant="other")).slot is not holder


def test_a_session_has_one_home_in_every_gateway_and_sessions_spread() -> None:
    homes = set()
    for number in range(50):
        session = of_session("key m", b"session-%d" % number)
        asks = [replace(prompt(number, turn), session=session) for turn in (1, 2)]
        chosen = {choose(Router(), replicas(8), ask).slot.replica_id for ask in asks}
        assert len(chosen) == 1
        homes |= chosen
    assert len(homes) == 8


def test_a_session_leaves_a_saturated_home_and_stays_where_it_went() -> None:
    router, slots = Router(), replicas(4)
    ask = replace(prompt(1, 2), session=of_session("key m", b"s"))
    home = choose(router, slots, ask).slot
    home.ahead_tokens = 100.0
    assert choose(router, slots, ask).slot is home
    home.ahead_tokens = 100 * BLOCK
    refuge = served(router, slots, ask)
    assert refuge is not home
    home.ahead_tokens = 0.0
    assert choose(router, slots, ask).slot is refuge


def test_gateways_that_share_the_traffic_agree_on_a_home_although_their_loads_differ() -> None:
    busy = Load(running=20)
    chosen = set()
    for seed in range(20):
        slots = replicas(8, busy)
        for _ in range(60):  # heartbeats until it is clear that others send nearly everything
            for number, slot in enumerate(slots):
                slot.update(report(number, load=busy))
        dice = random.Random(seed)  # noqa: S311
        for slot in slots:
            slot.ahead_tokens += dice.uniform(0, BLOCK)
        chosen.add(choose(Router(), slots, prompt(*range(40))).slot.replica_id)
    assert len(chosen) == 1


def test_behind_a_single_gateway_a_miss_goes_to_whoever_has_least_to_do() -> None:
    slots = replicas(8)
    for slot in slots[1:]:
        slot.ahead_tokens = 1.0
    for number in range(20):
        assert choose(Router(), slots, prompt(number, 1)).slot is slots[0]


def test_an_answer_counts_as_typical_but_never_as_more_than_was_allowed() -> None:
    router, slots = Router(), replicas(1)
    for _ in range(100):
        served(router, slots, prompt(1))
    assert choose(router, slots, prompt(1)).output_tokens == pytest.approx(100)
    ask = replace(prompt(1), most_output_tokens=7)
    assert choose(router, slots, ask).output_tokens == 7


def test_no_work_is_left_behind_when_all_have_ended() -> None:
    router, slots = Router(), replicas(2)
    with ExitStack() as in_flight:
        for number in range(10):
            flight = in_flight.enter_context(
                closing(router.send(choose(router, slots, prompt(number, 3))))
            )
            if number % 2:
                flight.began()
        assert sum(slot.in_flight for slot in slots) == 10
    assert [(slot.in_flight, slot.ahead_tokens) for slot in slots] == [(0, 0.0)] * 2


worlds = st.lists(
    st.tuples(st.sampled_from(Phase), st.floats(0, 1e6), st.floats(0, 10), st.booleans()),
    min_size=1,
    max_size=8,
)
prompts = st.lists(st.integers(0, 2), max_size=6)


def world(given_slots: list[tuple[Phase, float, float, bool]]) -> list[Slot]:
    slots = []
    for number, (phase, ahead, suspect, is_listed) in enumerate(given_slots):
        slot = Slot(report(number, phase), breaker=Breaker(out_until_s=suspect), ahead_tokens=ahead)
        slot.unlisted_s = 0.0 if is_listed else 1.0
        slots.append(slot)
    return slots


@given(worlds, st.sets(st.integers(0, 7)), st.lists(st.tuples(st.integers(0, 7), prompts)), prompts)
def test_it_always_routes_when_one_is_open_and_never_to_one_that_is_not(
    given_slots: list[tuple[Phase, float, float, bool]],
    numbers: set[int],
    past: list[tuple[int, list[int]]],
    ids: list[int],
) -> None:
    slots, router = world(given_slots), Router()
    for number, before in past:
        router.index.record(f"m.{number}-x", prompt(*before).prefix)
    tried = {f"m.{number}-x" for number in numbers}
    able = [slot for slot in slots if slot.is_ready and slot.replica_id not in tried]
    choice = router.choose(slots, prompt(*ids), tried, 5.0, lambda count: count - 1)
    assert (choice is None) is (able == [])
    if choice is not None:
        assert choice.slot in able
        assert 0 <= choice.prompt_tokens <= BLOCK * len(ids)


@given(worlds, st.lists(st.tuples(st.integers(0, 7), prompts)), prompts)
def test_the_same_key_and_the_same_loads_give_the_same_choice_in_two_gateways(
    given_slots: list[tuple[Phase, float, float, bool]],
    past: list[tuple[int, list[int]]],
    ids: list[int],
) -> None:
    dices: list[Dice] = [lambda count: 0, lambda count: count - 1]
    choices = []
    for dice in dices:
        router = Router()
        for number, before in past:
            router.index.record(f"m.{number}-x", prompt(*before).prefix)
        choices.append(router.choose(world(given_slots), prompt(9, *ids), (), 5.0, dice))
    one, other = (choice and choice.slot.replica_id for choice in choices)
    assert one == other


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), prompts)),
    prompts,
)
def test_a_saturated_holder_is_left_whatever_it_holds(
    ahead: list[float], past: list[tuple[int, list[int]]], ids: list[int]
) -> None:
    router, slots = Router(), replicas(len(ahead))
    for slot, tokens in zip(slots, ahead, strict=True):
        slot.ahead_tokens = tokens
    for number, before in past:
        router.index.record(f"m.{number}-x", prompt(*before).prefix)
    ask = prompt(*ids)
    most = ask.prompt_tokens + 3 * min(ahead)
    assert choose(router, slots, ask).slot.ahead_tokens <= most * 1.001 + 0.001


@given(st.lists(prompts, min_size=1, max_size=20), st.integers(2, 6), st.integers(0, 9))
def test_no_replica_starves_while_requests_pile_up(
    asks: list[list[int]], count: int, seed: int
) -> None:
    router, slots = Router(), replicas(count)
    dice = random.Random(seed)  # noqa: S311
    taken = Counter[str]()
    with ExitStack() as in_flight:
        for turn in range(40 * count):
            ask = prompt(*asks[turn % len(asks)])
            choice = router.choose(slots, ask, (), 0.0, dice.randrange)
            assert choice is not None
            in_flight.enter_context(closing(router.send(choice)))
            taken[choice.slot.replica_id] += 1
    assert len(taken) == count


@pytest.mark.parametrize("seed", range(5))
def test_an_idle_fleet_is_used_evenly_by_prompts_that_share_nothing(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    router, slots, taken = Router(), replicas(4), Counter[str]()
    for _ in range(400):
        taken[served(router, slots, prompt(dice.getrandbits(40), 1)).replica_id] += 1
    assert min(taken.values()) >= 60
