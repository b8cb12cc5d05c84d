"""Four gateways keep a limit of tokens, or of what runs at one time, where requests take their time
and come in now here, now there: no more than is allowed is used, and not much less.
"""

import random
from collections.abc import Callable
from itertools import accumulate

import pytest

from serving.limits.terms import Limits
from serving.limits.window import WINDOW_S
from tests.serving.limits.site import Charge, Job, Site

Make = Callable[[random.Random], Job]

#: Steps of half a second: four minutes.
STEPS = 480
#: Of the steps between one spread over the gateways and the next: none, half a minute, 5 s.
TURNS = (1_000, 60, 10)
#: Tokens that one of the requests below reserves at most.
LARGEST = 400 + 1_024


def answered(dice: random.Random) -> Job:
    """Reserves a byte for a token and the most that may be answered; one in five is abandoned, one
    in twenty is a whole answer that nobody waited for, which costs what it reserved.
    """
    prompt, answer = dice.randint(40, LARGEST - 1_024), dice.choice((64, 256, 1_024))
    made = dice.randint(1, answer)
    lasts_s = made / dice.uniform(30, 100)
    fate = dice.random()
    if fate < 0.05:
        return Job(prompt, answer, prompt, answer, lasts_s)
    if fate < 0.25:
        part = dice.random()
        made, lasts_s = int(made * part), lasts_s * part
    return Job(prompt, answer, prompt // 4, made, lasts_s)


def running_on(dice: random.Random) -> Job:
    """One in three makes up to four times what was reserved."""
    job = answered(dice)
    if dice.random() > 1 / 3:
        return job
    made = dice.randint(job.answer, 4 * job.answer)
    return Job(job.prompt, job.answer, job.read, made, made / dice.uniform(30, 100))


def lasting(dice: random.Random) -> Job:
    """From a tenth of a second to a minute; as many short ones as long ones."""
    return Job(lasts_s=0.1 * 600 ** dice.random())


def load(site: Site, make: Make, turn_steps: int, per_step: int, seed: int) -> list[int]:
    """How many run after each step."""
    dice, found = random.Random(seed), list[int]()  # noqa: S311 - not a secret
    weights = [1.0] * len(site.gates)
    site.poll_all(4)
    for step in range(STEPS):
        if step % turn_steps == 0:
            weights = [dice.random() ** 4 for _ in site.gates]
        site.work()
        for name in dice.choices(list(site.gates), weights, k=per_step):
            site.ask(name, make(dice))
        found.append(len(site.running))
        site.poll_all()
    return found


def busiest_minute(site: Site, charges: list[Charge]) -> int:
    """By the clock's turns, of which each is half a second."""
    per_turn = dict.fromkeys(range(STEPS + 8), 0)
    for each in charges:
        per_turn[round((each.at_s - 1_000.0) * 2)] += each.tokens
    sums = list(accumulate(per_turn.values(), initial=0))
    return max(end - begin for begin, end in zip(sums, sums[2 * WINDOW_S :], strict=False))


def lately(site: Site, charges: list[Charge]) -> float:
    """Tokens a minute, in the last two."""
    since_s = site.clock() - 2 * (WINDOW_S + 1)
    return sum(each.tokens for each in charges if each.at_s > since_s) / 2


@pytest.mark.parametrize(("limit", "per_step"), [(24_000, 2), (240_000, 16)])
@pytest.mark.parametrize("turn_steps", TURNS)
@pytest.mark.parametrize("seed", range(2))
def test_a_minute_holds_the_tokens_allowed_and_more_than_nine_in_ten_of_them(
    limit: int, per_step: int, turn_steps: int, seed: int
) -> None:
    """Within 5 %, or one request a gateway where that is more."""
    site = Site(4, Limits(tokens_per_minute=limit))
    load(site, answered, turn_steps, per_step, seed)
    assert busiest_minute(site, site.charges) <= max(1.05 * limit, limit + 4 * LARGEST)
    assert lately(site, site.charges) >= 0.9 * limit


@pytest.mark.parametrize("turn_steps", TURNS)
def test_what_streams_make_beyond_their_reservation_is_over_the_limit_and_paid_for_later(
    turn_steps: int,
) -> None:
    limit = 240_000
    site = Site(4, Limits(tokens_per_minute=limit))
    load(site, running_on, turn_steps, 16, turn_steps)
    assert busiest_minute(site, site.grown) > 0.3 * limit
    assert busiest_minute(site, site.charges) <= 1.05 * limit
    assert 0.9 * limit <= lately(site, site.charges + site.grown) <= 1.05 * limit


@pytest.mark.parametrize(("limit", "per_step"), [(20, 2), (100, 9)])
@pytest.mark.parametrize("turn_steps", TURNS)
def test_no_more_run_than_allowed_and_one_a_gateway_and_hardly_fewer(
    limit: int, per_step: int, turn_steps: int
) -> None:
    site = Site(4, Limits(concurrent=limit))
    running = load(site, lasting, turn_steps, per_step, turn_steps)
    assert max(running) < limit + 4
    lately = running[-2 * WINDOW_S :]
    assert sum(lately) >= 0.85 * limit * len(lately)


def test_a_gateway_that_is_new_to_a_limit_of_tokens_gets_its_part_within_a_minute() -> None:
    """What it refuses is wanted as much as what the other lets in. At each of them twice as much is
    asked for as is allowed.
    """
    site, job = Site(4, Limits(tokens_per_minute=600_000)), Job(prompt=100, read=100)
    site.poll_all(4)
    for names in (("g0",), ("g0", "g1")):
        for _ in range(4 * WINDOW_S):
            for name in names:
                for _ in range(100):
                    site.ask(name, job)
            site.poll_all()
    since_s = site.clock() - WINDOW_S
    let_in = [name for at_s, name in site.let_in if at_s > since_s]
    assert let_in.count("g1") > 0.3 * len(let_in)
