"""What must hold between the models of a fleet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import FleetInvalid
from deployments.fleet import Fleet
from deployments.model import Unavailable
from tests.deployments.fleets import fleet_of

OWNER = """
models:
  big: {source: org/big, max_model_len: 100, aliases: [b]}
  gone: {unavailable: nobody has its weights}
"""


def said(more: str, text: str = OWNER) -> list[str]:
    with pytest.raises(FleetInvalid) as caught:
        fleet_of(text + more)
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("x: {source: o/x, max_model_len: 9, fallback: bigg}", "did you mean `big`?"),
        ("x: {source: o/x, max_model_len: 9, fallback: b}", "`b` is an alias; name the model"),
        ("x: {source: o/x, max_model_len: 9, fallback: gone}", "`gone` is not servable"),
        ("x: {source: o/x, max_model_len: 9, fallback: x}", "is the model itself"),
        ("x: {source: o/x, max_model_len: 101, fallback: big}", "100 is not larger than 101"),
        ("x: {source: o/x, max_model_len: 100, fallback: big}", "100 is not larger than 100"),
        ("x: {replicas_of: nope, max_model_len: 9}", "there is no model `nope`"),
        ("x: {replicas_of: gone, max_model_len: 9}", "`gone` is not servable"),
        ("x: {replicas_of: big, max_model_len: 101}", "101 is more than the 100 of `big`"),
        ("x: {source: o/x, max_model_len: 9, aliases: [b]}", "`b` is given more than once"),
        ("x: {source: o/x, max_model_len: 9, aliases: [big]}", "`big` is given more than once"),
        ("x: {source: o/x, max_model_len: 9, aliases: [x]}", "`x` is given more than once"),
        ("x: {source: o/x, max_model_len: 9, stage_placement: spread}", "nothing to spread"),
        ("o/x: {source: o/x, max_model_len: 9}", "make this name an alias"),
        ("x: {source: o/x, max_model_len: 9, engine: {block_size: 0}}", "`block_size` must be"),
        (
            "x: {source: o/x, max_model_len: 9, engine: {gpu_memory_utilization: 2}}",
            "`gpu_memory_utilization` must be above 0 and at most 1",
        ),
        ("x: {source: o/x, max_model_len: 9, replicas: {min: 3, max: 2}}", "min (3) is above max"),
    ],
)
def test_a_rule_that_is_broken_is_named(model: str, message: str) -> None:
    assert any(message in text for text in said(f"  {model}\n"))


def test_replicas_are_shared_with_the_owner_only() -> None:
    chain = "  y: {replicas_of: x, max_model_len: 5}\n  x: {replicas_of: big, max_model_len: 9}\n"
    assert said(chain) == ["has no replicas of its own; name `big`"]


def test_a_cycle_of_fallbacks_cannot_be_written() -> None:
    cycle = (
        "  x: {source: o/x, max_model_len: 9, fallback: y}\n"
        "  y: {source: o/y, max_model_len: 10, fallback: x}\n"
    )
    assert said(cycle) == ["its window of 9 is not larger than 10"]


def test_a_name_with_a_slash_is_fine_for_a_model_without_replicas_and_as_an_alias() -> None:
    made = fleet_of(OWNER + "  org/x: {replicas_of: big, max_model_len: 9, aliases: ['o/y:z']}\n")
    assert list(made.models) == ["big", "gone", "org/x"]


def test_on_cpu_an_engine_is_told_its_memory() -> None:
    assert "kv_cache_memory_bytes" in said("device: cpu\n", OWNER)[0]
    assert fleet_of(OWNER).device == "gpu"


NAMES = ["a", "b", "c", "d"]
MODELS = st.dictionaries(
    st.sampled_from(NAMES),
    st.fixed_dictionaries(
        {"source": st.just("o/x"), "max_model_len": st.integers(1, 5)},
        optional={"fallback": st.sampled_from(NAMES), "aliases": st.lists(st.sampled_from("abxy"))},
    )
    | st.fixed_dictionaries(
        {"replicas_of": st.sampled_from(NAMES), "max_model_len": st.integers(1, 5)},
        optional={"fallback": st.sampled_from(NAMES)},
    )
    | st.just({"unavailable": "no"}),
    min_size=1,
)


@given(MODELS)
def test_in_a_fleet_that_is_accepted_every_name_means_one_model_and_every_fallback_grows(
    models: dict[str, object],
) -> None:
    try:
        fleet = Fleet.model_validate({"models": models})
    except FleetInvalid:
        return
    names = [*fleet.models, *(alias for model in fleet.models.values() for alias in model.aliases)]
    assert len(names) == len(set(names))
    for model in fleet.models.values():
        if isinstance(model, Unavailable) or model.fallback is None:
            continue
        target = fleet.models[model.fallback]
        assert not isinstance(target, Unavailable)
        assert target.max_model_len > model.max_model_len
