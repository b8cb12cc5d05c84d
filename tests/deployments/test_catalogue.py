"""The catalogue holds the retired API's list, says where each figure is from, and completes a
fleet.
"""

import pytest

from cluster.accelerator import accelerator
from cluster.architecture import read_architecture
from cluster.fit import Fit, Shape, engine_settings, fit
from deployments.catalogue import Entry, completed, entry, ids
from deployments.errors import FleetInvalid
from deployments.model import Served, Shared, Unavailable
from tests.deployments.fleets import fleet_of

#: The twelve ids and the older names that the retired API knew.
LEGACY = {
    "deepseek-coder-v2-lite-instruct": (),
    "dracarys2-72b-instruct": (),
    "hermes3-405b": ("hermes-3-llama-3.1-405b-fp8",),
    "hermes3-405b-fp8-128k": ("hermes-3-llama-3.1-405b-fp8-128k",),
    "hermes3-70b": (),
    "hermes3-8b": (),
    "lfm-40b": (),
    "llama3.1-405b-instruct-fp8": (),
    "llama3.1-70b-instruct-fp8": (),
    "llama3.1-8b-instruct": (),
    "llama3.2-3b-instruct": (),
    "llama3.1-nemotron-70b-instruct": ("llama3.1-nemotron-70b-instruct-fp8",),
}
#: Billions of parameters as their publishers state them.
PARAMETERS = {
    "deepseek-coder-v2-lite-instruct": 15.706,
    "dracarys2-72b-instruct": 72.706,
    "hermes3-405b": 405.853,
    "hermes3-405b-fp8-128k": 405.853,
    "hermes3-70b": 70.554,
    "hermes3-8b": 8.030,
    "llama3.1-405b-instruct-fp8": 405.853,
    "llama3.1-70b-instruct-fp8": 70.554,
    "llama3.1-8b-instruct": 8.030,
    "llama3.2-3b-instruct": 3.213,
    "llama3.1-nemotron-70b-instruct": 70.554,
}
#: What an entry says of itself, not of the model.
WITHOUT_ORIGIN = {"id", "created", "notes", "origin"}


def known(name: str) -> Entry:
    found = entry(name)
    assert found is not None
    return found


def test_the_catalogue_is_the_retired_list_with_its_older_names() -> None:
    assert {name: known(name).aliases for name in ids()} == LEGACY


@pytest.mark.parametrize("name", LEGACY)
def test_a_file_is_named_after_its_id_and_every_figure_has_an_origin(name: str) -> None:
    each = known(name)
    assert each.id == name
    stated = {
        key
        for key, value in each.model_dump().items()
        if value not in (None, (), {}, False) and key not in WITHOUT_ORIGIN
    }
    assert stated == set(each.origin)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_architecture_has_the_parameters_that_the_publisher_states(name: str) -> None:
    counted = read_architecture(known(name).architecture).parameters
    assert counted / 1e9 == pytest.approx(PARAMETERS[name], abs=0.001)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_shape_in_the_catalogue_fits_what_it_was_computed_for(name: str) -> None:
    each = known(name)
    assert each.max_model_len is not None
    settings = engine_settings(each.max_model_len, each.engine)
    for shape in each.shapes:
        at = accelerator(shape.accelerator)
        assert at is not None
        facts = read_architecture(each.architecture)
        found = fit(facts, Shape(shape.tensor, shape.pipeline), settings, at)
        assert isinstance(found, Fit), found
        assert found.longest_context_tokens >= each.max_model_len


def test_a_name_of_the_catalogue_is_a_whole_model() -> None:
    model = fleet_of("models:\n  hermes3-70b: {}\n").models["hermes3-70b"]
    assert isinstance(model, Served)
    assert (model.source, model.tensor) == ("NousResearch/Hermes-3-Llama-3.1-70B", 4)
    assert model.engine == {"enable_auto_tool_choice": True, "tool_call_parser": "hermes"}


def test_what_a_fleet_says_itself_stands_before_the_catalogue() -> None:
    text = "models:\n  hermes3-70b: {source: /w, tensor: 8, engine: {tool-call-parser: x}}\n"
    model = fleet_of(text).models["hermes3-70b"]
    assert isinstance(model, Served)
    assert (model.source, model.tensor) == ("/w", 8)
    assert model.engine == {"enable_auto_tool_choice": True, "tool_call_parser": "x"}


def test_a_model_that_shares_replicas_takes_names_window_and_fallback_only() -> None:
    text = "models:\n  hermes3-405b: {replicas_of: hermes3-405b-fp8-128k}\n  hermes3-405b-fp8-128k:"
    model = fleet_of(text).models["hermes3-405b"]
    assert isinstance(model, Shared)
    assert (model.max_model_len, model.fallback) == (18432, "hermes3-405b-fp8-128k")
    assert model.aliases == ("hermes-3-llama-3.1-405b-fp8",)


def test_a_model_without_weights_is_unavailable_and_says_why() -> None:
    model = fleet_of("models:\n  lfm-40b: {}\n").models["lfm-40b"]
    assert isinstance(model, Unavailable)
    assert "never published" in model.unavailable


def test_an_unavailable_model_may_be_served_all_the_same_by_whoever_has_its_weights() -> None:
    text = "models:\n  lfm-40b: {source: /w, max_model_len: 9}\n"
    assert isinstance(fleet_of(text).models["lfm-40b"], Served)
    text = "models:\n  hermes3-8b:\n  lfm-40b: {replicas_of: hermes3-8b, max_model_len: 9}\n"
    assert isinstance(fleet_of(text).models["lfm-40b"], Shared)


def test_a_mistake_in_what_the_catalogue_says_points_at_the_model() -> None:
    with pytest.raises(FleetInvalid) as caught:
        fleet_of("models:\n  hermes3-405b: {}\n")
    said = "fleet.yaml:2: models.hermes3-405b.fallback: there is no model "
    assert str(caught.value).startswith(said)


def test_a_name_that_is_nearly_one_of_the_catalogue_is_told_so() -> None:
    with pytest.raises(FleetInvalid, match=r"did you mean `hermes3-70b`. .it is in the catalogue"):
        fleet_of("models:\n  hermes3-70: {}\n")


def test_what_is_no_mapping_is_left_for_the_fleets_own_check() -> None:
    assert completed("hermes3-70b", 5) == 5
    assert completed("nobody", {"a": 1}) == {"a": 1}
