"""What a gateway may have at the replicas of a model."""

from dataclasses import replace
from math import inf

import pytest

from serving.fairness.places import AHEAD_SHARE, NO_BOUND, PROMPT_TOKENS, places
from serving.routing.breaker import Breaker
from serving.routing.table import Slot
from serving.snapshot import Load, Phase
from tests.serving.reports import replica


def slot(most_running: int = 16, load: Load | None = None, phase: Phase = Phase.READY) -> Slot:
    report = replace(replica(phase=phase), most_running=most_running, load=load or Load())
    made = Slot(report)
    made.update(report)
    return made


def test_replicas_take_what_they_run_and_a_few_more() -> None:
    found = places([slot(), slot(32)], 0.0)
    assert found.requests == 48 * (1 + AHEAD_SHARE)
    assert found.prompt_tokens == 2 * PROMPT_TOKENS


def test_what_other_gateways_sent_is_theirs() -> None:
    one = slot(load=Load(running=6))
    assert places([one], 0.0).requests == pytest.approx(17 - 6)
    one.traffic.others_share = 0.75
    assert places([one], 0.0).requests == pytest.approx(17 / 2)
    assert places([one], 0.0).prompt_tokens == PROMPT_TOKENS / 2


def test_who_may_not_be_asked_has_no_place() -> None:
    broken, unlisted = slot(), slot()
    broken.breaker = Breaker(out_until_s=9.0)
    unlisted.unlisted_s = 1.0
    able = slot()
    assert places([broken, unlisted, slot(phase=Phase.STARTING), able], 0.0) == places([able], 0.0)


def test_without_a_replica_or_its_word_nothing_is_bounded() -> None:
    assert places([], 0.0) == NO_BOUND
    assert places([slot(0), slot(8)], 0.0).requests == inf
