"""What a replica is worth to the autoscaler, from the fleet and from the accelerators it has."""

import pytest

from deployments.facts import facts_of
from deployments.need import needs_of
from deployments.terms import terms_of
from tests.deployments.fleets import fleet_of
from tests.deployments.test_plan import nodes


def sequences(body: str) -> int:
    fleet, inventory = fleet_of(f"models:\n  llama3.1-8b-instruct: {body}\n"), nodes(8)
    needs = needs_of(fleet, inventory, facts_of(fleet, inventory))
    return terms_of(fleet, needs)["llama3.1-8b-instruct"].sequences


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", 1024),
        ("{engine: {max_num_seqs: 16}}", 16),
    ],
)
def test_an_engine_takes_what_the_fleet_says_or_vllms_default_for_its_accelerator(
    body: str, expected: int
) -> None:
    assert sequences(body) == expected
