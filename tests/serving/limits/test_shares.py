"""Several gateways keep one limit together, whatever comes and whatever is lost on the way."""

import random
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serving.limits import gate
from serving.limits.account import Hold
from serving.limits.gate import Gate
from serving.limits.lease import LEASE_S, Lease, ShareReport, Use
from serving.limits.lender import SETTLE_S, Lender
from serving.limits.terms import Limits
from serving.limits.window import WINDOW_S
from serving.snapshot import KeyRecord
from tests.serving.limits.clock import Clock
from tests.serving.limits.site import AT_ONCE, Job, Site

LIMIT = 40
TOKENS = 4_000
PLACES = st.integers(0, 3)
LASTS_S = st.one_of(st.just(0.1), st.floats(0.1, WINDOW_S))
JOBS = st.builds(
    lambda prompt, answer, read, made, lasts_s: Job(
        prompt, answer, int(prompt * read), int(answer * made), lasts_s
    ),
    st.integers(0, 2_000),
    st.integers(0, 1_024),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 2 * WINDOW_S),
)


class Gateways(RuleBasedStateMachine):
    """An adversary asks where it likes, answers get lost, reports overtake each other, gateways
    join, leave and die, and the Controller restarts.
    """

    limits = Limits(requests_per_minute=LIMIT, concurrent=LIMIT)

    def __init__(self) -> None:
        super().__init__()
        self.site = Site(4, self.limits)
        self.late: list[ShareReport] = []
        self.died_s = 0.0

    def name(self, place: int) -> str:
        names = list(self.site.gates)
        return names[place % len(names)]

    @rule(place=PLACES, requests=st.integers(1, 60), job=st.just(AT_ONCE))
    def ask(self, place: int, requests: int, job: Job) -> None:
        for _ in range(requests):
            self.site.ask(self.name(place), job)

    @rule(seconds=st.one_of(st.floats(0, 2), st.floats(50, 70), st.just(LEASE_S)))
    def wait(self, seconds: float) -> None:
        self.site.clock.pass_(seconds)
        self.site.work()

    @rule(rounds=st.integers(1, 4))
    def poll_all(self, rounds: int) -> None:
        self.site.poll_all(rounds)

    @rule(place=PLACES)
    def poll(self, place: int) -> None:
        self.site.poll(self.name(place))

    @rule(place=PLACES)
    def lose_an_answer(self, place: int) -> None:
        name = self.name(place)
        self.site.lender.lend(self.site.gates[name].report(name), self.site.clock())

    @rule(place=PLACES)
    def delay_a_report(self, place: int) -> None:
        name = self.name(place)
        self.late.append(self.site.gates[name].report(name))

    @precondition(lambda self: self.late)
    @rule()
    def deliver_what_was_late(self) -> None:
        report = self.late.pop()
        if report.gateway_id in self.site.gates:
            overtaken = self.site.gates[report.gateway_id].report(report.gateway_id)
            self.site.lender.lend(overtaken, self.site.clock())
            assert self.site.lender.lend(report, self.site.clock()) is None

    @precondition(lambda self: len(self.site.gates) < 4)
    @rule()
    def join(self) -> None:
        self.site.join()

    @precondition(lambda self: len(self.site.gates) > 1)
    @rule(place=PLACES)
    def leave(self, place: int) -> None:
        name = self.name(place)
        self.site.cut(name)
        last = self.site.gates.pop(name).report(name, is_leaving=True)
        self.site.lender.lend(last, self.site.clock())
        self.died_s = self.site.clock()

    @precondition(lambda self: len(self.site.gates) > 1)
    @rule(place=PLACES)
    def die(self, place: int) -> None:
        name = self.name(place)
        self.site.cut(name)
        del self.site.gates[name]
        self.died_s = self.site.clock()

    @rule(away_s=st.floats(0, 30))
    def restart_the_controller(self, away_s: float) -> None:
        lent = self.site.lender.lent(self.site.clock())
        self.site.clock.pass_(away_s)
        self.site.work()
        kept = (replace(each, left_s=each.left_s - away_s) for each in lent)
        self.site.lender = Lender(self.site.clock(), kept)

    @precondition(lambda self: self.site.clock() - self.died_s > LEASE_S + WINDOW_S)
    @rule()
    def restart_the_controller_without_what_it_kept(self) -> None:
        self.site.lender = Lender(self.site.clock())
        self.late.clear()
        self.site.poll_all()
        self.site.clock.pass_(SETTLE_S)

    @invariant()
    def shares_never_add_up_to_more_than_the_whole(self) -> None:
        assert sum(map(self.site.held, self.site.gates)) <= 1 + 1e-9

    @invariant()
    def what_is_used_is_within_the_limit(self) -> None:
        """And one request a gateway."""
        minute = self.site.last_minute()
        assert len(minute) <= LIMIT + len({each.name for each in minute})


