"""Which engine settings a fleet may hold."""

import pytest

from deployments.engine_keys import OWNED
from deployments.errors import FleetInvalid
from deployments.fleet import Fleet
from tests.deployments.fleets import fleet_of


def with_engine(engine: str) -> Fleet:
    model = "{source: o/a, max_model_len: 9, engine: " + engine + "}"
    return fleet_of(f"models:\n  a: {model}\n")


def refused(engine: str) -> str:
    with pytest.raises(FleetInvalid) as caught:
        with_engine(engine)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(OWNED))
@pytest.mark.parametrize("value", ["true", "1"])
def test_an_argument_that_is_not_for_a_fleet_to_set_is_refused_with_the_reason(
    name: str, value: str
) -> None:
    assert OWNED[name] in refused(f"{{{name}: {value}}}")
    assert OWNED[name] in refused(f"{{{name.replace('_', '-')}: {value}}}")


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("{data_parallel_size: 2}", "use `replicas`"),
        ("{no_disable_fastapi_docs: true}", "nothing guards"),
        ("{no_enforce_eager: true}", "write `enforce_eager: false`"),
        ("{'--port': 1}", "is not the name of a vLLM argument"),
        ("{compilation_config.mode: 3}", "is not the name of a vLLM argument"),
        ("{max-num-seqs: 1, max_num_seqs: 2}", "sets max_num_seqs twice"),
        ("{max_logprobs: -1}", "from 0 to 20"),
        ("{max_logprobs: 21}", "from 0 to 20"),
        ("{max_logprobs: '20'}", "from 0 to 20"),
        ("{max_logprobs: true}", "from 0 to 20"),
        ("{seed: null}", "is true, false, a number, text"),
        ("{seed: []}", "is true, false, a number, text"),
        ("{seed: .nan}", "is true, false, a number, text"),
        ("{seed: 2024-10-18}", "is true, false, a number, text"),
        ("{hf_overrides: {a: .inf}}", "is true, false, a number, text"),
        ("{hf_overrides: {a: 2024-10-18}}", "is true, false, a number, text"),
        ("{ignore_patterns: [a, --port]}", "must not begin with `-`"),
        ('{dtype: "a\\nb"}', "is not printable"),
        ("[max_num_seqs]", "should be"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(engine: str, said: str) -> None:
    assert said in refused(engine)


def test_settings_are_kept_in_snake_case_in_their_order() -> None:
    made = with_engine("{max-num-seqs: 16, dtype: float32, ignore_patterns: [a, b], seed: 1.5}")
    engine = made.served()["a"].engine
    assert list(engine.items()) == [
        ("max_num_seqs", 16),
        ("dtype", "float32"),
        ("ignore_patterns", ("a", "b")),
        ("seed", 1.5),
    ]


def test_code_of_a_checkpoint_is_trusted_when_the_fleet_says_so() -> None:
    assert with_engine("{trust_remote_code: true}").served()["a"].engine["trust_remote_code"]
