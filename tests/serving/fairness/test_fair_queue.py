"""Turns at a saturated model: fair by tokens, without starvation, inside bounds, each once."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.fairness import fair_queue
from serving.fairness.claim import Claim, Places
from serving.fairness.fair_queue import LEAST_WAITING, FairQueue, Full, Ticket
from serving.limits.terms import Priority

STANDARD = Priority.STANDARD


def claim(  # noqa: PLR0913 - what tests turn, by name
    tenant: str = "a",
    tokens: float = 10,
    *,
    weight: int = 1,
    priority: Priority = STANDARD,
    prompt_tokens: float = 0,
    body_bytes: int = 1,
) -> Claim:
    return Claim(tenant, weight, priority, prompt_tokens, tokens - prompt_tokens, body_bytes)


class Endless(FairQueue[int]):
    """For what is not about bounds."""

    def has_room(self, tenant_name: str, body_bytes: int, places: Places) -> bool:
        return True


@dataclass
class Model:
    """A saturated model: so many places, and a log of whose turns came."""

    places: Places = field(default_factory=lambda: Places(1, 1_000))
    queue: FairQueue[int] = field(default_factory=Endless)
    now_s: float = 0.0
    turns: list[Claim] = field(default_factory=list)

    def arrive(self, asked: Claim) -> Ticket[int] | None:
        """The ticket of one that waits; None of one that goes at once."""
        if self.queue.goes_at_once(asked, self.places, self.now_s):
            return None
        return self.queue.add(asked, 0, self.places, self.now_s)

    def end(self, ended: Claim, tokens: float | None = None) -> None:
        """One ends, and whoever is next goes."""
        self.queue.began(ended)
        self.queue.ended(ended, ended.tokens if tokens is None else tokens)
        self.serve()

    def serve(self) -> None:
        while (ticket := self.queue.next(self.places)) is not None:
            self.turns.append(ticket.claim)

    def work_off(self, turns: int | None = None) -> None:
        """One after the other, while anybody waits or for so many turns."""
        while self.queue.waiting and (turns is None or len(self.turns) < turns):
            self.end(self.turns[-1])


def saturated(*claims: Claim, places: Places | None = None) -> Model:
    """One runs and all of these wait."""
    model = Model() if places is None else Model(places)
    first = claim("first")
    assert model.arrive(first) is None
    for each in claims:
        assert model.arrive(each) is not None
    model.turns.append(first)
    return model


#: Of each tenant its weight and its requests, in tokens.
FLOWS = st.lists(
    st.tuples(st.integers(1, 4), st.lists(st.integers(1, 50), min_size=1, max_size=5)),
    min_size=2,
    max_size=4,
)


@given(FLOWS)
def test_while_two_tenants_wait_they_get_by_weight_within_one_largest_request(
    flows: list[tuple[int, list[int]]],
) -> None:
    waiting = [
        claim(str(name), tokens, weight=weight)
        for name, (weight, requests) in enumerate(flows)
        for tokens in requests
    ]
    model = saturated(*waiting)
    left = Counter(each.tenant for each in waiting)
    had: defaultdict[str, float] = defaultdict(float)
    while model.queue.waiting:
        before = len(model.turns)
        model.end(model.turns[-1])
        for each in model.turns[before:]:
            had[each.tenant] += each.tokens / each.weight
            left[each.tenant] -= 1
        behind = [name for name in left if left[name]]
        for one in behind:
            for other in behind:
                assert had[one] - had[other] <= 50 + 50


@given(FLOWS, st.data())
def test_each_request_leaves_once_and_nothing_is_left_behind(
    flows: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    model = saturated()
    tickets = [
        (each, model.arrive(each))
        for name, (weight, requests) in enumerate(flows)
        for tokens in requests
        for each in [claim(str(name), tokens, weight=weight)]
    ]
    gone = data.draw(st.lists(st.sampled_from(tickets), unique_by=id))
    for _, ticket in gone:
        assert ticket is not None
        model.queue.remove(ticket)
        model.queue.remove(ticket)
    model.work_off()
    model.end(model.turns[-1])
    assert len(model.turns) == 1 + len(tickets) - len(gone)
    queue = model.queue
    assert (queue.running, queue.waiting, queue.waiting_bytes, queue.prompt_tokens) == (0, 0, 0, 0)
    assert not any(ticket.is_waiting for _, ticket in tickets if ticket is not None)


def test_a_tenant_that_comes_late_is_next_and_does_not_wait_for_the_backlog() -> None:
    model = saturated(*[claim("noisy") for _ in range(10)])
    model.work_off(turns=4)
    model.arrive(claim("quiet"))
    model.work_off(turns=6)
    assert "quiet" in [each.tenant for each in model.turns]


def test_time_away_earns_nothing() -> None:
    model = saturated(*[claim("busy") for _ in range(12)])
    model.work_off(turns=6)
    for _ in range(5):
        model.arrive(claim("back"))
    model.work_off(turns=12)
    assert Counter(each.tenant for each in model.turns[6:]) == {"busy": 3, "back": 3}


def test_a_class_gets_more_and_takes_nobody_else_everything() -> None:
    urgent = [claim("a", priority=Priority.INTERACTIVE) for _ in range(12)]
    patient = [claim("b", priority=Priority.BATCH) for _ in range(3)]
    model = saturated(*urgent, *patient)
    model.work_off()
    first = [each.priority for each in model.turns[1:9]]
    assert first.count(Priority.BATCH) == 1


def test_a_tenant_is_charged_what_its_requests_really_cost() -> None:
    model = saturated(*[claim(name) for name in "ababab"])
    while model.queue.waiting:
        last = model.turns[-1]
        model.end(last, 50 if last.tenant == "a" else None)
    assert [each.tenant for each in model.turns[1:]] == ["a", "b", "b", "b", "a", "a"]


def test_whoever_is_alone_has_every_place() -> None:
    model = Model(Places(8, 1_000))
    assert [model.arrive(claim("a")) for _ in range(8)] == [None] * 8
    assert model.arrive(claim("a")) is not None


def test_the_last_places_are_for_those_who_had_less() -> None:
    model = Model(Places(8, 1_000))
    asked = claim("quiet")
    assert model.arrive(asked) is None
    model.end(asked)
    taken = [model.arrive(claim("noisy")) for _ in range(8)]
    assert taken.count(None) == 6
    assert model.queue.waiting == 2
    model.arrive(claim("quiet"))
    model.serve()
    assert [each.tenant for each in model.turns] == ["quiet"]


def test_when_all_wait_no_place_is_kept() -> None:
    model = Model(Places(8, 1_000))
    for _ in range(8):
        for name in "ab":
            model.arrive(claim(name))
            model.serve()
    assert model.queue.running == 8


def test_a_long_prompt_waits_until_the_others_are_computed_and_nobody_passes_it() -> None:
    model = Model(Places(8, 100))
    short = claim("a", 50, prompt_tokens=40)
    assert model.arrive(short) is None
    assert model.arrive(claim("b", 5_000, prompt_tokens=4_000)) is not None
    assert model.arrive(claim("a", 50, prompt_tokens=40)) is not None
    model.serve()
    assert model.turns == []
    model.queue.began(short)
    model.serve()
    assert [each.tenant for each in model.turns] == ["b"]


def test_one_request_always_goes_however_large_and_however_few_places() -> None:
    assert Model(Places(0.2, 10)).arrive(claim(prompt_tokens=10_000, tokens=10_001)) is None


def test_a_tenant_alone_fills_half_and_the_others_find_places() -> None:
    model = Model(queue=FairQueue())
    model.arrive(claim("first"))
    for _ in range(LEAST_WAITING // 2):
        model.arrive(claim("noisy"))
    with pytest.raises(Full):
        model.arrive(claim("noisy"))
    assert model.queue.waiting == LEAST_WAITING / 2
    for name in "bc":
        model.arrive(claim(name))
    assert model.queue.has_room("e", 1, model.places)


def test_where_more_run_more_may_wait() -> None:
    queue: FairQueue[int] = FairQueue()
    many = Places(400, 1_000)
    for _ in range(200):
        queue.add(claim(), 0, many, 0.0)
    with pytest.raises(Full):
        queue.add(claim(), 0, many, 0.0)


def test_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "MOST_BYTES", 100)
    model = Model(queue=FairQueue())
    for _ in range(2):
        model.arrive(claim("a", body_bytes=50))
    assert not model.queue.has_room("a", 1, model.places)
    assert model.queue.has_room("b", 50, model.places)
    assert not model.queue.has_room("b", 51, model.places)


def test_who_has_been_away_is_forgotten() -> None:
    model = Model(Places(8, 1_000))
    gone = claim("gone")
    model.arrive(gone)
    model.end(gone)
    model.now_s = 200.0
    assert [model.arrive(claim("a")) for _ in range(8)] == [None] * 8


def test_few_long_prompts_are_more_than_many_short_ones() -> None:
    """By requests the one with short prompts has the most, by tokens next to nothing."""
    model = Model(Places(8, 1e6))
    for name in ("away", "long", "short"):
        asked = claim(name)
        model.arrive(asked)
        model.end(asked)
    model.arrive(claim("long", 10_000))
    assert [model.arrive(claim("short", 10)) for _ in range(7)] == [None] * 7