Gateways.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestGateways = Gateways.TestCase


class GatewaysOfTokens(Gateways):
    """Requests that reserve more than they use, and of which some are longer than a minute."""

    limits = Limits(tokens_per_minute=TOKENS)

    @rule(place=PLACES, requests=st.integers(1, 20), job=JOBS)
    def ask(self, place: int, requests: int, job: Job) -> None:
        super().ask(place, requests, job)

    @invariant()
    def what_is_used_is_within_the_limit(self) -> None:
        """Without the largest request of each gateway."""
        minute = self.site.last_minute()
        largest: dict[str, int] = {}
        for each in minute:
            largest[each.name] = max(largest.get(each.name, 0), each.tokens)
        assert sum(each.tokens for each in minute) - sum(largest.values()) < TOKENS


GatewaysOfTokens.TestCase.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None
)
TestGatewaysOfTokens = GatewaysOfTokens.TestCase


class GatewaysOfWhatRuns(Gateways):
    limits = Limits(concurrent=LIMIT)

    @rule(place=PLACES, requests=st.integers(1, 60), job=st.builds(Job, lasts_s=LASTS_S))
    def ask(self, place: int, requests: int, job: Job) -> None:
        super().ask(place, requests, job)

    @invariant()
    def what_is_used_is_within_the_limit(self) -> None:
        running = self.site.running
        assert len(running) < LIMIT + max(1, len({each.name for each in running}))


GatewaysOfWhatRuns.TestCase.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None
)
TestGatewaysOfWhatRuns = GatewaysOfWhatRuns.TestCase


def busiest_minute(site: Site) -> int:
    times = [at_s for at_s, _ in site.let_in]
    return max(sum(end_s - WINDOW_S < at_s <= end_s for at_s in times) for end_s in times)


def test_what_one_gateway_does_not_use_is_the_others_within_seconds() -> None:
    site = Site(4, Limits(requests_per_minute=LIMIT))
    site.poll_all(4)
    while site.ask("g0"):
        pass
    assert len(site.let_in) == LIMIT / 4
    for _ in range(8):
        site.poll_all()
        while site.ask("g0"):
            pass
    assert len(site.let_in) == LIMIT


@pytest.mark.parametrize(("turn_steps", "least"), [(1_000, 0.9), (60, 0.8)])
@pytest.mark.parametrize("seed", range(3))
def test_wherever_many_ask_a_minute_holds_the_limit_within_five_percent(
    seed: int, turn_steps: int, least: float
) -> None:
    """Far more is asked for than is allowed, and where it is asked for turns with the steps."""
    limit, dice = 300, random.Random(seed)  # noqa: S311 - not a secret
    site = Site(4, Limits(requests_per_minute=limit))
    site.poll_all(4)
    weights = [1.0] * 4
    for step in range(400):
        if step % turn_steps == 0:
            weights = [dice.random() ** 4 for _ in site.gates]
        for name in dice.choices(list(site.gates), weights, k=8):
            site.ask(name)
        site.poll_all()
    assert busiest_minute(site) <= limit * 1.05
    lately = sum(site.clock() - 2 * (WINDOW_S + 1) < at_s for at_s, _ in site.let_in)
    assert lately >= 2 * limit * least


def test_without_the_controller_a_gateway_keeps_its_last_share_and_then_has_none() -> None:
    site = Site(4, Limits(requests_per_minute=LIMIT))
    site.poll_all(4)
    site.clock.pass_(LEASE_S - 4)
    let_in = sum(site.ask("g0") for _ in range(LIMIT))
    assert let_in == LIMIT / 4
    site.clock.pass_(4)
    assert not site.ask("g0")


def test_a_new_gateway_has_no_share_before_the_others_have_given_it_up() -> None:
    site = Site(2, Limits(requests_per_minute=LIMIT))
    site.poll_all(4)
    new = site.join()
    assert not site.ask(new)
    site.poll(new)
    assert not site.ask(new)
    site.poll_all(3)
    assert site.ask(new)
    assert sum(map(site.held, site.gates)) == pytest.approx(1)


def test_of_a_gateway_that_leaves_the_others_have_the_share_after_a_minute() -> None:
    site = Site(2, Limits(requests_per_minute=LIMIT))
    site.poll_all(4)
    site.lender.lend(site.gates.pop("g1").report("g1", is_leaving=True), site.clock())
    site.poll_all(4)
    assert site.held("g0") == 0.5
    site.poll_all(2 * WINDOW_S)
    assert site.held("g0") == 1.0


def test_a_controller_that_has_just_started_lends_nothing_before_all_have_reported() -> None:
    site = Site(2, Limits(requests_per_minute=LIMIT))
    site.poll_all(4)
    site.lender = Lender(site.clock())
    new = site.join()
    site.poll_all(2)
    assert not site.ask(new)
    assert site.ask("g0")
    site.poll_all(12)
    assert site.ask(new)


def test_a_controller_that_starts_knows_what_a_gateway_used_that_was_killed_before() -> None:
    site = Site(2, Limits(requests_per_minute=LIMIT))
    site.poll_all(4)
    while site.ask("g1"):
        pass
    del site.gates["g1"]
    site.lender = Lender(site.clock(), site.lender.lent(site.clock()))
    for _ in range(30):
        site.poll_all()
        while site.ask("g0"):
            pass
    assert busiest_minute(site) <= LIMIT + 1
    site.poll_all(2 * int(LEASE_S + WINDOW_S))
    assert site.held("g0") == 1.0


def test_a_key_that_nobody_uses_any_more_costs_no_words() -> None:
    site = Site(3, Limits(requests_per_minute=LIMIT))
    site.poll_all(4)
    site.ask("g0")
    site.poll_all(2)
    assert site.gates["g1"].report("g1").uses
    site.poll_all(3 * WINDOW_S)
    assert [site.gates[name].report(name).uses for name in site.gates] == [(), (), ()]
    assert [site.held(name) for name in site.gates] == pytest.approx([1 / 3] * 3)


def test_the_use_beyond_a_full_report_is_told_as_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_HOLDERS", 1)
    one = Gate(Clock())
    limits = Limits(requests_per_minute=10)
    one.set_keys([KeyRecord(name, name, b"", 0, limits) for name in "ab"], [])
    one.take(Lease(0.5))
    for name, requests in (("a", 3), ("b", 4)):
        account = one.account(name)
        for _ in range(requests):
            Hold((account,), 0, 0)
    one.take(Lease(0.2))
    report = one.report("g")
    assert (report.base, [use.holder for use in report.uses]) == (0.3, ["b"])


def test_many_gateways_and_keys_report_less_often() -> None:
    lender = Lender(-SETTLE_S)
    uses = tuple(Use(f"k{number}", 0.0, 0.1) for number in range(500))
    leases = [lender.lend(ShareReport(f"g{n}", 1, 0.0, uses), 0.0) for n in range(30)]
    periods_s = [lease.again_in_s for lease in leases if lease is not None]
    assert periods_s[0] == 0.5
    assert 2.0 < periods_s[-1] < 3.0
